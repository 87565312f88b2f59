"""Makes records with Apache Beam, on the cores of this machine or on a cluster.

Needs the extra `beam`. The videos, the ratings and the data folder must have the same paths on all
workers.
"""

import pathlib
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.utils import shared

from ast_net import errors, files
from ast_net.records import making, shards


class _Make(beam.DoFn):
    """Makes the records of a recording. The threads of a process share one detector and CNN."""

    def __init__(self, make_maker: Callable[[], making.VideoMaker]) -> None:
        self._make_maker = make_maker
        self._shared = shared.Shared()

    def setup(self) -> None:
        self._maker = self._shared.acquire(self._make_maker)

    def process(self, job: making.Job):
        # A runner may process the same element twice.
        if shards.sizes(job.file) is None:
            error = making.attempt(self._maker, job)
            if error is not None:
                with files.whole(_error_file(job)) as path:
                    path.write_text(error, encoding="utf-8")


def make_all(
    make_maker: Callable[[], making.VideoMaker],
    jobs: Sequence[making.Job],
    options: str,
) -> dict[str, str]:
    """Makes the records of all recordings, each an element of the pipeline.

    Args:
      make_maker: creates the maker of records in each worker.
      jobs: the recordings.
      options: Beam's options in the format of `tfds build`, "runner=FlinkRunner,parallelism=8".

    Returns:
      The errors of the recordings that failed, by name.

    Raises:
      InputError: the pipeline itself failed, because a worker died or a file cannot be written.
    """
    for job in jobs:
        _error_file(job).unlink(missing_ok=True)
    parsed = pipeline_options.PipelineOptions(
        flags=[f"--{option}" for option in options.split(",")]
    )
    try:
        with beam.Pipeline(options=parsed) as pipeline:
            recordings = pipeline | "Recordings" >> beam.Create(jobs) | beam.Reshuffle()
            _ = recordings | "Make" >> beam.ParDo(_Make(make_maker))
    except (RuntimeError, OSError, ValueError) as error:
        raise errors.InputError(
            f"the Beam pipeline failed with {error}\nFix the problem, or prepare without Beam, and "
            "start again: the finished recordings are kept"
        ) from error
    problems = {}
    for job in jobs:
        if shards.sizes(job.file) is None:
            file = _error_file(job)
            problems[job.name] = (
                file.read_text(encoding="utf-8") if file.exists() else "its worker reported nothing"
            )
            file.unlink(missing_ok=True)
    return problems


def _error_file(job: making.Job) -> pathlib.Path:
    return job.file.with_suffix(".error")

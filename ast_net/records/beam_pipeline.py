"""Recordings made by Apache Beam, on this machine's cores or on a cluster. Needs the extra `beam`.

The workers have to see the videos, the ratings and the data folder under the same paths.
"""

import pathlib
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.utils import shared

from ast_net import errors, files
from ast_net.records import making, shards


class _Make(beam.DoFn):
    """Makes a recording's file. All threads of a process share detector and CNN."""

    def __init__(self, make_maker: Callable[[], making.VideoMaker]) -> None:
        self._make_maker = make_maker
        self._shared = shared.Shared()

    def setup(self) -> None:
        self._maker = self._shared.acquire(self._make_maker)

    def process(self, job: making.Job):
        if shards.sizes(job.file) is None:  # a runner may hand out an element again
            error = making.attempt(self._maker, job)
            if error is not None:
                with files.whole(_error_file(job)) as path:
                    path.write_text(error, encoding="utf-8")


def make_all(
    make_maker: Callable[[], making.VideoMaker],
    jobs: Sequence[making.Job],
    options: str,
) -> dict[str, str]:
    """Makes the files, each recording an element; returns the errors of those that failed, by name.

    Args:
      make_maker: makes a maker of recordings in each worker.
      jobs: the recordings.
      options: Beam's, "runner=FlinkRunner,parallelism=8", as `tfds build` takes them.

    Raises:
      InputError: the pipeline itself failed, as a worker died or nothing can be written.
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
            f"the Beam pipeline ended with {error}\nFix that, or prepare without it, and start again: "
            "the recordings that are finished are kept"
        ) from error
    problems = {}
    for job in jobs:
        if shards.sizes(job.file) is None:
            file = _error_file(job)
            problems[job.name] = (
                file.read_text(encoding="utf-8") if file.exists() else "its worker left nothing"
            )
            file.unlink(missing_ok=True)
    return problems


def _error_file(job: making.Job) -> pathlib.Path:
    return job.file.with_suffix(".error")

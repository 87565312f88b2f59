"""Recordings made by Apache Beam, on this machine's cores or on a cluster. Needs the extra `beam`.

The workers have to see the videos, the ratings and the data folder under the same paths.
"""

import pathlib
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.utils import shared

from ast_net import errors, files
from ast_net.records import example_format, making, shards


def parse_options(text: str) -> pipeline_options.PipelineOptions:
    """Beam's options from "runner=FlinkRunner,parallelism=8", as `tfds build` takes them."""
    return pipeline_options.PipelineOptions(flags=[f"--{option}" for option in text.split(",")])


class _Make(beam.DoFn):
    """Makes a recording's file. All threads of a process share detector and CNN."""

    def __init__(self, how: tuple) -> None:
        self._arguments = how
        self._shared = shared.Shared()

    def setup(self) -> None:
        self._maker = self._shared.acquire(lambda: making.Maker(*self._arguments))

    def process(self, job: making.Job):
        if shards.sizes(job.file) is None:  # a runner may hand out an element again
            error = making.attempt(self._maker, job)
            if error is not None:
                with files.whole(_error_file(job)) as path:
                    path.write_text(error, encoding="utf-8")


def make_all(
    how: tuple[example_format.RecordsConfig, pathlib.Path],
    jobs: Sequence[making.Job],
    options: pipeline_options.PipelineOptions | None,
    runner: beam.runners.PipelineRunner | None,
) -> dict[str, str]:
    """Makes the files, each recording an element; the errors of those that failed, by their names.

    Args:
      how: what `making.Maker` takes.
      jobs: the recordings.
      options, runner: Beam's.

    Raises:
      InputError: the pipeline itself failed, as a worker died or nothing can be written.
    """
    for job in jobs:
        _error_file(job).unlink(missing_ok=True)
    # The pipeline reads its options from the command line if it is given none.
    options = options or pipeline_options.PipelineOptions(flags=[])
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            recordings = pipeline | "Recordings" >> beam.Create(jobs) | beam.Reshuffle()
            _ = recordings | "Make" >> beam.ParDo(_Make(how))
    except (RuntimeError, OSError, ValueError) as error:
        raise errors.InputError(
            f"the Beam pipeline ended with {error}\nMend that, or prepare without it, and start again: "
            "the recordings that are finished are kept"
        ) from error
    found = {}
    for job in jobs:
        if shards.sizes(job.file) is None:
            file = _error_file(job)
            found[job.name] = (
                file.read_text(encoding="utf-8") if file.exists() else "its worker left nothing"
            )
            file.unlink(missing_ok=True)
    return found


def _error_file(job: making.Job) -> pathlib.Path:
    return job.file.with_suffix(".error")

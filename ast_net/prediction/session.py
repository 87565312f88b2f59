"""Predicts files or a camera and writes the outputs; the command `predict` calls this."""

import contextlib
import datetime
import itertools
import pathlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from absl import logging

from ast_net import config, errors, files, main, screen
from ast_net.prediction import (
    camera,
    file_prediction,
    outputs,
    pipeline,
    prediction_model,
    results,
    summaries,
    workers,
)
from ast_net.reports import tables


def predict(
    source: config.Inputs,
    recordings: Mapping[str, pathlib.Path],
    settings: config.Outputs,
    faces: config.Prediction,
    networks: config.Networks,
    beam_pipeline_options: str | None = None,
) -> list[summaries.Summary]:
    """Predicts the given files or camera, and writes the outputs.

    Args:
      source: the camera, if there is one.
      recordings: otherwise the files, by the names of their output folders (`inputs.find`).
      settings: which outputs to write, and where.
      faces: how faces are tracked over time.
      networks: which networks to use.
      beam_pipeline_options: predict the files with Apache Beam with these options; None to predict
        them on this machine.

    Raises:
      InputError: results of other inputs would be replaced, or the networks cannot be loaded.
      OSError: the disk is full or read-only.
    """
    if beam_pipeline_options and (source.camera is not None or source.workers > 1):
        raise errors.InputError(
            "`camera` and `workers` are for this machine, and the runner of "
            "`beam_pipeline_options` has its own number of workers: leave one of them out"
        )
    copies = min(source.workers, len(recordings))
    if copies > 1 or beam_pipeline_options:
        work = workers.Workload(dict(recordings), source.pictures, settings, faces, networks)
        return _predict_in_workers(work, beam_pipeline_options or copies)
    if source.camera is None:
        results.check(recordings, settings)  # So that nobody waits for the networks in vain.
    stages = pipeline.Pipeline(prediction_model.load(networks, settings.posteriors), faces)
    if source.camera is None:
        return predict_files(stages, recordings, settings, source.pictures)
    return [predict_camera(stages, source.camera, settings, source.max_seconds)]


def predict_files(
    stages: pipeline.Pipeline,
    recordings: Mapping[str, pathlib.Path],
    settings: config.Outputs,
    pictures: str | None = None,
) -> list[summaries.Summary]:
    """Predicts each file; one that fails does not stop the others.

    Files that an earlier call has predicted with the same settings are kept (`results`), unless
    `overwrite` is set or an output is not a file.

    Args:
      stages: the pipeline with its networks.
      recordings: the files to predict, by the names of their output folders.
      settings: which outputs to write, and where.
      pictures: what the pictures of a folder are (`config.Inputs`).

    Raises:
      InputError: results of other inputs, or another summary, would be replaced.
      OSError: the disk is full or read-only.
    """
    results.check(recordings, settings)
    done: list[file_prediction.Result] = []
    stop = threading.Event()
    for name, path in recordings.items():
        result = file_prediction.predict(stages, name, path, settings, pictures, stop)
        _report(result, settings, len(recordings))
        done.append(result)
        if stop.is_set():
            break
    return _finish(done, settings)


def _predict_in_workers(work: workers.Workload, engine: int | str) -> list[summaries.Summary]:
    """Does the same as `predict_files` in several processes; see `workers.predict`."""
    results.check(work.recordings, work.settings)
    done: dict[str, file_prediction.Result] = {}
    with screen.Progress("predicting", len(work.recordings), "inputs") as progress:

        def add(result: file_prediction.Result) -> None:
            _report(result, work.settings, len(work.recordings))
            done[result.summary.name] = result
            progress.update()

        workers.predict(work, engine, add)
    return _finish([done[name] for name in work.recordings], work.settings)


def _finish(
    done: Sequence[file_prediction.Result], settings: config.Outputs
) -> list[summaries.Summary]:
    """Writes summary.csv, with the rows of other calls first, but for those of these inputs."""
    kept = sum(result.kept for result in done)
    if kept:
        logging.info(
            f"{kept} of {screen.number(len(done), 'input')} had been predicted with these "
            "settings; `overwrite` predicts them again"
        )
    rows = [row for result in done for row in result.summary.rows()]
    names = {tables.escaped(result.summary.name) for result in done}
    folder = pathlib.Path(settings.output_dir)
    # Another command may have added its rows meanwhile, or be about to.
    with files.alone(folder, f"writing {config.SUMMARY}"):
        others = [row for row in results.summary_rows(settings) if row["name"] not in names]
        summaries.write(folder / config.SUMMARY, [*others, *rows], settings.decimal_comma)
    screen.wrote(settings.output_dir, config.SUMMARY)
    return [result.summary for result in done]


def predict_camera(
    stages: pipeline.Pipeline,
    name: str,
    settings: config.Outputs,
    max_seconds: float | None = None,
) -> summaries.Summary:
    """Predicts a camera's frames until it stops, `max_seconds` have passed, or Ctrl-C is pressed.

    Each call writes to a new folder, whose name is the date and time; a number follows if another
    call began in the same second.

    Raises:
      InputError: the camera gives no picture.
      OSError: the disk is full or read-only.
    """
    capture = camera.connect(name)
    source = f"camera {camera.shown(name)}"
    with _new_folder(pathlib.Path(settings.output_dir)) as folder:
        summary = summaries.Summary(folder.name, source, precision=stages.precision)
        start = time.monotonic()
        with (
            _stopped_by_signal() as stop,
            contextlib.closing(camera.newest_frames(capture, stop, max_seconds)) as recording,
        ):
            predictions = stages.predict(recording, settings.images, live=True)
            outputs.write(predictions, None, settings, stages, summary, stop)
        summary.processing_seconds = file_prediction.seconds_since(start)
        summaries.write(folder / config.SUMMARY, summary.rows(), settings.decimal_comma)
    _report(file_prediction.Result(summary, kept=False), settings)
    screen.wrote(folder, config.SUMMARY)
    return summary


@contextlib.contextmanager
def _new_folder(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a new folder, whose name is the time; deletes it if nothing was written to it."""
    parent.mkdir(parents=True, exist_ok=True)
    started = datetime.datetime.now().strftime("camera_%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        folder = parent / (started if number == 1 else f"{started}_{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Yields an event that the first of `main`'s signals sets; a second one ends the program.

    Ctrl-C is the usual way to end a camera's recording, whose outputs are kept.
    """
    stop = threading.Event()
    handlers = main.heeded_signals()

    def set_stop(number: int, _) -> None:
        stop.set()
        signal.signal(number, handlers[number])

    for number in handlers:
        signal.signal(number, set_stop)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _report(result: file_prediction.Result, settings: config.Outputs, inputs: int = 1) -> None:
    """Says what was predicted, and where the files are; the caller says why a single input failed.

    What an earlier call has predicted is only counted.
    """
    summary, kept = result
    if summary.error and inputs > 1:
        logging.warning(summary.line())
    elif not summary.error and not kept:
        folder = pathlib.Path(settings.output_dir) / summary.name
        logging.info(summary.line(folder if settings.files else None))

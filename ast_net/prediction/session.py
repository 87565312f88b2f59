"""Predicts files or a camera and writes the outputs; the command `predict` calls this."""

import contextlib
import datetime
import math
import pathlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping

from absl import logging

from ast_net import config, errors, files, screen
from ast_net.faces import photographs, video
from ast_net.prediction import camera, inputs, outputs, pipeline, prediction_model, results
from ast_net.reports import tables


def predict(
    source: config.Inputs,
    recordings: Mapping[str, pathlib.Path],
    settings: config.Outputs,
    faces: config.Prediction,
    networks: config.Networks,
) -> list[outputs.Summary]:
    """Predicts the given files or camera, and writes the outputs.

    Args:
      source: the camera, if there is one.
      recordings: otherwise the files, by the names of their output folders (`inputs.find`).
      settings: which outputs to write, and where.
      faces: how faces are tracked over time.
      networks: which networks to use.

    Raises:
      InputError: results of other inputs would be replaced, or the networks cannot be loaded.
      OSError: the disk is full or read-only.
    """
    if source.camera is None:
        results.check(recordings, settings)  # So that nobody waits for the networks in vain.
    predictor = pipeline.Pipeline(prediction_model.load(networks, settings.posteriors), faces)
    if source.camera is None:
        return predict_files(predictor, recordings, settings, source.pictures)
    return [predict_camera(predictor, source.camera, settings, source.max_seconds)]


def predict_files(
    predictor: pipeline.Pipeline,
    recordings: Mapping[str, pathlib.Path],
    settings: config.Outputs,
    pictures: str | None = None,
) -> list[outputs.Summary]:
    """Predicts each file; one that fails does not stop the others.

    Files that an earlier call has predicted with the same settings are kept (`results`), unless
    `overwrite` is set or an output is not a file.

    Args:
      predictor: the pipeline with its networks.
      recordings: the files to predict, by the names of their output folders.
      settings: which outputs to write, and where.
      pictures: what the pictures of a folder are (`config.Inputs`).

    Raises:
      InputError: results of other inputs, or another summary, would be replaced.
      OSError: the disk is full or read-only.
    """
    earlier = results.check(recordings, settings)
    summaries, kept, stop = [], 0, threading.Event()
    for name, path in recordings.items():
        summary = outputs.Summary(name, str(path))
        start = time.monotonic()
        try:
            source = inputs.opened(path, pictures)
            kept += _predict_file(predictor, source, settings, summary, stop)
        except errors.InputError as error:
            summary.error = str(error)
        # Any other error is reported with the input, too, and the other inputs go on.
        except Exception as error:
            if files.is_final(error):
                raise
            logging.debug(name, exc_info=True)
            summary.error = f"{type(error).__name__}: {error}"
        summary.seconds = summary.seconds or _seconds_since(start)
        summaries.append(summary)
        if summary.error and len(recordings) > 1:
            logging.warning(summary.line())
        if stop.is_set():
            break
    if kept:
        logging.info(
            f"{kept} of {screen.number(len(recordings), 'input')} had been predicted with these "
            "settings; `overwrite` predicts them again"
        )
    summary_file = pathlib.Path(settings.output_dir) / config.SUMMARY
    tables.write(summary_file, [*earlier, *map(vars, summaries)], digits=2)
    screen.wrote(settings.output_dir, config.SUMMARY)
    return summaries


def _predict_file(
    predictor: pipeline.Pipeline,
    source: video.VideoSource | photographs.Photographs,
    settings: config.Outputs,
    summary: outputs.Summary,
    stop: threading.Event,
) -> bool:
    """Predicts an input and fills in its summary, unless an earlier call has finished it.

    Returns:
      Whether the results of an earlier call are kept.
    """
    start = time.monotonic()
    frame_count = source.frame_count  # Fails before anything is written if this is not a video.
    separate = isinstance(source, photographs.Photographs)
    settings = outputs.of_photographs(settings) if separate else settings
    folder = pathlib.Path(settings.output_dir) / summary.name
    values = predictor.settings | {"outputs": settings.outputs, "posteriors": settings.posteriors}
    values |= {"pictures": "separate"} if separate else {}
    origin = results.Origin(results.absolute(source.path), source.fingerprint, values)
    if settings.only_files and not settings.overwrite:
        finished = results.finished(folder, origin)
        if finished is not None:
            vars(summary).update(vars(finished) | {"input": str(source.path)})
            return True
    if isinstance(source, photographs.Photographs):
        predictions = predictor.predict_photographs(source, settings.images)
    else:
        predictions = predictor.predict(source.frames(), settings.images)
    with results.claimed(folder, origin) if settings.files else contextlib.nullcontext():
        outputs.write(predictions, frame_count, settings, predictor, summary, stop, separate)
    summary.seconds = _seconds_since(start)
    if settings.files and not stop.is_set():
        results.finish(folder, origin, summary)
    _report(summary, settings, separate)
    return False


def predict_camera(
    predictor: pipeline.Pipeline,
    name: str,
    settings: config.Outputs,
    max_seconds: float | None = None,
) -> outputs.Summary:
    """Predicts a camera's frames until it stops, `max_seconds` have passed, or Ctrl-C is pressed.

    Each call writes to a new folder, whose name is the date and time.

    Raises:
      InputError: the camera gives no picture.
      OSError: the disk is full or read-only.
    """
    capture = camera.connect(name)
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    summary = outputs.Summary(f"camera_{started}", f"camera {name}")
    start = time.monotonic()
    try:
        with (
            _stopped_by_signal() as stop,
            contextlib.closing(camera.newest_frames(capture, stop, max_seconds)) as recording,
        ):
            predictions = predictor.predict(recording, settings.images, live=True)
            outputs.write(predictions, None, settings, predictor, summary, stop)
    finally:
        capture.release()
    summary.seconds = _seconds_since(start)
    path = pathlib.Path(settings.output_dir) / summary.name / config.SUMMARY
    tables.write(path, [vars(summary)], digits=2)
    _report(summary, settings)
    screen.wrote(path.parent, config.SUMMARY)
    return summary


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C or SIGTERM sets; a second one ends the program.

    Ctrl-C is the usual way to end a camera's recording, whose outputs are kept.
    """
    stop = threading.Event()

    def set_stop(number: int, _) -> None:
        stop.set()
        signal.signal(number, handlers[number])

    handlers = {
        int(number): signal.signal(number, set_stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _report(summary: outputs.Summary, settings: config.Outputs, separate: bool = False) -> None:
    """Says what was predicted, and which files that are of this input alone."""
    logging.info(summary.line())
    names = list(filter(None, outputs.file_names(settings, separate).values()))
    if names:
        screen.wrote(pathlib.Path(settings.output_dir) / summary.name, *names)


def _seconds_since(start: float) -> float:
    """Returns the time since `start`, rounded up to 0.01 s, as it is divided by."""
    return math.ceil(100 * (time.monotonic() - start)) / 100

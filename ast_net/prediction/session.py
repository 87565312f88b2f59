"""Predicts files or a camera and writes the outputs: the work of the verb `predict`."""

import contextlib
import datetime
import math
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping

from absl import logging

from ast_net import config, errors, files
from ast_net.faces import video
from ast_net.prediction import camera, inputs, outputs, pipeline, prediction_model
from ast_net.reports import tables

SUMMARY = "summary.csv"


def predict(
    named: config.Inputs,
    settings: config.Outputs,
    faces: config.Prediction,
    networks: config.Networks,
) -> list[outputs.Summary]:
    """Predicts the files or the camera that are named, and writes the outputs.

    Args:
      named: the files, or the camera.
      settings: which outputs to write, and where.
      faces: how faces are followed in time.
      networks: which networks predict.

    Raises:
      InputError: there is no input, or no such networks.
      OSError: the disk is full or read-only.
    """
    recordings = inputs.find(named.video) if named.camera is None else {}
    predictor = pipeline.Pipeline(prediction_model.load(networks, settings.posteriors), faces)
    if named.camera is None:
        return predict_files(predictor, recordings, settings)
    return [predict_camera(predictor, named.camera, settings, named.max_seconds)]


def predict_files(
    predictor: pipeline.Pipeline, recordings: Mapping[str, pathlib.Path], settings: config.Outputs
) -> list[outputs.Summary]:
    """Predicts each recording; one that fails does not stop the others.

    Args:
      predictor: holds the networks.
      recordings: the files to predict, by the names of their results.
      settings: which outputs to write, and where.

    Raises:
      OSError: the disk is full or read-only.
    """
    summaries, stop = [], threading.Event()
    for name, path in recordings.items():
        summary = outputs.Summary(name, str(path))
        start = time.monotonic()
        try:
            source = video.open_video(path)
            predictions = predictor.predict(source.frames(), settings.images)
            names = predictor.targets, predictor.expressions
            outputs.write(predictions, source.frame_count, settings, *names, summary, stop)
        except errors.InputError as error:
            summary.error = str(error)
        # Whatever else it is, the user is told and the other recordings go on.
        except Exception as error:
            disk_error = isinstance(error, OSError) and error.errno in files.DISK_ERRORS
            if disk_error or isinstance(error, BrokenPipeError):
                raise
            logging.debug(name, exc_info=True)
            summary.error = f"{type(error).__name__}: {error}"
        summary.seconds = _seconds_since(start)
        summaries.append(summary)
        print(summary.line(), file=sys.stderr)
        if stop.is_set():
            break
    tables.write(pathlib.Path(settings.output_dir) / SUMMARY, map(vars, summaries), digits=2)
    return summaries


def predict_camera(
    predictor: pipeline.Pipeline,
    name: str,
    settings: config.Outputs,
    max_seconds: float | None = None,
) -> outputs.Summary:
    """Predicts a camera's frames until it ends, `max_seconds` are over, or Ctrl-C is pressed.

    Each call writes to a new folder, named after the time.

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
            names = predictor.targets, predictor.expressions
            outputs.write(predictions, None, settings, *names, summary, stop)
    finally:
        capture.release()
    summary.seconds = _seconds_since(start)
    path = pathlib.Path(settings.output_dir) / summary.name / SUMMARY
    tables.write(path, [vars(summary)], digits=2)
    print(summary.line(), file=sys.stderr)
    return summary


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Gives an event that the first Ctrl-C or SIGTERM sets; the second one ends the program.

    Ctrl-C is the usual end of a camera's recording, which is kept.
    """
    stop = threading.Event()

    def ask(number: int, _) -> None:
        stop.set()
        signal.signal(number, before[number])

    before = {int(number): signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _seconds_since(start: float) -> float:
    """Rounds up, so that a rate can be computed."""
    return math.ceil(100 * (time.monotonic() - start)) / 100

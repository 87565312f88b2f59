"""Predicts files or a camera and writes the outputs: the work of the verb `predict`."""

import contextlib
import dataclasses
import datetime
import math
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import tqdm
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
    recordings = [] if named.camera is not None else inputs.find(named.video)
    model = prediction_model.load(networks, settings.posteriors)
    predictor = pipeline.Pipeline(model, faces)
    if named.camera is not None:
        return [predict_camera(predictor, named.camera, settings, named.max_seconds)]
    return predict_files(predictor, recordings, settings)


def predict_files(
    predictor: pipeline.Pipeline,
    recordings: Sequence[inputs.Input],
    settings: config.Outputs,
) -> list[outputs.Summary]:
    """Predicts each recording; one that fails does not stop the others.

    Args:
      predictor: holds the networks.
      recordings: the files to predict.
      settings: which outputs to write, and where.

    Raises:
      OSError: the disk is full or read-only.
    """
    summaries, stop = [], threading.Event()
    for recording in recordings:
        summary = outputs.Summary(recording.name, str(recording.path))
        start = time.monotonic()
        try:
            _predict_file(predictor, recording, settings, summary, stop)
        except errors.InputError as error:
            summary.error = str(error)
        except OSError as error:
            if error.errno in files.DISK_ERRORS or isinstance(error, BrokenPipeError):
                raise
            summary.error = f"{type(error).__name__}: {error}"
        # Whatever it is, the user is told and the other recordings go on.
        except Exception as error:
            logging.debug("%s", recording.name, exc_info=True)
            summary.error = f"{type(error).__name__}: {error}"
        summary.seconds = time.monotonic() - start
        summaries.append(summary)
        print(summary.line(), file=sys.stderr)
        if stop.is_set():
            break
    _write_summary(pathlib.Path(settings.output_dir) / SUMMARY, summaries)
    return summaries


def _predict_file(
    predictor: pipeline.Pipeline,
    recording: inputs.Input,
    settings: config.Outputs,
    summary: outputs.Summary,
    stop: threading.Event,
) -> None:
    source = video.open_video(recording.path)
    with contextlib.closing(
        predictor.predict(source.frames(), source.frame_rate, settings.images)
    ) as predictions:
        progress = tqdm.tqdm(
            predictions, recording.name, source.frame_count, unit="frame", leave=False
        )
        folder = pathlib.Path(settings.output_dir) / recording.name
        outputs.write(progress, folder, settings, predictor.targets, summary, stop)


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
    capture, rate = camera.connect(name)
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = pathlib.Path(settings.output_dir) / f"camera_{started}"
    summary = outputs.Summary(folder.name, f"camera {name}")
    start = time.monotonic()
    try:
        with (
            _stopped_by_signal() as stop,
            contextlib.closing(camera.newest_frames(capture, stop, max_seconds)) as recording,
        ):
            predictions = predictor.predict(recording, rate, settings.images, live=True)
            progress = tqdm.tqdm(predictions, summary.input, unit="frame", leave=False)
            outputs.write(progress, folder, settings, predictor.targets, summary, stop)
    finally:
        capture.release()
    summary.seconds = time.monotonic() - start
    _write_summary(folder / SUMMARY, [summary])
    print(summary.line(), file=sys.stderr)
    return summary


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Gives an event that the first Ctrl-C or SIGTERM sets; the second one ends the program.

    Ctrl-C is the usual end of a camera's recording, which is kept.
    """
    stop = threading.Event()
    before: dict[int, Any] = {}

    def ask(number: int, _) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_summary(path: pathlib.Path, summaries: Sequence[outputs.Summary]) -> None:
    """Writes a row for each input, with its seconds rounded up."""
    rows = [
        {**dataclasses.asdict(summary), "seconds": math.ceil(100 * summary.seconds) / 100}
        for summary in summaries
    ]
    tables.write(path, rows, digits=2)

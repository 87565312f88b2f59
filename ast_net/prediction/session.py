"""Recordings in, files out: what the verb `predict` does."""

import contextlib
import csv
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

from ast_net import errors, files
from ast_net.faces import video
from ast_net.prediction import camera, inputs, outputs, pipeline

SUMMARY = "summary.csv"


def predict_files(
    predictor: pipeline.Pipeline,
    recordings: Sequence[inputs.Input],
    wanted: outputs.Wanted,
) -> list[outputs.Summary]:
    """Predicts each recording; one that fails does not stop the others.

    Args:
      predictor: with the networks.
      recordings: what to predict.
      wanted: what is left of each, and where.

    Raises:
      OSError: nothing can be written.
    """
    summaries, stop = [], threading.Event()
    for recording in recordings:
        summary = outputs.Summary(recording.name, str(recording.path))
        start = time.monotonic()
        try:
            _predict_file(predictor, recording, wanted, summary, stop)
        except errors.InputError as error:
            summary.error = str(error)
        except OSError as error:
            if error.errno in files.DISK_ERRORS or isinstance(error, BrokenPipeError):
                raise
            summary.error = f"{type(error).__name__}: {error}"
        # Whatever it is, the other recordings go on, and the user is told.
        except Exception as error:
            logging.debug("%s", recording.name, exc_info=True)
            summary.error = f"{type(error).__name__}: {error}"
        summary.seconds = time.monotonic() - start
        summaries.append(summary)
        print(summary.line(), file=sys.stderr)
        if stop.is_set():
            break
    _write_summary(wanted.output_dir / SUMMARY, summaries)
    return summaries


def _predict_file(
    predictor: pipeline.Pipeline,
    recording: inputs.Input,
    wanted: outputs.Wanted,
    summary: outputs.Summary,
    stop: threading.Event,
) -> None:
    source = video.open_video(recording.path)
    with contextlib.closing(
        predictor.predict(source.frames(), source.frame_rate, wanted.images)
    ) as predictions:
        progress = tqdm.tqdm(
            predictions, recording.name, source.frame_count, unit="frame", leave=False
        )
        folder = wanted.output_dir / recording.name
        outputs.write(progress, folder, wanted, predictor.targets, summary, stop)


def predict_camera(
    predictor: pipeline.Pipeline,
    name: str,
    wanted: outputs.Wanted,
    max_seconds: float | None = None,
) -> outputs.Summary:
    """Predicts what a camera sees until it ends, `max_seconds` are over, or Ctrl-C is pressed.

    Each call has a folder of its own, named after the camera and the time.

    Raises:
      InputError: the camera gives no picture.
      OSError: nothing can be written.
    """
    capture, rate = camera.connect(name)
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = wanted.output_dir / f"camera_{started}"
    summary = outputs.Summary(folder.name, f"camera {name}")
    start = time.monotonic()
    try:
        with (
            _stopped_by_signal() as stop,
            contextlib.closing(camera.newest_frames(capture, stop, max_seconds)) as recording,
        ):
            predictions = predictor.predict(recording, rate, wanted.images, live=True)
            progress = tqdm.tqdm(predictions, summary.input, unit="frame", leave=False)
            outputs.write(progress, folder, wanted, predictor.targets, summary, stop)
    finally:
        capture.release()
    summary.seconds = time.monotonic() - start
    _write_summary(folder / SUMMARY, [summary])
    print(summary.line(), file=sys.stderr)
    return summary


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Ctrl-C usually ends a camera's recording, which is kept; a second one ends the program."""
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
    """A row for each input."""
    names = [field.name for field in dataclasses.fields(outputs.Summary)]
    with files.whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for summary in summaries:
            row = dataclasses.asdict(summary)
            writer.writerow({**row, "seconds": f"{math.ceil(100 * summary.seconds) / 100:.2f}"})

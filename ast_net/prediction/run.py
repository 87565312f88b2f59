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
from collections.abc import Iterable, Iterator, Sequence

import tqdm
from absl import logging

from ast_net import errors, files
from ast_net.faces import video
from ast_net.prediction import annotation, camera, figure, frames, inputs, pipeline, table

# Each output by its name, and the file it leaves; JSON lines go to the standard output.
OUTPUTS = {
    "csv": "predictions.csv",
    "parquet": "predictions.parquet",
    "figure": "figure.png",
    "video": "annotated.mp4",
    "jsonl": None,
}
SUMMARY = "summary.csv"


@dataclasses.dataclass
class Summary:
    """What became of one input.

    Attributes:
      name, input: of the recording.
      frames, valid_frames: all, and those with a face.
      dropped_frames: of a camera, those that came too fast to be looked at.
      faces: identities.
      seconds: it took.
      error: what stood in the way; empty if nothing did.
    """

    name: str
    input: str
    frames: int = 0
    valid_frames: int = 0
    dropped_frames: int = 0
    faces: int = 0
    seconds: float = 0.0
    error: str = ""

    def line(self) -> str:
        """For a terminal."""
        if self.error:
            return f"{self.name}: failed: {self.error}"
        rate = self.frames / max(self.seconds, 1e-9)
        dropped = f", {self.dropped_frames} dropped" if self.dropped_frames else ""
        return (
            f"{self.name}: {self.frames} frames{dropped}, {self.valid_frames} with a face, "
            f"{self.faces} faces, {self.seconds:.1f} s, {rate:.1f} frames/s"
        )


def predict_files(
    predictor: pipeline.Pipeline,
    recordings: Sequence[inputs.Input],
    output_dir: str | pathlib.Path,
    outputs: Sequence[str],
    posteriors: bool = False,
) -> list[Summary]:
    """Predicts each recording; one that fails does not stop the others.

    Args:
      predictor: with the networks.
      recordings: what to predict.
      output_dir: gets a folder for each, and summary.csv.
      outputs: some of OUTPUTS.
      posteriors: whether the expressions' are among them.

    Raises:
      OSError: nothing can be written.
    """
    folder, summaries = pathlib.Path(output_dir), []
    for recording in recordings:
        summary = Summary(recording.name, str(recording.path))
        start = time.monotonic()
        try:
            rate = video.frame_rate(recording.path)
            predictions = predictor.predict(
                video.read_frames(recording.path), rate, keep_images="video" in outputs
            )
            progress = tqdm.tqdm(
                predictions,
                recording.name,
                video.expected_frames(recording.path),
                unit="frame",
                leave=False,
            )
            with contextlib.closing(predictions):
                _write(progress, predictor, folder / recording.name, outputs, posteriors, summary)
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
        logging.info("%s", summary.line())
    write_summary(folder / SUMMARY, summaries)
    return summaries


def predict_camera(
    predictor: pipeline.Pipeline,
    name: str,
    output_dir: str | pathlib.Path,
    outputs: Sequence[str],
    posteriors: bool = False,
    max_seconds: float | None = None,
) -> Summary:
    """Predicts what a camera sees until it ends, `max_seconds` are over, or Ctrl-C is pressed.

    Each call has a folder of its own, named after the camera and the time.

    Raises:
      InputError: the camera gives no picture.
      OSError: nothing can be written.
    """
    capture, rate = camera.connect(name)
    started = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = pathlib.Path(output_dir) / f"camera_{started}"
    summary = Summary(folder.name, f"camera {name}")
    start = time.monotonic()
    try:
        with (
            _stopped_by_signal() as stop,
            contextlib.closing(camera.newest_frames(capture, stop, max_seconds)) as recording,
        ):
            predictions = predictor.predict(recording, rate, "video" in outputs, live=True)
            progress = tqdm.tqdm(predictions, summary.input, unit="frame", leave=False)
            _write(progress, predictor, folder, outputs, posteriors, summary)
    finally:
        capture.release()
    summary.seconds = time.monotonic() - start
    write_summary(folder / SUMMARY, [summary])
    logging.info("%s", summary.line())
    return summary


@contextlib.contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Ctrl-C is the usual end of a camera's recording, which is to be kept; the second one ends the program."""
    stop = threading.Event()
    before = {}

    def ask(number: int, _) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(
    predictions: Iterable[frames.FramePrediction],
    predictor: pipeline.Pipeline,
    folder: pathlib.Path,
    outputs: Sequence[str],
    posteriors: bool,
    summary: Summary,
) -> None:
    """Brings predictions into the files asked for, which appear at the end, and counts them."""
    targets = predictor.targets
    paths = {name: folder / file for name, file in OUTPUTS.items() if name in outputs and file}
    series = figure.Series(targets, posteriors)
    annotator = annotation.Annotator(targets, posteriors)
    faces: set[int] = set()
    with contextlib.ExitStack() as stack:
        writers = []
        if "csv" in outputs:
            writers.append(
                stack.enter_context(table.CsvWriter(paths["csv"], targets, posteriors))
            )
        if "parquet" in outputs:
            writers.append(
                stack.enter_context(table.ParquetWriter(paths["parquet"], targets, posteriors))
            )
        if "jsonl" in outputs:
            writers.append(table.JsonLinesWriter(sys.stdout, targets, posteriors))
        if "figure" in outputs:
            writers.append(series)
        annotated = None
        if "video" in outputs:
            annotated = stack.enter_context(video.VideoWriter(paths["video"]))
        for frame in predictions:
            for writer in writers:
                writer.write(frame)
            if annotated is not None and frame.image is not None:
                annotated.write(annotator.draw(frame.image, frame), frame.timestamp)
            summary.frames += 1
            summary.dropped_frames += frame.dropped
            summary.valid_frames += any(face.valid for face in frame.faces)
            faces.update(face.face_id for face in frame.faces)
            summary.faces = len(faces)
    if "figure" in outputs:
        series.save(paths["figure"], folder.name)


def write_summary(path: pathlib.Path, summaries: Sequence[Summary]) -> None:
    """A row for each input."""
    names = [field.name for field in dataclasses.fields(Summary)]
    with files.whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for summary in summaries:
            row = dataclasses.asdict(summary)
            writer.writerow({**row, "seconds": f"{math.ceil(100 * summary.seconds) / 100:.2f}"})

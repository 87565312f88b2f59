"""What is left of a recording's predictions: tables, a figure, an annotated video."""

import contextlib
import dataclasses
import pathlib
import sys
import threading
from collections.abc import Iterable
from typing import Any

from ast_net import errors
from ast_net.faces import video_writer
from ast_net.prediction import annotation, frame_table, frames, timeline, window
from ast_net.reports import figures

# Each output by its name, and the file it leaves; JSON lines go to the standard output, and nothing stays of a
# window.
OUTPUTS = {
    "csv": "predictions.csv",
    "parquet": "predictions.parquet",
    "figure": "figure.png",
    "video": "annotated.mp4",
    "jsonl": "",
    "window": "",
}
# These need the picture itself.
_PICTURES = {"video", "window"}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a user wants of his recordings.

    Attributes:
      output_dir: gets a folder for each, and summary.csv.
      outputs: some of OUTPUTS.
      posteriors: whether the expressions' are among them.
    """

    output_dir: pathlib.Path
    outputs: tuple[str, ...] = ("csv", "figure", "video")
    posteriors: bool = False

    def __post_init__(self) -> None:
        if not self.outputs or not set(self.outputs) <= set(OUTPUTS):
            raise errors.InputError(
                f"--outputs: found {','.join(self.outputs)}, expected some of {', '.join(OUTPUTS)}"
            )

    @property
    def images(self) -> bool:
        """Whether the pictures themselves are needed."""
        return not _PICTURES.isdisjoint(self.outputs)


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


def write(
    predictions: Iterable[frames.FramePrediction],
    folder: pathlib.Path,
    wanted: Wanted,
    targets: tuple[str, ...],
    summary: Summary,
    stop: threading.Event,
) -> None:
    """Brings predictions into the files asked for, which appear at the end, and counts them."""
    columns = targets, wanted.posteriors
    series, annotator = timeline.Series(*columns), annotation.Annotator(*columns)
    faces: set[int] = set()
    with contextlib.ExitStack() as stack:
        writers: dict[str, Any] = {}
        if "csv" in wanted.outputs:
            writer = frame_table.CsvWriter(folder / OUTPUTS["csv"], *columns)
            writers["csv"] = stack.enter_context(writer)
        if "parquet" in wanted.outputs:
            parquet = frame_table.ParquetWriter(folder / OUTPUTS["parquet"], *columns)
            writers["parquet"] = stack.enter_context(parquet)
        if "jsonl" in wanted.outputs:
            writers["jsonl"] = frame_table.JsonLinesWriter(sys.stdout, *columns)
        if "figure" in wanted.outputs:
            writers["figure"] = series
        if "window" in wanted.outputs:
            shown = window.Window(folder.name, annotator, stop)
            writers["window"] = stack.enter_context(shown)
        if "video" in wanted.outputs:
            annotated = video_writer.VideoWriter(folder / OUTPUTS["video"])
            writers["video"] = _Annotated(stack.enter_context(annotated), annotator)
        for frame in predictions:
            for each in writers.values():
                each.write(frame)
            summary.frames += 1
            summary.dropped_frames += frame.dropped
            summary.valid_frames += any(face.valid for face in frame.faces)
            faces.update(face.face_id for face in frame.faces)
            summary.faces = len(faces)
            if stop.is_set():
                break
    if "figure" in wanted.outputs:
        figures.save(series.draw(folder.name), folder / OUTPUTS["figure"])


@dataclasses.dataclass(frozen=True)
class _Annotated:
    """Draws predictions into a video."""

    writer: video_writer.VideoWriter
    annotator: annotation.Annotator

    def write(self, frame: frames.FramePrediction) -> None:
        if frame.image is not None:
            self.writer.write(self.annotator.draw(frame.image, frame), frame.timestamp)

"""Outputs for a recording's predictions: tables, a figure, an annotated video."""

import contextlib
import dataclasses
import functools
import pathlib
import sys
import threading
from collections.abc import Callable, Iterable

from ast_net import config
from ast_net.faces import video_writer
from ast_net.prediction import annotation, frame_table, frames, timeline, window
from ast_net.reports import figures


@dataclasses.dataclass
class Summary:
    """The result of predicting one input.

    Attributes:
      name, input: the recording's name, and its file or camera.
      frames, valid_frames: the number of frames, and of those with a face.
      dropped_frames: the number of frames that a camera gave too fast to be predicted.
      faces: the number of different faces.
      seconds: the time it took.
      error: the reason why it failed; empty if it did not.
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
        """Formats the result for a terminal."""
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
    settings: config.Outputs,
    targets: tuple[str, ...],
    summary: Summary,
    stop: threading.Event,
) -> None:
    """Writes the outputs, whose files appear at the end, and counts frames and faces in summary."""
    columns = targets, settings.posteriors
    series, annotator = timeline.Series(*columns), annotation.Annotator(*columns)
    faces: set[int] = set()
    with contextlib.ExitStack() as stack:
        writers: list[Callable[[frames.FramePrediction], None]] = []
        if "csv" in settings.outputs:
            table = frame_table.csv_writer(folder / config.OUTPUTS["csv"], *columns)
            writers.append(stack.enter_context(table))
        if "parquet" in settings.outputs:
            table = frame_table.parquet_writer(folder / config.OUTPUTS["parquet"], *columns)
            writers.append(stack.enter_context(table))
        if "jsonl" in settings.outputs:
            writers.append(frame_table.JsonLinesWriter(sys.stdout, *columns).write)
        if "figure" in settings.outputs:
            writers.append(series.write)
        if "window" in settings.outputs:
            shown = window.Window(folder.name, annotator, stop)
            writers.append(stack.enter_context(shown).write)
        if "video" in settings.outputs:
            video = stack.enter_context(video_writer.open_writer(folder / config.OUTPUTS["video"]))
            writers.append(functools.partial(_write_annotated, video, annotator))
        for frame in predictions:
            for write_frame in writers:
                write_frame(frame)
            summary.frames += 1
            summary.dropped_frames += frame.dropped
            summary.valid_frames += any(face.valid for face in frame.faces)
            faces.update(face.face_id for face in frame.faces)
            summary.faces = len(faces)
            if stop.is_set():
                break
    if "figure" in settings.outputs:
        figures.save(series.draw(folder.name), folder / config.OUTPUTS["figure"])


def _write_annotated(
    video: video_writer.VideoWriter,
    annotator: annotation.Annotator,
    frame: frames.FramePrediction,
) -> None:
    if frame.image is not None:
        video.write(annotator.draw(frame.image, frame), frame.timestamp)

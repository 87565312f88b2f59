"""Writes the predictions of one input: tables, a figure, an annotated video."""

import contextlib
import dataclasses
import pathlib
import sys
import threading
from collections.abc import Callable, Generator, Iterable

import numpy as np

from ast_net import config, screen
from ast_net.faces import video_writer
from ast_net.prediction import annotation, frame_table, frames, pipeline, timeline, window
from ast_net.reports import figures


@dataclasses.dataclass
class Summary:
    """The result of predicting one input.

    Attributes:
      name, input: the name of the output folder, and the file or camera.
      frames, valid_frames: number of frames, and of frames that show a face.
      dropped_frames: number of frames that a camera gave too fast to be predicted.
      faces: number of different faces.
      seconds: processing time.
      error: why the input failed; empty if it did not.
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
        rate = self.frames / self.seconds
        dropped = f", {self.dropped_frames} dropped" if self.dropped_frames else ""
        faces = f", {self.faces} different faces" if self.faces > 1 else ""
        return (
            f"{self.name}: {screen.number(self.frames, 'frame')}{dropped}, {self.valid_frames:,} "
            f"with a face{faces}, {rate:.1f} frames/s"
        )


def write(
    predictions: Generator[frames.FramePrediction, None, None],
    frame_count: int | None,
    settings: config.Outputs,
    predictor: pipeline.Pipeline,
    summary: Summary,
    stop: threading.Event,
) -> None:
    """Writes the outputs of one input, and counts its frames and faces in `summary`.

    The files appear when all predictions are written.

    Args:
      predictions: the predicted frames; closed at the end.
      frame_count: approximate number of frames, for the progress bar; None if unknown.
      settings: which outputs to write; they go to a folder `summary.name` in `output_dir`.
      predictor: what predicts the frames; it has the names of the targets and expressions.
      summary: has the name; its counts are filled in.
      stop: ends the recording when set; pressing q in the window sets it, too.
    """
    folder = pathlib.Path(settings.output_dir) / summary.name
    paths = {name: folder / file for name, file in config.OUTPUTS.items()}
    columns = predictor.targets, predictor.expressions if settings.posteriors else ()
    series = timeline.Series(predictor.time_step, *columns)
    annotator = annotation.Annotator(predictor.targets, predictor.expressions)
    face_ids: set[int] = set()
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(contextlib.closing(predictions))
        writers: list[Callable[[frames.FramePrediction], None]] = []
        picture_writers: list[Callable[[np.ndarray, float], None]] = []
        if "csv" in settings.outputs:
            writers.append(enter(frame_table.csv_writer(paths["csv"], *columns)))
        if "parquet" in settings.outputs:
            writers.append(enter(frame_table.parquet_writer(paths["parquet"], *columns)))
        if "jsonl" in settings.outputs:
            writers.append(frame_table.json_lines_writer(sys.stdout, *columns))
        if "figure" in settings.outputs:
            writers.append(series.write)
        if "window" in settings.outputs:
            picture_writers.append(enter(window.opened(summary.name, stop)))
        if "video" in settings.outputs:
            picture_writers.append(enter(video_writer.open_writer(paths["video"])).write)
        shown: Iterable[frames.FramePrediction] = predictions
        # JSON lines on a terminal show by themselves how far they are.
        if "jsonl" not in settings.outputs or not sys.stdout.isatty():
            shown = screen.counted(predictions, f"predicting {summary.name}", frame_count)
        for frame in shown:
            for write_frame in writers:
                write_frame(frame)
            if picture_writers and frame.image is not None:
                picture = annotator.draw(frame.image, frame)
                for write_picture in picture_writers:
                    write_picture(picture, frame.timestamp)
            summary.frames += 1
            summary.dropped_frames += frame.dropped
            summary.valid_frames += any(face.valid for face in frame.faces)
            face_ids.update(face.face_id for face in frame.faces)
            summary.faces = len(face_ids)
            if stop.is_set():
                break
    if "figure" in settings.outputs:
        figures.save(series.draw(summary.name), paths["figure"])

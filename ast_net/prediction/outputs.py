"""Writes the predictions of one input: tables, a figure, an annotated video."""

import contextlib
import dataclasses
import pathlib
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Self

import numpy as np
from absl import logging

from ast_net import config, errors, files, screen
from ast_net.faces import pictures, video_writer
from ast_net.prediction import (
    annotation,
    elan,
    frame_table,
    frames,
    pipeline,
    second_means,
    summaries,
    timeline,
    window,
)
from ast_net.reports import figures


def write(
    predictions: Generator[frames.FramePrediction, None, None],
    frame_count: int | None,
    settings: config.Outputs,
    stages: pipeline.Pipeline,
    summary: summaries.Summary,
    stop: threading.Event,
    photographs: bool = False,
) -> None:
    """Writes the outputs of one input, and counts its frames and faces in `summary`.

    The files appear when all predictions are written. An output that fails does not stop the
    others; its error is raised when these are complete.

    Args:
      predictions: the predicted frames; closed at the end.
      frame_count: approximate number of frames, for the progress bar; None if unknown.
      settings: which outputs to write; they go to a folder `summary.name` in `output_dir`.
      stages: what predicts the frames; it has the names of the targets and expressions.
      summary: has the name; its counts and faces are filled in.
      stop: ends the recording when set; pressing q in the window sets it, too.
      photographs: whether the frames are photographs, whose faces are summed up together.

    Raises:
      InputError: an output cannot be opened, or some outputs failed.
      OSError: the disk is full or read-only, or the reader of standard output has stopped.
    """
    annotator = annotation.Annotator(stages.targets, stages.expressions)
    expressions = stages.expressions if settings.posteriors else ()
    columns = frame_table.Columns(stages.targets, expressions, settings.landmarks, photographs)
    statistics: dict[int | None, summaries.FaceStatistics] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(predictions))
        outputs = stack.enter_context(_Outputs())
        for name in settings.outputs:
            outputs.open(name, _opened(name, settings, columns, stages.time_step, summary, stop))
        shown: Iterable[frames.FramePrediction] = predictions
        # JSON lines on a terminal show by themselves how far they are.
        if "jsonl" not in settings.outputs or not sys.stdout.isatty():
            shown = screen.counted(predictions, f"predicting {summary.name}", frame_count)
        for frame in shown:
            if settings.images and frame.image is not None:
                with outputs.failing_alone("video", "window"):
                    frame.image = annotator.draw(frame.image, frame)
            outputs.write(frame)
            summary.frames += 1
            summary.dropped_frames += frame.dropped
            summary.valid_frames += any(face.valid for face in frame.faces)
            for face in frame.faces:
                if face.valid:
                    face_id = None if photographs else face.face_id
                    if face_id not in statistics:
                        statistics[face_id] = summaries.FaceStatistics(columns.targets, expressions)
                    statistics[face_id].add(face)
            if stop.is_set() or outputs.all_failed:
                break
        outputs.finish()
    summary.faces = [
        {"face_id": face_id, **found.row()}
        for face_id, found in sorted(statistics.items(), key=lambda item: item[0] or 0)
    ]
    for error in outputs.failures.values():
        if files.is_final(error):
            raise error
    if outputs.failures:
        raise errors.InputError(_failures(outputs.failures, settings, summary.name, photographs))


def file_names(settings: config.Outputs, photographs: bool) -> dict[str, str]:
    """Returns the file of each output in an input's folder; "" for one that is not a file."""
    names = config.PHOTOGRAPH_OUTPUTS if photographs else config.OUTPUTS
    return {name: names[name] for name in settings.outputs}


def of_photographs(settings: config.Outputs) -> config.Outputs:
    """Returns the settings without the outputs that photographs do not have, and names these.

    Raises:
      InputError: no output is left.
    """
    left = tuple(name for name in settings.outputs if name in config.PHOTOGRAPH_OUTPUTS)
    rest = " and ".join(name for name in settings.outputs if name not in left)
    if not left:
        raise errors.InputError(
            f"{rest}: only for films, and these are photographs; give some of "
            f"`outputs={','.join(config.PHOTOGRAPH_OUTPUTS)}`"
        )
    if rest:
        logging.info(f"left out for photographs: {rest}")
    return dataclasses.replace(settings, outputs=left)


def _failures(
    failures: dict[str, Exception], settings: config.Outputs, folder: str, photographs: bool
) -> str:
    reasons = []
    for name, error in failures.items():
        file = file_names(settings, photographs)[name]
        path = pathlib.Path(settings.output_dir) / folder / file
        kind = "" if isinstance(error, errors.InputError) else f"{type(error).__name__}: "
        reasons.append(f"{path}: the output {name} failed ({kind}{error})")
    rest = [name for name in settings.outputs if name not in failures]
    return "; ".join([*reasons, *([f"complete: {', '.join(rest)}"] if rest else [])])


_Write = Callable[[frames.FramePrediction], None]


class _Outputs:
    """The open outputs of an input. One that fails is closed, and the others go on.

    Attributes:
      failures: the errors of the failed outputs, by name.
    """

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}
        self._open: dict[str, tuple[contextlib.ExitStack, _Write]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    @property
    def all_failed(self) -> bool:
        """Whether no output is left."""
        return not self._open

    def open(self, name: str, output: contextlib.AbstractContextManager[_Write]) -> None:
        """Opens an output; an error is raised, because nothing can be lost yet."""
        own = self._stack.enter_context(contextlib.ExitStack())
        self._open[name] = own, own.enter_context(output)

    def write(self, frame: frames.FramePrediction) -> None:
        """Writes a frame to all open outputs."""
        for name, (_, write_frame) in list(self._open.items()):
            with self.failing_alone(name):
                write_frame(frame)

    def finish(self) -> None:
        """Completes all open outputs."""
        for name, (own, _) in list(self._open.items()):
            with self.failing_alone(name):
                own.close()

    @contextlib.contextmanager
    def failing_alone(self, *names: str) -> Iterator[None]:
        """Closes these outputs if the block fails, so that what they have begun is deleted."""
        try:
            yield
        except Exception as error:
            for name in names:
                if name in self._open:
                    self.failures[name] = error
                    own, _ = self._open.pop(name)
                    with contextlib.suppress(Exception):
                        own.__exit__(type(error), error, error.__traceback__)


def _opened(
    name: str,
    settings: config.Outputs,
    columns: frame_table.Columns,
    time_step: float,
    summary: summaries.Summary,
    stop: threading.Event,
) -> contextlib.AbstractContextManager[_Write]:
    """Returns an output, which yields the function that writes a frame."""
    title, source = summary.name, pathlib.Path(summary.input)
    film = source if source.is_file() else None
    path = (
        pathlib.Path(settings.output_dir) / title / file_names(settings, columns.photographs)[name]
    )
    if name == "csv":
        return frame_table.csv_writer(path, columns, settings.decimal_comma)
    if name == "seconds":
        return second_means.csv_writer(path, columns.targets, settings.decimal_comma)
    if name == "parquet":
        return frame_table.parquet_writer(path, columns)
    if name == "openface":
        return frame_table.openface_writer(path, columns)
    if name == "elan":
        return elan.writer(path, columns.targets, film)
    if name == "jsonl":
        return contextlib.nullcontext(frame_table.json_lines_writer(sys.stdout, columns))
    if name == "figure":
        series = timeline.Series(time_step, columns.targets, columns.expressions)
        return _figure(path, series, title)
    if name == "window":
        return _pictures(window.opened(title, stop))
    if columns.photographs:
        return _annotated_photographs(path)
    return _pictures(_video(path, film))


@contextlib.contextmanager
def _annotated_photographs(path: pathlib.Path) -> Iterator[_Write]:
    """Yields a function that writes a photograph to a folder, under its own name.

    As with all outputs, the folder appears when it is complete, in place of an older one.
    """
    with files.whole_folder(path) as folder:

        def write_frame(frame: frames.FramePrediction) -> None:
            if frame.image is not None:
                pictures.write(folder / frame.file, frame.image)

        yield write_frame
        if path.exists():
            shutil.rmtree(path)


@contextlib.contextmanager
def _figure(path: pathlib.Path, series: timeline.Series, title: str) -> Iterator[_Write]:
    yield series.write
    figures.save(series.draw(title), path)


@contextlib.contextmanager
def _video(
    path: pathlib.Path, sound: pathlib.Path | None
) -> Iterator[Callable[[np.ndarray, float], None]]:
    with video_writer.open_writer(path, sound=sound) as writer:
        yield writer.write


@contextlib.contextmanager
def _pictures(
    output: contextlib.AbstractContextManager[Callable[[np.ndarray, float], None]],
) -> Iterator[_Write]:
    """Yields a function that gives a frame's picture to an output, if it has one."""
    with output as write_picture:

        def write_frame(frame: frames.FramePrediction) -> None:
            if frame.image is not None:
                write_picture(frame.image, frame.timestamp)

        yield write_frame

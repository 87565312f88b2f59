"""Predictions as a table: CSV, Parquet, and JSON lines for pipes; frame by frame, in constant memory."""

import contextlib
import csv
import json
import math
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from ast_net import errors, files
from ast_net.cnn import expression_head
from ast_net.prediction import frames

# Columns of posteriors are named by the expression, after this.
POSTERIOR_PREFIX = "p_"
_BOX = ("x", "y", "width", "height")
# Digits after the point; of values and posteriors there are _DIGITS.
_DIGITS = 6
_FEWER_DIGITS = {**dict.fromkeys(_BOX, 2), "confidence": 4}
# Rows of a Parquet file that are held in memory, and lie together in the file.
_ROW_GROUP = 8192

Row = dict[str, int | bool | float | None]


def columns(targets: Sequence[str], posteriors: bool = False) -> list[str]:
    """The names of the columns, for these targets; with the seven posteriors if asked for."""
    names = ["frame", "timestamp_s", "face_id", *_BOX, "confidence", "valid", *targets]
    return [*names, *_posterior_columns()] if posteriors else names


def rows(
    frame: frames.FramePrediction, targets: Sequence[str], posteriors: bool = False
) -> list[Row]:
    """A row for each face of a frame, and one if there is none; None where there is nothing to say.

    A face that is not seen but held has no box and no confidence and is not valid, but has its values.
    """
    nothing: Row = dict.fromkeys(columns(targets, posteriors))
    nothing |= {
        "frame": frame.index,
        "timestamp_s": round(frame.timestamp, _DIGITS),
        "valid": False,
    }
    if not frame.faces:
        return [nothing]
    result = []
    for face in frame.faces:
        row = nothing | {"face_id": face.face_id, "valid": face.valid}
        if face.face is not None:
            row |= _numbers((*_BOX, "confidence"), (*face.face.box, face.face.confidence))
        if face.values is not None:
            row |= _numbers(targets, face.values)
        if posteriors and face.posteriors is not None:
            row |= _numbers(_posterior_columns(), face.posteriors)
        result.append(row)
    return result


class CsvWriter:
    """Writes predictions as CSV, empty cells for None; to be used in a `with`.

    The file takes its place when the `with` is left normally; else nothing is left of it.
    """

    def __init__(
        self, path: str | os.PathLike, targets: Sequence[str], posteriors: bool = False
    ) -> None:
        self._path, self._targets, self._posteriors = pathlib.Path(path), targets, posteriors

    def __enter__(self) -> "CsvWriter":
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(files.whole(self._path))
            file = stack.enter_context(temporary.open("w", newline=""))
            self._writer = csv.writer(file)
            self._writer.writerow(columns(self._targets, self._posteriors))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def write(self, frame: frames.FramePrediction) -> None:
        """Adds the rows of a frame.

        Raises:
          OSError: the disk is full or read-only.
        """
        for row in rows(frame, self._targets, self._posteriors):
            self._writer.writerow(_cell(name, value) for name, value in row.items())


class ParquetWriter:
    """Writes predictions as Parquet, null for None; to be used in a `with`, as CsvWriter.

    Raises:
      InputError: the package pyarrow is not installed; `with` has not begun then.
    """

    def __init__(
        self, path: str | os.PathLike, targets: Sequence[str], posteriors: bool = False
    ) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise errors.InputError(
                f"{path}: Parquet needs the package pyarrow, which is not installed ({error}); "
                "pip install pyarrow, or ask for CSV"
            ) from error
        self._arrow: Any = pyarrow
        self._path, self._targets, self._posteriors = pathlib.Path(path), targets, posteriors
        types = {
            "frame": pyarrow.int64(),
            "timestamp_s": pyarrow.float64(),
            "face_id": pyarrow.int32(),
            "valid": pyarrow.bool_(),
        }
        self._schema = pyarrow.schema(
            (name, types.get(name, pyarrow.float32())) for name in columns(targets, posteriors)
        )
        self._rows: list[Row] = []

    def __enter__(self) -> "ParquetWriter":
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(files.whole(self._path))
            writer = self._arrow.parquet.ParquetWriter(temporary, self._schema)
            self._writer = stack.enter_context(writer)
            stack.callback(self._write_row_group)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def write(self, frame: frames.FramePrediction) -> None:
        """Adds the rows of a frame.

        Raises:
          OSError: the disk is full or read-only.
        """
        self._rows += rows(frame, self._targets, self._posteriors)
        if len(self._rows) >= _ROW_GROUP:
            self._write_row_group()

    def _write_row_group(self) -> None:
        if not self._rows:
            return
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()


class JsonLinesWriter:
    """Writes an object a line for each frame, at once: {"frame", "timestamp_s", "faces": [{...}, ...]}.

    A face has the columns of the table from `face_id` on; without a face the list is empty.
    """

    def __init__(self, stream: TextIO, targets: Sequence[str], posteriors: bool = False) -> None:
        self._stream, self._targets, self._posteriors = stream, targets, posteriors

    def write(self, frame: frames.FramePrediction) -> None:
        """Writes the line of a frame.

        Raises:
          BrokenPipeError: nobody reads any more.
        """
        line: dict[str, Any] = {}
        faces = []
        for row in rows(frame, self._targets, self._posteriors):
            line = {name: row.pop(name) for name in ("frame", "timestamp_s")}
            if row["face_id"] is not None:
                faces.append(row)
        self._stream.write(json.dumps({**line, "faces": faces}, allow_nan=False) + "\n")
        self._stream.flush()


def _posterior_columns() -> list[str]:
    return [POSTERIOR_PREFIX + name for name in expression_head.EXPRESSIONS]


def _numbers(names: Sequence[str], values: Iterable) -> Row:
    """Rounded numbers by their columns' names; None for NaN, and never -0."""
    return {
        name: None
        if math.isnan(value)
        else round(float(value), _FEWER_DIGITS.get(name, _DIGITS)) + 0.0
        for name, value in zip(names, values, strict=True)
    }


def _cell(name: str, value: int | bool | float | None) -> str | int:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_FEWER_DIGITS.get(name, _DIGITS)}f}"
    return int(value)

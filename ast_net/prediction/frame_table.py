"""Predictions as CSV, Parquet, and JSON lines for pipes: frame by frame, in constant memory."""

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO

from ast_net import errors, files
from ast_net.prediction import frames
from ast_net.reports import tables

_PLACE = ("x", "y", "width", "height", "confidence")
# Digits after the decimal point: _DIGITS, but for the columns in _FEWER_DIGITS.
_DIGITS = 6
_FEWER_DIGITS = {"x": 2, "y": 2, "width": 2, "height": 2, "confidence": 4}
# Rows of a Parquet file that are held in memory and written together.
_ROW_GROUP = 8192


def columns(targets: Sequence[str], expressions: Sequence[str] = ()) -> list[str]:
    """Names the columns for these targets, and for the posteriors of these expressions."""
    names = ["frame", "timestamp_s", "face_id", *_PLACE, "valid", *targets]
    return names + _posteriors(expressions)


def rows(
    frame: frames.FramePrediction, targets: Sequence[str], expressions: Sequence[str] = ()
) -> list[tables.Row]:
    """Makes a row for each face of a frame, or one row if it has no face; None is no value.

    A face that is held but not seen has values, but no box and no confidence, and is not valid.
    """
    empty: tables.Row = dict.fromkeys(columns(targets, expressions))
    empty |= {"frame": frame.index, "timestamp_s": round(frame.timestamp, _DIGITS), "valid": False}
    result = []
    for face in frame.faces:
        row = empty | {"face_id": face.face_id, "valid": face.valid}
        row |= _numbers(targets, face.values)
        if face.face is not None:
            row |= _numbers(_PLACE, (*face.face.box, face.face.confidence))
        if expressions and face.posteriors is not None:
            row |= _numbers(_posteriors(expressions), face.posteriors)
        result.append(row)
    return result or [empty]


@contextlib.contextmanager
def csv_writer(
    path: str | pathlib.Path, targets: Sequence[str], expressions: Sequence[str] = ()
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Gives a function that adds the rows of a frame to a CSV file; see `tables.csv_writer`."""
    names = columns(targets, expressions)
    digits = dict.fromkeys(names, _DIGITS) | _FEWER_DIGITS
    with tables.csv_writer(path, names, digits) as write_row:

        def write(frame: frames.FramePrediction) -> None:
            for row in rows(frame, targets, expressions):
                write_row(row)

        yield write


@contextlib.contextmanager
def parquet_writer(
    path: str | os.PathLike, targets: Sequence[str], expressions: Sequence[str] = ()
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Gives a function that adds the rows of a frame to a Parquet file, with null for None.

    As with `csv_writer`, the file appears when the `with` ends without an error.

    Raises:
      InputError: the package pyarrow is not installed.
      OSError: the disk is full or read-only.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise errors.InputError(
            f"{path}: Parquet needs pyarrow ({error}); pip install pyarrow, or ask for CSV"
        ) from error
    types = {"frame": "int64", "timestamp_s": "float64", "face_id": "int32", "valid": "bool"}
    names = columns(targets, expressions)
    schema = pyarrow.schema((name, types.get(name, "float32")) for name in names)
    group: list[tables.Row] = []
    with (
        files.whole(pathlib.Path(path)) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema) as parquet,
    ):

        def write(frame: frames.FramePrediction) -> None:
            group.extend(rows(frame, targets, expressions))
            if len(group) >= _ROW_GROUP:
                write_group()

        def write_group() -> None:
            parquet.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            group.clear()

        yield write
        if group:
            write_group()


def json_lines_writer(
    stream: TextIO, targets: Sequence[str], expressions: Sequence[str] = ()
) -> Callable[[frames.FramePrediction], None]:
    """Gives a function that writes a frame as a line: {"frame", "timestamp_s", "faces": [{...}]}.

    The line is there at once. A face has the columns of the table from `face_id` on; without a face
    the list is empty. The function raises BrokenPipeError when the reader has gone.
    """

    def write(frame: frames.FramePrediction) -> None:
        faces = rows(frame, targets, expressions)
        for row in faces:
            line = {name: row.pop(name) for name in ("frame", "timestamp_s")}
        line["faces"] = faces if frame.faces else []
        stream.write(json.dumps(line, allow_nan=False) + "\n")
        stream.flush()

    return write


def _posteriors(expressions: Sequence[str]) -> list[str]:
    return [f"p_{name}" for name in expressions]


def _numbers(names: Sequence[str], values: Iterable) -> tables.Row:
    """Rounds values for the columns of these names; None for NaN, and 0 for -0."""
    return {name: _rounded(name, float(value)) for name, value in zip(names, values, strict=True)}


def _rounded(name: str, value: float) -> float | None:
    digits = _FEWER_DIGITS.get(name, _DIGITS)
    return None if math.isnan(value) else round(value, digits) + 0.0

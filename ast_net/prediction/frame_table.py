"""Makes tables of predictions: CSV, Parquet or JSON lines, frame by frame, and DataFrames."""

import contextlib
import dataclasses
import functools
import itertools
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ast_net import errors, files
from ast_net.prediction import frames
from ast_net.reports import tables

if TYPE_CHECKING:
    import pandas

_BOX = ("x", "y", "width", "height", "confidence")
# x and y of `detection.Face.landmarks`, in their order and with MTCNN's names.
_LANDMARKS = tuple(
    f"{name}_{axis}"
    for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    for axis in "xy"
)
# Digits after the decimal point: _DIGITS, except for the columns in _FEWER_DIGITS. Those of the
# landmarks are enough to align the face again.
_DIGITS = 6
_FEWER_DIGITS = dict.fromkeys(_BOX, 2) | {"confidence": 4} | dict.fromkeys(_LANDMARKS, 3)
# Columns of the table with OpenFace's names; those of the targets and expressions follow.
_OPENFACE = ("frame", "face_id", "timestamp", "confidence", "success")
# Units, for the metadata of Parquet's columns; all others have none.
_UNITS = {"timestamp_s": "s", **dict.fromkeys((*_BOX[:4], *_LANDMARKS), "pixel")}
# Rows that are collected as such, until they become a part of a Parquet file or of a DataFrame.
_ROW_GROUP = 8192


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table of predictions.

    Attributes:
      targets: names of the predicted targets.
      expressions: names of the expressions whose posteriors the table has.
      landmarks: whether it has the landmarks.
      photographs: whether the frames are photographs, which have files and errors, and nothing that
        depends on time.
    """

    targets: Sequence[str]
    expressions: Sequence[str] = ()
    landmarks: bool = False
    photographs: bool = False

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        face = ["face_id", *_BOX, "valid", *self.targets]
        more = [*self.posteriors, *(_LANDMARKS if self.landmarks else ())]
        if self.photographs:
            return ["file", *face, *more, "error"]
        return ["frame", "timestamp_s", *face, *self.smooth, *more]

    @functools.cached_property
    def smooth(self) -> list[str]:
        """The names of the targets' means over a time step."""
        return [f"{target}_smooth" for target in self.targets]

    @functools.cached_property
    def posteriors(self) -> list[str]:
        """The names of the posteriors."""
        return [f"p_{name}" for name in self.expressions]

    def rows(self, frame: frames.FramePrediction) -> list[tables.Row]:
        """Returns a row for each face of a frame, or one if it has no face; None is an empty cell.

        A face that has just left the picture has the values of its last frame, but no box and no
        confidence, and its row is not valid.
        """
        empty: tables.Row = dict.fromkeys(self.names) | {"valid": False}
        if self.photographs:
            empty |= {"file": frame.file, "error": frame.error or None}
        else:
            empty |= {"frame": frame.index, "timestamp_s": round(frame.timestamp, _DIGITS)}
        result = []
        for face in frame.faces:
            row = empty | {"face_id": face.face_id, "valid": face.valid}
            row |= _numbers(self.targets, face.values)
            if not self.photographs:
                row |= _numbers(self.smooth, face.smooth)
            if face.face is not None:
                row |= _numbers(_BOX, (*face.face.box, face.face.confidence))
                if self.landmarks:
                    row |= _numbers(_LANDMARKS, face.face.landmarks.ravel())
            if self.expressions and face.posteriors is not None:
                row |= _numbers(self.posteriors, face.posteriors)
            result.append(row)
        return result or [empty]


@contextlib.contextmanager
def csv_writer(
    path: str | pathlib.Path, columns: Columns, decimal_comma: bool = False
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Yields a function that adds the rows of a frame to a CSV file; see `tables.csv_writer`."""
    digits = dict.fromkeys(columns.names, _DIGITS) | _FEWER_DIGITS
    with tables.csv_writer(path, columns.names, digits, decimal_comma) as write_row:

        def write(frame: frames.FramePrediction) -> None:
            for row in columns.rows(frame):
                write_row(row)

        yield write


@contextlib.contextmanager
def openface_writer(
    path: str | pathlib.Path, columns: Columns
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Does the same as `csv_writer` with the first columns of OpenFace 2's tables.

    As there, frames count from 1, and a frame without a face has the confidence 0, the success 0
    and the face_id 0. The targets follow, smooth and raw, and the posteriors.
    """
    values = [*columns.targets, *columns.smooth, *columns.posteriors]
    digits = dict.fromkeys(values, _DIGITS) | {"timestamp": 3, "confidence": 4}
    with tables.csv_writer(path, [*_OPENFACE, *values], digits) as write_row:

        def write(frame: frames.FramePrediction) -> None:
            for row in columns.rows(frame):
                first = {
                    "frame": frame.index + 1,
                    "face_id": row["face_id"] or 0,
                    "timestamp": row["timestamp_s"],
                    "confidence": row["confidence"] or 0.0,
                    "success": row["valid"],
                }
                write_row(first | {name: row[name] for name in values})

        yield write


@contextlib.contextmanager
def parquet_writer(
    path: str | os.PathLike, columns: Columns
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Yields a function that adds the rows of a frame to a Parquet file, with null for None.

    As with `csv_writer`, the file appears when the `with` block ends without an error.

    Raises:
      InputError: the package pyarrow is not installed.
      OSError: the disk is full or read-only.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise errors.InputError(
            f"{path}: writing Parquet needs pyarrow ({error}): pip install pyarrow, or write "
            "`outputs=csv`"
        ) from error
    types = {"frame": "int64", "timestamp_s": "float64", "face_id": "int32", "valid": "bool"}
    types |= {"file": "string", "error": "string"}
    schema = pyarrow.schema(
        pyarrow.field(name, types.get(name, "float32"), metadata={"unit": _UNITS.get(name, "1")})
        for name in columns.names
    )
    group: list[tables.Row] = []
    with (
        files.whole(pathlib.Path(path)) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema) as parquet,
    ):

        def write(frame: frames.FramePrediction) -> None:
            for row in columns.rows(frame):
                group.append({name: _utf8(value) for name, value in row.items()})
            if len(group) >= _ROW_GROUP:
                write_group()

        def write_group() -> None:
            parquet.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            group.clear()

        yield write
        if group:
            write_group()


def data_frame(
    predictions: Iterable[frames.FramePrediction], columns: Columns
) -> "pandas.DataFrame":
    """Returns the table as a pandas.DataFrame, with the numbers of the CSV file.

    `frame` is int64, `face_id` Int64 (pandas.NA where there is no face), `valid` bool, `file` and
    `error` are texts, and all other columns are float64 (NaN for an empty cell).
    """
    import pandas  # Takes half a second, and no command needs it.

    special = {"frame": "int64", "face_id": "Int64", "valid": "bool"}
    special |= {"file": "object", "error": "object"}
    types = {name: special.get(name, "float64") for name in columns.names}
    rows = itertools.chain.from_iterable(map(columns.rows, predictions))
    parts = [pandas.DataFrame([], columns=columns.names).astype(types)]
    while group := list(itertools.islice(rows, _ROW_GROUP)):
        parts.append(pandas.DataFrame(group, columns=columns.names).astype(types))
    return pandas.concat(parts[1:] or parts, ignore_index=True)


def json_lines_writer(stream: TextIO, columns: Columns) -> Callable[[frames.FramePrediction], None]:
    """Returns a function that writes a frame as a line: {"frame", "timestamp_s", "faces": [...]}.

    Each face is an object with the table's columns from `face_id` on; a frame without a face has an
    empty list. A photograph has {"file", "error", "faces"}. Each line is flushed. The function
    raises BrokenPipeError when the reader has gone.
    """

    def write(frame: frames.FramePrediction) -> None:
        faces = columns.rows(frame)
        about_frame = ("file", "error") if columns.photographs else ("frame", "timestamp_s")
        for row in faces:
            line = {name: row.pop(name) for name in about_frame}
        line["faces"] = faces if frame.faces else []
        stream.write(json.dumps(line, allow_nan=False) + "\n")
        stream.flush()

    return write


def _utf8(value: Any) -> Any:
    """Replaces what is not UTF-8 in a file's name; Parquet's texts are UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    return value


def _numbers(names: Sequence[str], values: Iterable) -> tables.Row:
    """Rounds the values of these columns; None for NaN, and 0 for -0."""
    return {name: _rounded(name, float(value)) for name, value in zip(names, values, strict=True)}


def _rounded(name: str, value: float) -> float | None:
    digits = _FEWER_DIGITS.get(name, _DIGITS)
    return None if math.isnan(value) else round(value, digits) + 0.0

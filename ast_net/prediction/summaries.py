"""Sums up the predictions of inputs: a row of summary.csv for each face, a line for the screen."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from ast_net import files, screen
from ast_net.prediction import frames
from ast_net.reports import tables

# Columns of all summaries. Those of the model's targets and expressions follow.
_COLUMNS = (
    *("name", "input", "face_id", "frames", "valid_frames", "dropped_frames"),
    *("processing_seconds", "precision", "error"),
)
_TEXTS = ("name", "input", "precision", "error")
_COUNTS = ("face_id", "frames", "valid_frames", "dropped_frames")
_DIGITS = 4


@dataclasses.dataclass
class Summary:
    """The result of predicting one input.

    Attributes:
      name, input: the name of the output folder, and the file or camera.
      frames, valid_frames: number of frames, and of frames that show a face.
      dropped_frames: number of frames that a camera gave too fast to be predicted.
      processing_seconds: how long the prediction took.
      precision: the CNN's, such as float32; what auto came to.
      error: why the input failed; empty if it did not.
      faces: what `FaceStatistics` found about each face; about all faces together where these are
        of photographs, which have nothing to do with each other.
    """

    name: str
    input: str
    frames: int = 0
    valid_frames: int = 0
    dropped_frames: int = 0
    processing_seconds: float = 0.0
    precision: str = ""
    error: str = ""
    faces: list[tables.Row] = dataclasses.field(default_factory=list)

    def rows(self) -> list[tables.Row]:
        """Returns the rows of summary.csv: one for each face, or one if there is none."""
        row = {"face_id": None, **vars(self)}
        del row["faces"]
        return [{name: row[name] for name in _COLUMNS} | face for face in self.faces or [{}]]

    def line(self, folder: str | os.PathLike | None = None) -> str:
        """Formats the result for a terminal.

        Args:
          folder: where the results are; None if they are not files.
        """
        if self.error:
            return f"{self.name}: failed: {self.error}"
        rate = f"{self.frames / self.processing_seconds:.1f} frames/s"
        share = f"face in {100 * self.valid_frames / max(1, self.frames):.0f} % of"
        found = share if self.valid_frames else "no face found in"
        parts = [f"{found} {screen.number(self.frames, 'frame')}", rate]
        if self.dropped_frames:
            parts.insert(1, f"{self.dropped_frames} dropped")
        if len(self.faces) > 1:
            parts.insert(0, f"{len(self.faces)} faces")
        means = [f"{target} {mean:z.2f}" for target, mean in self._means().items()]
        place = f"; {screen.shown(folder)}{os.sep}" if folder is not None else ""
        return f"{self.name}: {', '.join(means + parts)}{place}"

    def _means(self) -> dict[str, float]:
        """Returns the mean of each target over all faces and their frames."""
        weights = [face["valid_frames"] for face in self.faces]
        names = [name for name in (self.faces or [{}])[0] if name.endswith("_mean")]
        return {
            name.removesuffix("_mean"): float(
                np.average([face[name] for face in self.faces], weights=weights)
            )
            for name in names
        }


class FaceStatistics:
    """Statistics of a face over the frames that show it, in constant memory."""

    def __init__(self, targets: Sequence[str], expressions: Sequence[str]) -> None:
        """Takes the names of the targets, and of the expressions if posteriors are predicted."""
        self._targets, self._expressions = targets, expressions
        self._count = 0
        self._sum, self._squares = np.zeros((2, len(targets)))
        self._min, self._max = np.full(len(targets), np.inf), np.full(len(targets), -np.inf)
        self._most_probable = np.zeros(len(expressions), int)

    def add(self, face: frames.FacePrediction) -> None:
        """Adds a frame that shows the face."""
        values = face.smooth.astype(np.float64)
        self._count += 1
        self._sum += values
        self._squares += values**2
        self._min, self._max = np.minimum(self._min, values), np.maximum(self._max, values)
        if len(self._expressions) and face.posteriors is not None:
            self._most_probable[face.posteriors.argmax()] += 1

    def row(self) -> tables.Row:
        """Returns valid_frames; mean, sd, min, max of the smooth values; and share of expressions.

        The standard deviation divides by n - 1; of a single frame it is NaN. An expression's share
        is the fraction of the frames in which it is the most probable one.
        """
        n = self._count
        mean = self._sum / n
        variance = (self._squares - n * mean**2) / (n - 1) if n > 1 else np.full_like(mean, np.nan)
        columns = {"mean": mean, "sd": np.sqrt(np.maximum(variance, 0))}
        columns |= {"min": self._min, "max": self._max}
        row: tables.Row = {"valid_frames": n}
        for k, target in enumerate(self._targets):
            row |= {f"{target}_{name}": float(values[k]) for name, values in columns.items()}
        shares = self._most_probable / n
        return row | {f"share_{name}": float(s) for name, s in zip(self._expressions, shares)}


def write(path: pathlib.Path, rows: Sequence[tables.Row], decimal_comma: bool = False) -> None:
    """Writes summary.csv; rows of models with other targets or expressions have empty cells."""
    columns = list(dict.fromkeys([*_COLUMNS, *(name for row in rows for name in row)]))
    digits = dict.fromkeys(columns, _DIGITS) | {"processing_seconds": 2}
    with tables.csv_writer(path, columns, digits, decimal_comma) as write_row:
        for row in rows:
            write_row(dict.fromkeys(columns) | row)


def read(path: pathlib.Path, remedy: str) -> list[tables.Row]:
    """Reads a summary.csv, with decimal points or commas; None is an empty cell.

    Raises:
      InputError: the file is not such a summary; the message ends with `remedy`.
    """
    with (
        files.reading(path, "a summary of predict", remedy),
        path.open(newline="", **files.ENCODING) as file,
    ):
        decimal_comma = file.read(1) == tables.BYTE_ORDER_MARK
        file.seek(len(tables.BYTE_ORDER_MARK.encode()) if decimal_comma else 0)
        header, *rows = csv.reader(file, delimiter=";" if decimal_comma else ",", strict=True)
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS:
            raise ValueError(f"found the columns {', '.join(header)}")
        return [
            {name: _value(name, cell) for name, cell in zip(header, row, strict=True)}
            for row in rows
        ]


def _value(column: str, cell: str) -> str | int | float | None:
    if column in _TEXTS:
        return cell
    if not cell:
        return None
    return int(cell) if column in _COUNTS else float(cell.replace(",", "."))

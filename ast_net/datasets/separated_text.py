"""Text tables as people have them: cells between `,`, `;` or tabs, decimal points or commas."""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ast_net import errors, files

# float() also takes what is a mistake in a file: 1_0, infinity, digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan", "na", "n/a", "none", "null", "?")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclasses.dataclass(frozen=True)
class Table:
    """The cells of a file, without the blanks around them.

    Attributes:
      path: the file.
      names: the names of the columns, as in the file.
      rows: each row's line number in the file, counted from 1, and a cell for each column.
    """

    path: pathlib.Path
    names: tuple[str, ...]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> int:
        """Finds the index of a column by its name in lower case."""
        return [title.lower() for title in self.names].index(name)


def read(path: pathlib.Path, required: Sequence[str], headerless: Sequence[str] = ()) -> Table:
    """Reads a file with a header.

    The delimiter is the one of `,`, `;` and tab that finds the required columns in the header.
    Byte order marks, either line ending, quotes, blank lines, blanks around cells, and empty cells
    after the last column do not matter.

    Args:
      path: UTF-8 text, or UTF-16 with a byte order mark.
      required: columns that the header must name, once each, in lower case.
      headerless: the names of the columns if the first line has only numbers; if empty, the file
        must have a header.

    Raises:
      InputError: the file is missing, empty or not text, has no such header or no row, or a line
        has too many or too few cells.
    """
    text = read_text(path)
    first = next((line for line in split_lines(text) if line.strip(' \t;,"')), "")[:10_000]
    if not first:
        raise errors.InputError(f"{path}: the file is empty; expected a header and rows")
    for delimiter in (";", ",", "\t"):
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
        if set(required) <= {name.lower() for name in names}:
            return make_table(path, text, delimiter, required)
        if headerless and len(names) > 1 and all(_NUMBER.fullmatch(name) for name in names):
            return make_table(path, text, delimiter, required, headerless)
    raise errors.InputError(
        f"{path}: found the header {first[:100]!r}; expected {' and '.join(required)} among the "
        "names of the columns, separated by commas, semicolons or tabs"
    )


def read_text(path: pathlib.Path) -> str:
    """Reads a file in UTF-8, or in UTF-16 with a byte order mark, and drops that mark.

    Raises:
      InputError: the file is missing, cannot be read or is not text.
    """
    with files.reading(path, "UTF-8 text"):
        content = path.read_bytes()
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
        if "\0" in text:
            raise ValueError("it has zero bytes")
    return text


def split_lines(text: str) -> list[str]:
    """Splits text into lines as csv counts them; str.splitlines has more line ends."""
    return re.split(r"\r\n|\r|\n", text)


def make_table(
    path: pathlib.Path,
    text: str,
    delimiter: str,
    required: Sequence[str],
    names: Sequence[str] = (),
    first: int = 1,
) -> Table:
    """Splits text into a table; blank lines and empty cells after the last column are left out.

    Args:
      path: the file that the text comes from.
      text: rows of cells.
      delimiter: what is between cells.
      required: columns that there must be, once each, in lower case.
      names: of the columns; if empty, the first row has them.
      first: the line in which the text begins.

    Raises:
      InputError: a quote is not closed, there is no row, one has too many or too few cells, or a
        required column is missing.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], first
    try:
        for cells in reader:
            if reader.line_num + first - 1 > line:
                raise csv.Error("a quote is opened in this line and not closed")
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append((line, cells))
            line += 1
    except csv.Error as error:
        raise errors.InputError(f"{path}, line {line}: {error}; expected a row of cells") from error
    if not names:
        names = rows.pop(0)[1]
    if not rows:
        raise errors.InputError(f"{path}: a header without rows; the copy may be cut off")
    while not names[-1] and not any(any(cells[len(names) - 1 :]) for _, cells in rows):
        names = names[:-1]
    for line, cells in rows:
        if len(cells) < len(names) or any(cells[len(names) :]):
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(names)}: "
                + ", ".join(names)
            )
    for name in required:
        count = [title.lower() for title in names].count(name)
        if count != 1:
            raise errors.InputError(f"{path}: {count} columns are named {name}; expected one")
    return Table(path, tuple(names), [(line, cells[: len(names)]) for line, cells in rows])


def numbers(table: Table, columns: Sequence[int]) -> np.ndarray:
    """Reads the numbers of some columns, float64 [R, columns]; NaN where one is missing.

    Raises:
      InputError: a cell is not a finite number, or only some cells have decimal commas.
    """
    result = np.full((len(table.rows), len(columns)), np.nan)
    marks: dict[str, str] = {}
    for row, (line, cells) in enumerate(table.rows):
        for k, index in enumerate(columns):
            cell = cells[index]
            if cell.lower() in _MISSING:
                continue
            where = f"{table.path}, line {line}, column {table.names[index]}"
            number = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else np.inf
            if np.isinf(number):
                raise errors.InputError(
                    f"{where}: found {cell!r}, expected a number such as -0.25, or nothing or NaN"
                )
            marks |= {mark: f"{cell} in line {line}" for mark in ".," if mark in cell}
            if len(marks) == 2:
                raise errors.InputError(
                    f"{where}: decimal points and decimal commas in one file "
                    f"({' and '.join(marks.values())}); expected one of them throughout"
                )
            result[row, k] = number
    return result

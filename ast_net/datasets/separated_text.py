"""Reads text tables: cells separated by `,`, `;` or tabs, with decimal points or commas."""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ast_net import errors, files

# float() also accepts what is a mistake in a file: 1_0, infinity, digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan", "na", "n/a", "none", "null", "?")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclasses.dataclass(frozen=True)
class Table:
    """The cells of a file, stripped of surrounding whitespace.

    Attributes:
      path: the file.
      names: the names of the columns, as in the file.
      rows: the line number of each row in the file, counted from 1, and a cell for each column.
    """

    path: pathlib.Path
    names: tuple[str, ...]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> int:
        """Returns the index of a column, by its name in lower case."""
        return [title.lower() for title in self.names].index(name)


def read(
    path: pathlib.Path,
    required: Sequence[str],
    headerless: Sequence[str] = (),
    one_of: Sequence[str] = (),
) -> Table:
    """Reads a table with a header.

    The delimiter is the one of `;`, `,` and tab with which the header has the expected columns.
    Byte order marks, any line ending, quotes, blank lines, whitespace around cells, and empty cells
    after the last column are accepted.

    Args:
      path: UTF-8 text, or UTF-16 with a byte order mark.
      required: columns that the header must have, once each, in lower case.
      headerless: the names of the columns if the first line has only numbers; if empty, the file
        must have a header.
      one_of: columns of which the header must have at least one, in lower case.

    Raises:
      InputError: the file is missing, empty or not text, has no such header or no rows, or a line
        has too many or too few cells.
    """
    text = read_text(path)
    header = next((line for line in split_lines(text) if line.strip(' \t;,"')), "")[:10_000]
    if not header:
        raise errors.InputError(f"{path}: the file is empty; expected a header and rows")
    for delimiter in (";", ",", "\t"):
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
        lowered = {name.lower() for name in names}
        if set(required) <= lowered and (not one_of or lowered & set(one_of)):
            return make_table(path, text, delimiter, required)
        if headerless and len(names) > 1 and all(_NUMBER.fullmatch(name) for name in names):
            return make_table(path, text, delimiter, required, headerless)
    raise errors.InputError(
        f"{path}: found the header {header[:100]!r}; expected a header with "
        f"{', '.join([*required, *one_of[:1]])}; columns are separated by commas, semicolons or "
        "tabs"
    )


def read_text(path: pathlib.Path) -> str:
    """Reads a text file in UTF-8, or in UTF-16 with a byte order mark, without that mark.

    Raises:
      InputError: the file is missing, cannot be read or is not text.
    """
    with files.reading(path, "UTF-8 text"):
        content = path.read_bytes()
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
        if "\0" in text:
            raise ValueError("it contains zero bytes")
    return text


def split_lines(text: str) -> list[str]:
    """Splits text into lines as the csv module counts them; str.splitlines knows more line ends."""
    return re.split(r"\r\n|\r|\n", text)


def make_table(
    path: pathlib.Path,
    text: str,
    delimiter: str,
    required: Sequence[str],
    names: Sequence[str] = (),
    first: int = 1,
) -> Table:
    """Makes a table of text; skips blank lines and empty cells after the last column.

    Args:
      path: the file that the text comes from.
      text: rows of cells.
      delimiter: the character between cells.
      required: columns that the table must have, once each, in lower case.
      names: the names of the columns; if empty, the first row has them.
      first: the line number in the file at which the text begins.

    Raises:
      InputError: a quote is not closed, there are no rows, a row has too many or too few cells, or
        a required column is missing or repeated.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], first
    try:
        for cells in reader:
            # A row that takes more than one line has a line end inside quotes.
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
        raise errors.InputError(
            f"{path}: the file has a header but no rows; it may be truncated: copy it again"
        )
    # Columns at the end without a name and without content come from trailing delimiters.
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
    """Reads the numbers in some columns, float64 [R, columns]; NaN where one is missing.

    Raises:
      InputError: a cell is not a finite number, or the cells mix decimal points and commas.
    """
    result = np.full((len(table.rows), len(columns)), np.nan)
    # For "." and ",", a cell that uses it as decimal mark, for the error message.
    marks: dict[str, str] = {}
    for row, (line, cells) in enumerate(table.rows):
        for k, index in enumerate(columns):
            cell = cells[index]
            if cell.lower() in _MISSING:
                continue
            place = f"{table.path}, line {line}, column {table.names[index]}"
            number = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else np.inf
            if np.isinf(number):
                raise errors.InputError(
                    f"{place}: found {cell!r}, expected a number such as -0.25, or an empty cell "
                    "or NaN for a missing value"
                )
            marks |= {mark: f"{cell} in line {line}" for mark in ".," if mark in cell}
            if len(marks) == 2:
                raise errors.InputError(
                    f"{place}: found decimal points and decimal commas in one file "
                    f"({' and '.join(marks.values())}); expected the same throughout"
                )
            result[row, k] = number
    return result

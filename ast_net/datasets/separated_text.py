"""Text tables as people have them: cells between `,`, `;` or tabs, decimal points or commas."""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ast_net import errors

DELIMITERS = (";", ",", "\t")
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


def read(
    path: str | pathlib.Path, required: Sequence[str], headerless: Sequence[str] = ()
) -> Table:
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
    path = pathlib.Path(path)
    text = read_text(path)
    first = next((line for line in split_lines(text) if line.strip(' \t;,"')), "")[:10_000]
    if not first:
        raise errors.InputError(f"{path}: the file is empty; expected a header and rows")
    cells = {delimiter: _cells(first, delimiter) for delimiter in DELIMITERS}
    for delimiter, names in cells.items():
        if set(required) <= {name.lower() for name in names}:
            rows = parse(path, text, delimiter)
            return _checked(path, rows[0][1], rows[1:], required)
        if headerless and len(names) > 1 and all(_NUMBER.fullmatch(name) for name in names):
            return _checked(path, list(headerless), parse(path, text, delimiter), required)
    raise errors.InputError(
        f"{path}: found the header {first[:100]!r}; expected {' and '.join(required)} among the "
        "names of the columns, separated by commas, semicolons or tabs"
    )


def read_text(path: pathlib.Path) -> str:
    """Reads a file in UTF-8, or in UTF-16 with a byte order mark, and drops that mark.

    Raises:
      InputError: the file is missing, cannot be read or is not text.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise errors.InputError(f"{path}: no such file; expected a text file here") from None
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InputError(
            f"{path}: is not a text file in UTF-8 ({error.reason} at byte {error.start}); "
            "save it as UTF-8, or copy it again"
        ) from error
    if "\0" in text:
        raise errors.InputError(f"{path}: is not a text file: it has zero bytes; copy it again")
    return text


def split_lines(text: str) -> list[str]:
    """Splits text into lines as csv counts them; str.splitlines has more line ends."""
    return re.split(r"\r\n|\r|\n", text)


def parse(
    path: pathlib.Path, text: str, delimiter: str, first: int = 1
) -> list[tuple[int, list[str]]]:
    """Splits text, which starts in line `first`, into rows: line number and cells.

    Blank lines are left out.

    Raises:
      InputError: a quote is not closed.
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
    return rows


def column(table: Table, name: str) -> int:
    """Finds the index of a column by its name in lower case."""
    return [title.lower() for title in table.names].index(name)


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
                    f"{where}: found {cell!r}, expected a number such as -0.25, or nothing or "
                    "NaN where a number is missing"
                )
            for mark in ".,":
                if mark in cell:
                    marks.setdefault(mark, f"{cell} in line {line}")
            if len(marks) == 2:
                raise errors.InputError(
                    f"{where}: decimal points and decimal commas in one file "
                    f"({' and '.join(marks.values())}); expected one of them throughout"
                )
            result[row, k] = number
    return result


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _checked(
    path: pathlib.Path, names: list[str], rows: list[tuple[int, list[str]]], required: Sequence[str]
) -> Table:
    """Makes a table, having checked that every row has a cell for each column."""
    if not rows:
        raise errors.InputError(
            f"{path}: a header without rows; the copy may be incomplete, so copy it again"
        )
    while not names[-1] and not any(any(cells[len(names) - 1 :]) for _, cells in rows):
        names = names[:-1]
    for line, cells in rows:
        if len(cells) < len(names) or any(cells[len(names) :]):
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(names)}: "
                f"{', '.join(names)}"
            )
    lowered = [name.lower() for name in names]
    for name in required:
        if lowered.count(name) != 1:
            raise errors.InputError(
                f"{path}: {lowered.count(name)} columns are named {name}; expected one"
            )
    return Table(path, tuple(names), [(line, cells[: len(names)]) for line, cells in rows])

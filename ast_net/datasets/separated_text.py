"""Separated text as people have it: `,`, `;` or tab between cells, decimal point or decimal comma."""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ast_net import errors

DELIMITERS = (";", ",", "\t")
# float() takes more than people write into a file: 1_0, infinity, digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan", "na", "n/a", "none", "null", "?")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells without the blanks around them.

    Attributes:
      path: the file.
      names: of the columns, as in the file.
      rows: of each row its line in the file, counted from 1, and a cell for each column.
    """

    path: pathlib.Path
    names: tuple[str, ...]
    rows: list[tuple[int, list[str]]]


def read(
    path: str | pathlib.Path, required: Sequence[str], headerless: Sequence[str] = ()
) -> Table:
    """Reads a file with a header.

    The delimiter is that of `,`, `;` and tab which makes the required columns out of the header. Byte order
    marks, either line ending, quotes, blank lines, blanks around cells, and empty cells after the last
    column do not matter.

    Args:
      path: UTF-8 text, or UTF-16 with a byte order mark.
      required: columns that the header must name, once each, in lower case.
      headerless: the columns' names if the first line has only numbers; not allowed if empty.

    Raises:
      InputError: the file is missing, empty or no text, has no such header or no row, or a line in it has
        too many or too few cells.
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
        f"{path}: found the header {first[:100]!r}; expected {' and '.join(required)} among the names of "
        "the columns, separated by commas, semicolons or tabs"
    )


def read_text(path: pathlib.Path) -> str:
    """The text of a file, without its byte order mark.

    Raises:
      InputError: the file is missing or no text.
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
            f"{path}: is no text in UTF-8 ({error.reason} at byte {error.start}); expected a table of text: "
            "save it as UTF-8, or restore the file"
        ) from error
    if "\0" in text:
        raise errors.InputError(f"{path}: is no text, as it has zero bytes; restore the file")
    return text


def split_lines(text: str) -> list[str]:
    """Lines as csv counts them; str.splitlines knows more ends of a line."""
    return re.split(r"\r\n|\r|\n", text)


def parse(
    path: pathlib.Path, text: str, delimiter: str, first: int = 1
) -> list[tuple[int, list[str]]]:
    """Line number and stripped cells of each line that is not blank; the text starts in line `first`."""
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
        raise errors.InputError(f"{path}, line {line}: {error}; expected cells in a row") from error
    return rows


def column(table: Table, name: str) -> int:
    """The index of a column, whatever the case of its letters."""
    return [found.lower() for found in table.names].index(name)


def numbers(table: Table, columns: Sequence[int]) -> np.ndarray:
    """The numbers of some columns, float64 [R, columns]; NaN where a cell is empty or says so.

    Raises:
      InputError: a cell is no finite number, or some have a decimal point and others a decimal comma.
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
                    f"{where}: found {cell!r}, expected a number such as -0.25, or nothing where there is none"
                )
            for mark in ".,":
                if mark in cell:
                    marks.setdefault(mark, f"{cell} in line {line}")
            if len(marks) == 2:
                raise errors.InputError(
                    f"{where}: decimal points and decimal commas in one file ({' and '.join(marks.values())}); "
                    "expected one of them throughout"
                )
            result[row, k] = number
    return result


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _checked(
    path: pathlib.Path, names: list[str], rows: list[tuple[int, list[str]]], required: Sequence[str]
) -> Table:
    """A table in which every row has a cell for each column."""
    if not rows:
        raise errors.InputError(f"{path}: a header without rows; the copy may be incomplete")
    while not names[-1] and not any(any(cells[len(names) - 1 :]) for _, cells in rows):
        names = names[:-1]
    for line, cells in rows:
        if len(cells) < len(names) or any(cells[len(names) :]):
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(names)}: {', '.join(names)}"
            )
    lowered = [name.lower() for name in names]
    for name in required:
        if lowered.count(name) != 1:
            raise errors.InputError(
                f"{path}: {lowered.count(name)} columns are named {name}; expected one"
            )
    return Table(path, tuple(names), [(line, cells[: len(names)]) for line, cells in rows])

"""Writes tables as CSV and JSON, and formats them as text and Markdown."""

import contextlib
import csv
import itertools
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ast_net import files

# A cell is a str, int, bool, float or None.
Row = dict[str, Any]
# Digits after the decimal point of a float: a number for all columns, or numbers by column name.
# Without a number (None, or a column that is not named), floats are written with all digits.
Digits = int | Mapping[str, int] | None
# How a text begins that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Tells Excel that a file is UTF-8.
BYTE_ORDER_MARK = "\ufeff"


@contextlib.contextmanager
def csv_writer(
    path: str | pathlib.Path,
    columns: Sequence[str],
    digits: Digits = None,
    decimal_comma: bool = False,
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yields a function that appends a row to a CSV file, in constant memory.

    None and NaN become empty cells, True and False become 1 and 0. Text that a spreadsheet would
    take for a formula gets an apostrophe in front. The file appears when the `with` block ends
    without an error; otherwise an older file is kept unchanged.

    Args:
      path: the file.
      columns: names of the columns.
      digits: digits after the decimal point.
      decimal_comma: whether cells are separated by semicolons, numbers have decimal commas, and a
        byte order mark is in front, as a spreadsheet program expects where these are usual.

    Raises:
      ValueError: a row has different columns.
      OSError: the disk is full or read-only.
    """
    by_column = {name: _digits_of(digits, name) for name in columns}
    with (
        files.whole(path) as temporary,
        temporary.open("w", newline="", **files.ENCODING) as file,
    ):
        if decimal_comma:
            file.write(BYTE_ORDER_MARK)
        writer = csv.writer(file, delimiter=";" if decimal_comma else ",")
        writer.writerow(by_column)

        def write_row(row: Mapping[str, Any]) -> None:
            if row.keys() != by_column.keys():
                raise ValueError(f"expected the columns {list(by_column)}, found {list(row)}")
            cells = (_csv_cell(row[name], n, decimal_comma) for name, n in by_column.items())
            writer.writerow(cells)

        yield write_row


def write(path: str | pathlib.Path, rows: Iterable[Mapping[str, Any]], digits: Digits = 4) -> None:
    """Writes rows as CSV with the columns of the first row; see `csv_writer`."""
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))
    columns = [name for row in first for name in row]
    with csv_writer(path, columns, digits) as write_row:
        for row in itertools.chain(first, rows):
            write_row(row)


def text(rows: Sequence[Mapping[str, Any]], digits: Digits = 4) -> str:
    """Formats rows as a text table with right-aligned columns; None and NaN become n/a.

    Columns that have n/a in every row are left out.
    """
    lines = [list(rows[0])]
    for row in rows:
        lines.append([_cell(v, _digits_of(digits, name), "n/a") for name, v in row.items()])
    columns = [column for column in zip(*lines) if {*column[1:]} != {"n/a"}]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in zip(*columns))


def markdown(rows: Sequence[Mapping[str, Any]], digits: Digits = 4) -> str:
    """Formats rows as a Markdown table; None and NaN become empty cells."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    for row in rows:
        lines.append([_cell(v, _digits_of(digits, name), "") for name, v in row.items()])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_json(path: str | pathlib.Path, document: dict[str, Any]) -> None:
    """Writes a document as JSON (`json_data`)."""
    text = json.dumps(json_data(document), indent=2) + "\n"
    with files.whole(path) as temporary:
        temporary.write_text(text, **files.ENCODING)


def json_data(document: dict[str, Any]) -> dict[str, Any]:
    """Returns a document as its JSON is read, with None for NaN, which JSON does not have."""
    # `dumps` writes NaN and `loads` turns it into None. An infinity is a bug and raises KeyError.
    return json.loads(json.dumps(document), parse_constant={"NaN": None}.__getitem__)


def _digits_of(digits: Digits, column: str) -> int | None:
    return digits.get(column) if isinstance(digits, Mapping) else digits


def escaped(text: str) -> str:
    """Returns a text as a CSV file has it: with an apostrophe if it would become a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_cell(value: Any, digits: int | None, decimal_comma: bool) -> str:
    if isinstance(value, str):
        return escaped(value)
    cell = _cell(value, digits, "")
    return cell.replace(".", ",") if decimal_comma else cell


def _cell(value: Any, digits: int | None, missing: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return missing
    if isinstance(value, float):
        # z: a number that is rounded to 0 loses its sign.
        return repr(float(value)) if digits is None else f"{value:z.{digits}f}"
    return str(int(value)) if isinstance(value, bool) else str(value)

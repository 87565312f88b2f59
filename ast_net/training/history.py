"""Reads and writes history.csv: a row for each epoch with its losses, CC and CCC."""

import csv
import pathlib

from ast_net import files
from ast_net.reports import tables

History = list[dict[str, float]]


def read(path: pathlib.Path) -> History:
    """Reads the rows of the file, without the epoch numbers.

    Raises:
      InputError: the file is missing or damaged.
    """
    content, remedy = "a row of numbers for each epoch", "give another `workdir`"
    with files.reading(path, content, remedy), path.open(newline="") as file:
        rows = csv.DictReader(file)
        # An undefined value is an empty cell.
        return [{k: float(v or "nan") for k, v in row.items() if k != "epoch"} for row in rows]


def write(path: pathlib.Path, rows: History) -> None:
    """Writes all rows, numbered from 1, with all digits, because a continued run compares them."""
    numbered = ({"epoch": epoch, **row} for epoch, row in enumerate(rows, start=1))
    tables.write(path, numbered, digits=None)

"""Tables of rows with the same columns: as csv, for a terminal, and fit for JSON."""

import csv
import math
import pathlib

from ast_net import files
from ast_net.reports import description


def write(path: pathlib.Path, rows: list[description.Row]) -> None:
    """Writes rows of the same columns as csv; an empty cell where there is no number."""
    columns = list(rows[0]) if rows else []
    with files.whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: _cell(value, "") for name, value in row.items()} for row in rows)


def text(rows: list[description.Row]) -> str:
    """Rows of the same columns as a table for a terminal."""
    cells = [list(rows[0]), *([_cell(value, "n/a") for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in cells)


def _cell(value: str | int | float, missing: str) -> str:
    if isinstance(value, float):
        return missing if math.isnan(value) else f"{value:.4f}"
    return str(value)


def without_nan(parts: dict[str, list[description.Row]]) -> dict:
    """Tables by their names with None for NaN, which JSON does not know."""
    return {
        part: [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
            for row in rows
        ]
        for part, rows in parts.items()
    }

"""Files of FeelTrace (Cowie et al., 2000), with which SEMAINE, and so AVEC2012, was rated."""

import pathlib
import re

import numpy as np
from absl import logging

from ast_net import errors

# float() takes more than people write into a file: 1_0, infinity, digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]{1,15}([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,2})?")
# Traces run from -1 to 1. What overshoots a little is cut off; what is farther off is another scale.
_LARGEST = 1.1
# Expectancy was rated from 0 to 100 in some releases.
_PERCENT = 100.0


def read_numbers(
    path: str | pathlib.Path, columns: int, blank_lines: bool = True
) -> tuple[list[int], np.ndarray]:
    """Reads lines of numbers that blanks separate, without a header.

    A byte order mark, either line ending, a decimal comma and blank lines at the end do not matter. "NaN" is a missing
    number.

    Args:
      path: the file.
      columns: how many numbers each line has.
      blank_lines: whether there may be blank lines between others.

    Returns:
      The lines' numbers in the file, and the numbers, float64 [R, columns].

    Raises:
      InputError: the file is missing, no text or empty, or a line in it has another count of cells, or
        a cell that is no finite number.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise errors.InputError(f"{path}: is no text file ({error}); copy it again") from error
    if not text.strip():
        raise errors.InputError(f"{path}: the file is empty; expected numbers, so copy it again")
    lines, rows = [], []
    for line, content in enumerate(text.rstrip().split("\n"), 1):
        cells = content.split()
        if blank_lines and not cells:
            continue
        if len(cells) != columns:
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells in {content[:40]!r}; expected {columns}, "
                "separated by blanks"
            )
        lines.append(line)
        rows.append([_number(path, line, cell) for cell in cells])
    return lines, np.array(rows)


def to_unit_range(path: str | pathlib.Path, target: str, values: np.ndarray) -> np.ndarray:
    """Ratings [R] from -1 to 1; expectancy that was rated from 0 to 100 is brought there.

    Raises:
      InputError: values are outside of their range.
    """
    rated = values[~np.isnan(values)]
    if not len(rated) or np.abs(rated).max() <= _LARGEST:
        return np.clip(values, -1, 1)
    if target == "expectancy" and 2 < rated.max() <= _PERCENT and rated.min() >= 0:
        logging.info("%s: %g at most; taken as a scale from 0 to 100", path, rated.max())
        return values / (_PERCENT / 2) - 1
    raise errors.InputError(
        f"{path}: {target} from {rated.min():g} to {rated.max():g}; expected ratings from -1 to 1"
        + (" or from 0 to 100" if target == "expectancy" else "")
        + ": look at the file, or bring it to that range"
    )


def _number(path: str | pathlib.Path, line: int, cell: str) -> float:
    if cell.lower() == "nan":
        return np.nan
    if not _NUMBER.fullmatch(cell):
        raise errors.InputError(
            f"{path}, line {line}: found {cell!r}, expected a number such as -0.25, or NaN where there is "
            "no rating"
        )
    return float(cell.replace(",", "."))

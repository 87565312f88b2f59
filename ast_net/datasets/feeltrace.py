"""Files of FeelTrace (Cowie et al., 2000), with which SEMAINE, and so AVEC2012, was rated."""

import pathlib

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import separated_text

# Traces run from -1 to 1. A little more is clipped; much more is another scale.
_LARGEST = 1.1
# Expectancy was rated from 0 to 100 in some releases.
_PERCENT = 100.0


def read_numbers(
    path: pathlib.Path, columns: int, blank_lines: bool = True
) -> tuple[list[int], np.ndarray]:
    """Reads lines of numbers with blanks between them, without a header.

    A byte order mark, either line ending, decimal commas and blank lines at the end do not matter.

    Args:
      path: the file.
      columns: how many numbers each line has.
      blank_lines: whether there may be blank lines between others.

    Returns:
      The line numbers in the file, and the numbers, float64 [R, columns]; NaN where one is missing.

    Raises:
      InputError: the file is missing, empty or not text, a line has another number of cells, or a
        cell is not a finite number.
    """
    text = separated_text.read_text(path).rstrip()
    if not text:
        raise errors.InputError(f"{path}: the file is empty; expected numbers, so copy it again")
    rows = []
    for line, content in enumerate(separated_text.split_lines(text), 1):
        cells = content.split()
        if blank_lines and not cells:
            continue
        if len(cells) != columns:
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells in {content[:40]!r}; expected {columns}"
            )
        rows.append((line, cells))
    names = tuple(str(column) for column in range(1, columns + 1))
    table = separated_text.Table(path, names, rows)
    return [line for line, _ in rows], separated_text.numbers(table, range(columns))


def to_unit_range(path: pathlib.Path, target: str, values: np.ndarray) -> np.ndarray:
    """Brings ratings [R] to -1 to 1; only expectancy may have been rated from 0 to 100.

    Raises:
      InputError: values are outside their range.
    """
    rated = values[~np.isnan(values)]
    if not len(rated) or np.abs(rated).max() <= _LARGEST:
        return np.clip(values, -1, 1)
    if target == "expectancy" and 2 < rated.max() <= _PERCENT and rated.min() >= 0:
        logging.info(f"{path}: values up to {rated.max():g}; taken as a scale from 0 to 100")
        return values / (_PERCENT / 2) - 1
    raise errors.InputError(
        f"{path}: {target} from {rated.min():g} to {rated.max():g}; expected ratings from -1 to 1"
        + (" or from 0 to 100" if target == "expectancy" else "")
    )

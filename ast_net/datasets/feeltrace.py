"""Reads files of FeelTrace (Cowie et al., 2000), the tool that SEMAINE (and so AVEC2012) used."""

import pathlib

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import annotations, separated_text

# Traces run from -1 to 1. Values up to this one are clipped; larger ones are on another scale.
_CLIPPED = 1.1
# In some releases, expectancy is rated from 0 to 100.
_PERCENT = 100.0


def read_numbers(
    path: pathlib.Path, columns: int, blank_lines: bool = True
) -> tuple[list[int], np.ndarray]:
    """Reads lines of numbers separated by whitespace, without a header.

    A byte order mark, any line ending, decimal commas and trailing blank lines are accepted.

    Args:
      path: the file.
      columns: how many numbers each line has.
      blank_lines: whether blank lines between others are skipped; they are an error otherwise.

    Returns:
      The line numbers in the file, and the numbers, float64 [R, columns]; NaN where one is missing.

    Raises:
      InputError: the file is missing, empty or not text, a line has too many or too few cells, or a
        cell is not a finite number.
    """
    text = separated_text.read_text(path).rstrip()
    if not text:
        raise errors.InputError(f"{path}: the file is empty; expected numbers: copy it again")
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
    """Rescales ratings [R] to [-1, 1]; only expectancy may have been rated from 0 to 100.

    Raises:
      InputError: values are out of range.
    """
    rated = values[~np.isnan(values)]
    if not len(rated) or np.abs(rated).max() <= _CLIPPED:
        return np.clip(values, -1, 1)
    if target == "expectancy" and 2 < rated.max() <= _PERCENT and rated.min() >= 0:
        logging.info(f"{path}: values up to {rated.max():g}; assuming a scale from 0 to 100")
        return annotations.to_unit_range(values, (0, _PERCENT))
    raise errors.InputError(
        f"{path}: {target} ranges from {rated.min():g} to {rated.max():g}; expected ratings from "
        "-1 to 1" + (" or from 0 to 100" if target == "expectancy" else "")
    )

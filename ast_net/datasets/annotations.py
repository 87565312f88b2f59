"""Ratings as they lie on disk, and how they are brought to the frames of a video."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import separated_text

# Decimal times such as 0.12 are not exact in binary: 0.12 - 0.08 > 0.04. A microsecond is below any
# rating step and above any rounding.
_TIME_TOLERANCE = 1e-6
# Ratings may leave [-1, 1] by what a printed number is rounded by.
_VALUE_TOLERANCE = 1e-6
# Seconds between two ratings, at most, by their median: more are no seconds.
_LONGEST_STEP = 10.0
# No recording lasts as long, in seconds: a time beyond is in another unit, or damaged.
_LATEST = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class Ratings:
    """What several raters said about one target of one recording.

    Attributes:
      times: float64 [R], seconds, strictly increasing.
      values: float64 [R, raters], in [-1, 1]; NaN where a rater gave none.
      raters: the raters' names, in the order of the columns.
    """

    times: np.ndarray
    values: np.ndarray
    raters: tuple[str, ...]


def read_ratings(path: pathlib.Path) -> Ratings:
    """Reads the ratings of one target: a column `time` and one for each rater, in any order.

    `separated_text.read` says which text is read. An empty cell or "NaN" is a missing rating, but a
    time must be there. Rows past the end of the video are kept; a row that is there twice counts
    once.

    Raises:
      InputError: the file is missing or no such text, has no rater, or a line in it has a cell that
        is no number, a rating outside of [-1, 1], or a time that does not come after the one
        before.
    """
    table = separated_text.read(path, ("time",))
    time = table.column("time")
    return from_table(table, time, [k for k in range(len(table.names)) if k != time])


def from_table(table: separated_text.Table, time: int, raters: Sequence[int]) -> Ratings:
    """The ratings in some of a table's columns.

    Args:
      table: of a file.
      time: the column of seconds.
      raters: the columns of one rater each.

    Raises:
      InputError: as `read_ratings`.
    """
    path, names = table.path, tuple(table.names[k] for k in raters)
    if not raters:
        raise errors.InputError(f"{path}: no column beside time; expected one for each rater")
    if "" in names or len(set(names)) < len(names):
        raise errors.InputError(f"{path}: raters {names}; expected a name of its own for each")
    numbers = separated_text.numbers(table, [time, *raters])
    same = (numbers[1:] == numbers[:-1]) | (np.isnan(numbers[1:]) & np.isnan(numbers[:-1]))
    kept = np.flatnonzero(np.append(True, ~same.all(axis=1)))
    if len(kept) < len(numbers):
        logging.warning(f"{path}: {len(numbers) - len(kept)} rows are there twice")
    lines = [table.rows[row][0] for row in kept]
    times, values = numbers[kept, 0], numbers[kept, 1:]
    check_times(path, lines, times)
    step = _step(times)
    if step > _LONGEST_STEP:
        raise errors.InputError(f"{path}: ratings {step:g} apart; expected times in seconds")
    outside = np.argwhere(np.abs(values) > 1 + _VALUE_TOLERANCE)
    if len(outside):
        row, column = outside[0]
        raise errors.InputError(
            f"{path}, line {lines[row]}, column {names[column]}: found "
            f"{values[row, column]:g}, expected a rating in [-1, 1]: divide by the scale's end"
        )
    return Ratings(times, np.clip(values, -1, 1), names)


def check_times(path: pathlib.Path, lines: Sequence[int], times: np.ndarray) -> None:
    """Checks the times [R] of ratings, in seconds, that lie in these lines of a file.

    Raises:
      InputError: one is missing, is negative or later than any recording, or does not come after
        the one before.
    """
    wrong = ~((times >= 0) & (times < _LATEST))
    wrong[1:] |= ~(np.diff(times) > 0)
    if wrong.any():
        row = int(wrong.argmax())
        before = f" follows {times[row - 1]:g}" if row else ""
        raise errors.InputError(
            f"{path}, line {lines[row]}: time {times[row]:g}{before}; expected seconds since the "
            "start in increasing order, each once: sort the file or remove what is there twice"
        )


def resample(
    times: np.ndarray, values: np.ndarray, frame_times: np.ndarray, max_gap: float
) -> np.ndarray:
    """Brings ratings to the frames of a video, by time.

    A frame between two ratings at most `max_gap` apart gets their linear interpolation. Elsewhere,
    that is before the first rating, after the last, and inside a longer gap, a rating holds for
    half a rating step on either side, at most half of `max_gap`, and frames farther away get NaN. A
    NaN rating is as none at all. Each column is treated by itself.

    Args:
      times: [R] seconds, strictly increasing; the rating step is their median difference, or of
        those at which a column is rated, if that is longer.
      values: [R, ...] ratings.
      frame_times: [T] seconds, in any order.
      max_gap: seconds, positive.

    Returns:
      float64 [T, ...], NaN where nothing was rated.

    Raises:
      ValueError: the shapes do not agree.
    """
    times, values, frame_times = (np.asarray(a, np.float64) for a in (times, values, frame_times))
    if times.ndim != 1 or frame_times.ndim != 1 or values.shape[:1] != times.shape:
        raise ValueError(
            f"expected times [R], values [R, ...] and frame_times [T], found {times.shape}, "
            f"{values.shape} and {frame_times.shape}"
        )
    return np.apply_along_axis(_resample_column, 0, values, times, frame_times, max_gap)


def _step(times: np.ndarray) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _resample_column(
    values: np.ndarray, times: np.ndarray, frame_times: np.ndarray, max_gap: float
) -> np.ndarray:
    """One column [R] of `resample`."""
    rated = ~np.isnan(values)
    if not rated.any():
        return np.full(len(frame_times), np.nan)
    reach = min(max(_step(times), _step(times[rated])), max_gap) / 2
    times, values = times[rated], values[rated]
    following = np.searchsorted(times, frame_times)
    before = np.clip(following - 1, 0, len(times) - 1)
    after = np.clip(following, 0, len(times) - 1)
    from_before, to_after = np.abs(frame_times - times[before]), np.abs(times[after] - frame_times)
    bridged = (before < after) & (times[after] - times[before] <= max_gap + _TIME_TOLERANCE)
    held = np.minimum(from_before, to_after) <= reach + _TIME_TOLERANCE
    nearest = np.where(from_before <= to_after, values[before], values[after])
    interpolated = np.interp(frame_times, times, values)
    return np.where(bridged, interpolated, np.where(held, nearest, np.nan))

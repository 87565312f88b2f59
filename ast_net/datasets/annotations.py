"""Reads ratings from files, and resamples them to the frames of a video."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.datasets import separated_text
from ast_net.temporal import timing

# Decimal times such as 0.12 are not exact in binary: 0.12 - 0.08 > 0.04. A microsecond is below any
# rating step and above any rounding error.
_TIME_TOLERANCE = 1e-6
# Printed numbers are rounded, so that ratings may leave [-1, 1] by this much.
_VALUE_TOLERANCE = 1e-6
# If the median step between ratings is longer than this, the times are not in seconds.
_MAX_STEP = 10.0
# The columns that may have the times, by name in lower case, and their units in seconds. If a file
# has several, the first of these is read.
TIME_UNITS = {
    "time": 1.0,
    "seconds": 1.0,
    "time_s": 1.0,
    "timestamp": 1.0,
    "timestamp_s": 1.0,
    "hh:mm:ss": 1.0,
    "time_ms": 1e-3,
    "milliseconds": 1e-3,
    "timestamp_ms": 1e-3,
}
_FRAME_COLUMNS = ("frame", "frames", "frame_number", "frame number")
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:[.,]\d+)?)", re.ASCII)
# No recording lasts a day: a later time, in seconds, is damaged or in another unit.
_MAX_TIME = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class Ratings:
    """The ratings of one target of one recording, by one or several raters.

    Attributes:
      times: float64 [R], seconds, strictly increasing.
      values: float64 [R, raters], in [-1, 1]; NaN where a rating is missing.
      raters: the raters' names, in the order of the columns.
    """

    times: np.ndarray
    values: np.ndarray
    raters: tuple[str, ...]


def read_ratings(path: pathlib.Path) -> Ratings:
    """Reads a file with the ratings of one target: the times, and one column for each rater.

    The columns may be in any order. Times are in seconds or milliseconds, as the column's name says
    (`TIME_UNITS`), or are written as hours, minutes and seconds, 0:01:02.5. `separated_text.read`
    describes the text format. An empty cell or "NaN" is a missing rating; a time may not be
    missing. Rows after the end of the video are kept. Repeated rows are dropped, with a warning.

    Raises:
      InputError: the file is missing or malformed, has no rater, or has a cell that is not a
        number, a rating outside [-1, 1], or a time that is not later than the one before.
    """
    table, time = read_timed(path)
    return from_table(table, time, [k for k in range(len(table.names)) if k != time])


def read_timed(
    path: pathlib.Path, headerless: Sequence[str] = ()
) -> tuple[separated_text.Table, int]:
    """Reads a table that has times; returns it with the index of the column of times.

    Args:
      path, headerless: as in `separated_text.read`.

    Raises:
      InputError: as `separated_text.read`, or there are two columns of times of the same name, or
        frame numbers in place of times.
    """
    table = separated_text.read(path, (), headerless, (*TIME_UNITS, *_FRAME_COLUMNS))
    lowered = [name.lower() for name in table.names]
    name = next((name for name in TIME_UNITS if name in lowered), None)
    if name is None:
        raise errors.InputError(
            f"{path}: found the columns {', '.join(table.names)}; expected a column time, in "
            "seconds: divide the frame numbers, counted from 0, by the video's frame rate"
        )
    if lowered.count(name) > 1:
        raise errors.InputError(
            f"{path}: {lowered.count(name)} columns are named {name}; expected one"
        )
    return table, lowered.index(name)


def from_table(
    table: separated_text.Table,
    time: int,
    raters: Sequence[int],
    scale: Sequence[float] = config.RATING_SCALE,
) -> Ratings:
    """Makes ratings of some columns of a table.

    Args:
      table: the content of a file.
      time: index of the column of times.
      raters: indices of the raters' columns.
      scale: the lowest and the highest rating that the raters could give.

    Raises:
      InputError: as `read_ratings`.
    """
    path, names = table.path, tuple(table.names[k] for k in raters)
    if not raters:
        raise errors.InputError(f"{path}: no column except time; expected one for each rater")
    if "" in names or len(set(names)) < len(names):
        raise errors.InputError(
            f"{path}: the raters' columns are named {', '.join(map(repr, names))}; expected a "
            "different name for each rater"
        )
    numbers = separated_text.numbers(_in_seconds(table, time), [time, *raters])
    numbers[:, 0] *= TIME_UNITS.get(table.names[time].lower(), 1.0)
    # A row equals the one before if each cell has the same number, or is missing in both.
    same = (numbers[1:] == numbers[:-1]) | (np.isnan(numbers[1:]) & np.isnan(numbers[:-1]))
    kept = np.flatnonzero(np.append(True, ~same.all(axis=1)))
    if len(kept) < len(numbers):
        logging.warning(f"{path}: {len(numbers) - len(kept)} repeated rows are ignored")
    lines = [table.rows[row][0] for row in kept]
    times, values = numbers[kept, 0], numbers[kept, 1:]
    check_times(path, lines, times)
    step = timing.interval(times)
    if step > _MAX_STEP:
        raise errors.InputError(
            f"{path}: the ratings are {step:g} apart; expected times in seconds: if these are "
            "milliseconds, call the column time_ms"
        )
    rescaled = to_unit_range(values, scale)
    outside = np.argwhere(np.abs(rescaled) > 1 + _VALUE_TOLERANCE)
    if len(outside):
        row, column = outside[0]
        raise errors.InputError(
            f"{path}, line {lines[row]}, column {names[column]}: found "
            f"{values[row, column]:g}, expected a rating in [{scale[0]:g}, {scale[1]:g}]; the "
            f"ratings of this file are from {np.nanmin(values):g} to {np.nanmax(values):g}: check "
            "them, or map the scale that they were given on to [-1, 1] so that its middle becomes "
            "0. For your own recordings, `rating_scale=LOWEST,HIGHEST` does this"
        )
    return Ratings(times, np.clip(rescaled, -1, 1), names)


def to_unit_range(values: np.ndarray, scale: Sequence[float]) -> np.ndarray:
    """Maps ratings linearly from their scale, lowest and highest, to [-1, 1]."""
    lowest, highest = scale
    return (values - (lowest + highest) / 2) / ((highest - lowest) / 2)


def _in_seconds(table: separated_text.Table, time: int) -> separated_text.Table:
    """Returns the table with seconds in place of times such as 0:01:02.5.

    Raises:
      InputError: some of the times are written in this way, and others are not.
    """
    if not any(":" in cells[time] for _, cells in table.rows):
        return table
    rows = []
    for line, cells in table.rows:
        clock = _CLOCK.fullmatch(cells[time])
        if clock is None:
            raise errors.InputError(
                f"{table.path}, line {line}, column {table.names[time]}: found {cells[time]!r}, "
                "expected hours, minutes and seconds, such as 0:01:02.5, in all lines; or name the "
                "column time and give seconds"
            )
        mark = "," if "," in clock[3] else "."
        whole, _, fraction = clock[3].partition(mark)
        seconds = 3600 * int(clock[1]) + 60 * int(clock[2]) + int(whole)
        text = f"{seconds}{mark}{fraction}" if fraction else str(seconds)
        rows.append((line, [*cells[:time], text, *cells[time + 1 :]]))
    return dataclasses.replace(table, rows=rows)


def check_times(path: pathlib.Path, lines: Sequence[int], times: np.ndarray) -> None:
    """Checks the times of ratings.

    Args:
      path: the file.
      lines: the line number of each time in the file, [R].
      times: [R] seconds.

    Raises:
      InputError: a time is missing, negative, a day or later, or not later than the one before.
    """
    # Negated comparisons, so that a missing time, NaN, is wrong, too.
    wrong = ~((times >= 0) & (times < _MAX_TIME))
    wrong[1:] |= ~(np.diff(times) > 0)
    if wrong.any():
        row = int(wrong.argmax())
        before = f" follows {times[row - 1]:g}" if row else ""
        raise errors.InputError(
            f"{path}, line {lines[row]}: time {times[row]:g}{before}; expected seconds since the "
            "start of the video, in increasing order, each once: sort the file or remove the "
            "repeated times"
        )


def resample(
    times: np.ndarray, values: np.ndarray, frame_times: np.ndarray, max_gap: float
) -> np.ndarray:
    """Resamples ratings to the times of a video's frames.

    A frame between two ratings that are at most `max_gap` apart gets their linear interpolation.
    Everywhere else (before the first rating, after the last one, and in longer gaps) a frame gets
    the nearest rating if that is at most half a rating step away, and at most half of `max_gap`;
    otherwise it gets NaN. NaN ratings are ignored. Each column is resampled independently.

    Args:
      times: [R] seconds, strictly increasing. The rating step of a column is the median difference
        of these, or of the times at which the column is rated, whichever is longer.
      values: [R, ...] ratings.
      frame_times: [T] seconds, in any order.
      max_gap: seconds, positive.

    Returns:
      float64 [T, ...], NaN where there is no rating.

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


def _resample_column(
    values: np.ndarray, times: np.ndarray, frame_times: np.ndarray, max_gap: float
) -> np.ndarray:
    """Does what `resample` does, for one column [R]."""
    rated = ~np.isnan(values)
    if not rated.any():
        return np.full(len(frame_times), np.nan)
    reach = min(max(timing.interval(times), timing.interval(times[rated])), max_gap) / 2
    times, values = times[rated], values[rated]
    # The ratings before and after each frame; the same one at either end of the ratings.
    following = np.searchsorted(times, frame_times)
    before = np.clip(following - 1, 0, len(times) - 1)
    after = np.clip(following, 0, len(times) - 1)
    from_before, to_after = np.abs(frame_times - times[before]), np.abs(times[after] - frame_times)
    interpolate = (before < after) & (times[after] - times[before] <= max_gap + _TIME_TOLERANCE)
    hold = np.minimum(from_before, to_after) <= reach + _TIME_TOLERANCE
    nearest = np.where(from_before <= to_after, values[before], values[after])
    interpolated = np.interp(frame_times, times, values)
    return np.where(interpolate, interpolated, np.where(hold, nearest, np.nan))

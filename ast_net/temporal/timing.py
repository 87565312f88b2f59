"""Finds frames that follow each other at the model's time step; interpolates between frames.

Times are float64 seconds and strictly increasing. If frames are equally spaced and S frames last
one time step, frame i is followed by frame i + S, as in the paper (section 3.1).
"""

from collections.abc import Sequence

import numpy as np

# Seconds. Times that differ by less count as equal: containers round times to microseconds.
TOLERANCE = 1e-6


def interval(times: np.ndarray, single: float = 0.0) -> float:
    """Returns the median time between frames at times [T], in seconds; `single` if T < 2."""
    return float(np.median(np.diff(times))) if len(times) > 1 else single


def successors(times: np.ndarray, time_step: float) -> np.ndarray:
    """Returns, for each frame, the frame nearest to one time step later, int64 [T]; T if none.

    A successor is at least half a time step later, so a frame before a gap is followed by the first
    frame after the gap. Of two equally near frames, the earlier one is chosen. A frame has no
    successor if an imaginary frame, one frame interval after the recording's last, would be nearer.

    Args:
      times: seconds, [T].
      time_step: seconds, more than 0.
    """
    return _reversed(predecessors(-np.asarray(times)[::-1], time_step))


def predecessors(
    times: np.ndarray, time_step: float, first_times: np.ndarray | None = None
) -> np.ndarray:
    """Returns, for each frame, the frame nearest to one time step earlier, int64 [T]; -1 if none.

    The rules are those of `successors` with time reversed. A frame's result does not depend on
    later frames.

    Args:
      times: seconds, [T].
      time_step: seconds, more than 0.
      first_times: times of the recording's first two frames, if `times` starts later in it.
    """
    times = np.asarray(times, np.float64)
    if not len(times):
        return np.zeros(0, int)
    start, *second = times[:2] if first_times is None else first_times
    if not second:
        return np.full(len(times), -1)
    # The frames on either side of the wanted time; `after` may be exactly there.
    queries = times - time_step
    after = np.searchsorted(times, queries)
    before = np.maximum(after - 1, 0)
    # The nearer one; if both are equally near, the later one.
    after_is_nearer = times[after] - queries <= queries - times[before] + TOLERANCE
    nearest = np.where(after_is_nearer, after, before)
    # The latest frame that is at least half a time step earlier.
    latest = np.searchsorted(times, times - time_step / 2 + TOLERANCE, side="right") - 1
    # An imaginary frame, one interval before the first, would be nearer.
    has_none = queries < start - (second[0] - start) / 2 - TOLERANCE
    return np.where(has_none, -1, np.minimum(nearest, latest))


def _reversed(indices: np.ndarray) -> np.ndarray:
    return len(indices) - 1 - indices[::-1]


def chains(times: np.ndarray, time_step: float, length: int) -> np.ndarray:
    """Returns, for each frame, the chain of its successors, int64 [T, length]; T after the end.

    Args:
      times: seconds, [T].
      time_step: seconds, more than 0.
      length: N, number of frames of a chain, including the frame itself.
    """
    # Index T, past the end, is followed by T again.
    following = np.append(successors(times, time_step), len(times))
    columns = [np.arange(len(times))]
    for _ in range(length - 1):
        columns.append(following[columns[-1]])
    return np.stack(columns, axis=1)


def interpolate(queries: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolates values linearly; gives NaN before the first and after the last time.

    A query within a microsecond of a time gives that time's value, even if the neighbour is NaN.

    Args:
      queries: seconds, [L].
      times: seconds, [R].
      values: values at the times, [R, D].

    Returns:
      [L, D].
    """
    # The times on either side of each query; `before` may be exactly there.
    before = np.searchsorted(times, queries + TOLERANCE, side="right") - 1
    after = np.minimum(before + 1, len(times) - 1)
    before = np.maximum(before, 0)
    start, end = times[before], times[after]
    exact = np.abs(queries - start) <= TOLERANCE
    # The weight of `after`; 0 if both times are the same.
    weight = np.divide(queries - start, end - start, out=np.zeros(len(queries)), where=end > start)
    weight = weight.astype(values.dtype)[:, np.newaxis]
    between = (1 - weight) * values[before] + weight * values[after]
    inside = (queries >= start) & (queries <= end)
    between[~inside] = np.nan
    return np.where(exact[:, np.newaxis], values[before], between)


def delayed_ratings(
    times: np.ndarray, delays: Sequence[float], rating_times: np.ndarray, ratings: np.ndarray
) -> np.ndarray:
    """Returns the ratings that are made one reaction delay after some times; NaN where none are.

    Args:
      times: seconds, [L].
      delays: the reaction delay of each target, in seconds, [D].
      rating_times: the times of the ratings in seconds, [R].
      ratings: [R, D].

    Returns:
      [L, D].
    """
    columns = [
        interpolate(times + delay, rating_times, column[:, np.newaxis])
        for delay, column in zip(delays, ratings.T, strict=True)
    ]
    return np.concatenate(columns, axis=1)

"""Which frames follow each other at the model's time step, and values between frames.

Times are float64 seconds, strictly increasing. Where frames are equally spaced and S of them last one
time step, the frame after frame i is i + S, as in the paper (section 3.1).
"""

import numpy as np

# Seconds. Times that differ by less are the same: containers round them to microseconds.
TOLERANCE = 1e-6


def successors(times: np.ndarray, time_step: float) -> np.ndarray:
    """Returns, for each frame, the frame nearest to one time step later, int64 [T]; T if none.

    No frame less than half a time step later is taken: after a gap the recording goes on with the
    first frames behind it. Of two that are equally near it is the earlier one. There is none where a
    further frame at the end, one interval after the last, would be nearer.

    Args:
      times: [T].
      time_step: seconds, more than 0.
    """
    return _reversed(predecessors(-np.asarray(times)[::-1], time_step))


def predecessors(
    times: np.ndarray, time_step: float, beginning: np.ndarray | None = None
) -> np.ndarray:
    """Returns, for each frame, the frame nearest to one time step earlier, int64 [T]; -1 if none.

    The rules are those of `successors`, seen from the other end. No later frame changes the result.

    Args:
      times: [T].
      time_step: seconds, more than 0.
      beginning: times of the recording's first two frames, where `times` begins later.
    """
    times = np.asarray(times, np.float64)
    if not len(times):
        return np.zeros(0, int)
    start, *second = times[:2] if beginning is None else beginning
    if not second:
        return np.full(len(times), -1)
    queries = times - time_step
    after = np.searchsorted(times, queries)  # the first frame that is not before the query
    before = np.maximum(after - 1, 0)
    # The nearer of the two; of equals the one with the shorter step.
    closer = times[after] - queries <= queries - times[before] + TOLERANCE
    nearest = np.where(closer, after, before)
    latest = np.searchsorted(times, times - time_step / 2 + TOLERANCE, side="right") - 1
    begins = queries < start - (second[0] - start) / 2 - TOLERANCE
    return np.where(begins, -1, np.minimum(nearest, latest))


def _reversed(indices: np.ndarray) -> np.ndarray:
    return len(indices) - 1 - indices[::-1]


def chains(times: np.ndarray, time_step: float, length: int) -> np.ndarray:
    """Returns the frames that follow each frame at the time step, int64 [T, length]; T past the end.

    Args:
      times: [T].
      time_step: seconds.
      length: N, the frame itself included.
    """
    following = np.append(successors(times, time_step), len(times))
    columns = [np.arange(len(times))]
    for _ in range(length - 1):
        columns.append(following[columns[-1]])
    return np.stack(columns, axis=1)


def interpolate(queries: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolates values [R, D] at times [R] linearly at queries [L]; NaN outside of the times.

    A query within a microsecond of a time takes that value as it is, whatever its neighbour is.
    """
    before = np.searchsorted(times, queries + TOLERANCE, side="right") - 1
    after = np.minimum(before + 1, len(times) - 1)
    before = np.maximum(before, 0)
    start, end = times[before], times[after]
    exact = np.abs(queries - start) <= TOLERANCE
    weight = np.divide(queries - start, end - start, out=np.zeros(len(queries)), where=end > start)
    weight = weight.astype(values.dtype)[:, np.newaxis]
    between = (1 - weight) * values[before] + weight * values[after]
    inside = (queries >= start) & (queries <= end)
    between[~inside] = np.nan
    return np.where(exact[:, np.newaxis], values[before], between)

"""Ratings as they lie on disk, and how they are brought to the frames of a video."""

import csv
import dataclasses
import pathlib

import numpy as np

from ast_net import errors

# Decimal times such as 0.12 are not exact in binary: 0.12 - 0.08 > 0.04. A microsecond is below any
# rating step and above any rounding.
_TIME_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Ratings:
    """What several raters said about one target of one recording.

    Attributes:
      times: float64 [R], seconds, strictly increasing.
      values: float64 [R, raters]; NaN where a rater gave none.
      raters: the raters' names, in the order of the columns.
    """

    times: np.ndarray
    values: np.ndarray
    raters: tuple[str, ...]


def read_ratings(path: str | pathlib.Path) -> Ratings:
    """Reads a rating file of RECOLA's own release.

    `;`-separated, a header of `time` and one name a rater, then one row a rating. Blanks around names and
    cells, a byte order mark, either line ending and blank lines do not matter. An empty cell or "NaN" is
    a missing rating, but a time must be there. Rows past the end of the video are kept.

    Raises:
      InputError: the file is missing or unreadable, has no time column, no rater or no row, or a line
        in it has too many or too few cells, a cell that is no finite number, or a time that does not
        come after the one before.
    """
    rows = _read_rows(pathlib.Path(path))
    if not rows:
        raise errors.InputError(f"{path}: the file is empty; expected a header and ratings")
    time_column, raters = _read_header(path, rows[0][1])
    if len(rows) == 1:
        raise errors.InputError(f"{path}: a header without ratings; the copy may be incomplete")
    names = rows[0][1]
    table = np.array([_read_numbers(path, line, names, cells) for line, cells in rows[1:]])
    times = table[:, time_column]
    for row, (line, _) in enumerate(rows[1:]):
        if np.isnan(times[row]):
            raise errors.InputError(f"{path}, line {line}: no time; expected seconds")
        if row and times[row] <= times[row - 1]:
            raise errors.InputError(
                f"{path}, line {line}: time {times[row]:g} follows {times[row - 1]:g}; expected times "
                "in increasing order, each once: sort the file or remove what is there twice"
            )
    return Ratings(times, np.delete(table, time_column, axis=1), raters)


def resample(
    times: np.ndarray, values: np.ndarray, frame_times: np.ndarray, max_gap: float
) -> np.ndarray:
    """Brings ratings to the frames of a video, by time.

    A frame between two ratings at most `max_gap` apart gets their linear interpolation. Elsewhere, that is
    before the first rating, after the last, and inside a longer gap, a rating holds for half a
    rating step on either side, and frames farther away get NaN. A NaN rating is as none at all. Each
    column is treated by itself.

    Args:
      times: [R] seconds, strictly increasing; the rating step is their median difference.
      values: [R, ...] ratings.
      frame_times: [T] seconds, in any order.
      max_gap: seconds.

    Returns:
      float64 [T, ...], NaN where nothing was rated.

    Raises:
      InputError: max_gap is not positive.
      ValueError: the shapes do not agree.
    """
    times, values, frame_times = (np.asarray(a, np.float64) for a in (times, values, frame_times))
    if times.ndim != 1 or frame_times.ndim != 1 or values.shape[:1] != times.shape:
        raise ValueError(
            f"expected times [R], values [R, ...] and frame_times [T], found {times.shape}, "
            f"{values.shape} and {frame_times.shape}"
        )
    if not max_gap > 0:
        raise errors.InputError(f"max_gap must be a positive number of seconds, found {max_gap}")
    half_step = np.median(np.diff(times)) / 2 if len(times) > 1 else 0.0
    columns = values.reshape(len(times), int(np.prod(values.shape[1:])))
    result = np.full((len(frame_times), columns.shape[1]), np.nan)
    for column in range(columns.shape[1]):
        rated = ~np.isnan(columns[:, column])
        if rated.any():
            result[:, column] = _resample_rated(
                times[rated], columns[rated, column], frame_times, max_gap, half_step
            )
    return result.reshape(frame_times.shape + values.shape[1:])


def _resample_rated(
    times: np.ndarray, values: np.ndarray, frame_times: np.ndarray, max_gap: float, half_step: float
) -> np.ndarray:
    """One column [R] without NaN."""
    following = np.searchsorted(times, frame_times)
    before = np.clip(following - 1, 0, len(times) - 1)
    after = np.clip(following, 0, len(times) - 1)
    from_before, to_after = np.abs(frame_times - times[before]), np.abs(times[after] - frame_times)
    bridged = (before < after) & (times[after] - times[before] <= max_gap + _TIME_TOLERANCE)
    held = np.minimum(from_before, to_after) <= half_step + _TIME_TOLERANCE
    nearest = np.where(from_before <= to_after, values[before], values[after])
    interpolated = np.interp(frame_times, times, values)
    return np.where(bridged, interpolated, np.where(held, nearest, np.nan))


def _read_rows(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Line numbers and stripped cells of the lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=";")
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except FileNotFoundError:
        raise errors.InputError(f"{path}: no such file; expected ratings here") from None
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise errors.InputError(
            f"{path}: is no text file ({error}); expected `;`-separated ratings"
        ) from error
    return [(line, cells) for line, cells in rows if any(cells)]


def _read_header(path: str | pathlib.Path, names: list[str]) -> tuple[int, tuple[str, ...]]:
    """The time column's index, and the other columns' names."""
    lowered = [name.lower() for name in names]
    if lowered.count("time") != 1:
        raise errors.InputError(
            f"{path}: {lowered.count('time')} columns named time among {names}; expected one, in a "
            "`;`-separated header such as time;FM1;FM2;FM3;FF1;FF2;FF3"
        )
    time_column = lowered.index("time")
    raters = tuple(names[:time_column] + names[time_column + 1 :])
    if not raters:
        raise errors.InputError(f"{path}: no column beside time; expected one for each rater")
    if "" in raters or len(set(raters)) < len(raters):
        raise errors.InputError(f"{path}: raters {raters}; expected a name of its own for each")
    return time_column, raters


def _read_numbers(
    path: str | pathlib.Path, line: int, names: list[str], cells: list[str]
) -> list[float]:
    if len(cells) != len(names):
        raise errors.InputError(
            f"{path}, line {line}: {len(cells)} cells; expected {len(names)}, as in the header"
        )
    numbers = []
    for name, cell in zip(names, cells):
        try:
            number = float(cell) if cell else np.nan
        except ValueError:
            number = np.inf
        if np.isinf(number):
            raise errors.InputError(
                f"{path}, line {line}, column {name}: found {cell!r}, expected a number such as -0.25, "
                "or nothing where there is no rating"
            )
        numbers.append(number)
    return numbers

"""Means of the predictions over each second, for tables and annotations."""

import collections
import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ast_net.prediction import frames
from ast_net.reports import tables

# Columns of the table; those of the targets follow.
_COLUMNS = ("second", "face_id", "valid_frames")
_DIGITS = 4


class SecondMeans:
    """Means of each face's smooth values over the frames of a second that show it.

    Attributes:
      seconds: the seconds that have frames, with or without a face, as a set of integers: 2 is
        from 2 s to before 3 s.
    """

    def __init__(self, target_count: int) -> None:
        """Takes D, the number of targets."""
        self.seconds: set[int] = set()
        # For each face and second the sum of the smooth values and their number: [D + 1].
        self._sums: dict[int, dict[int, np.ndarray]] = collections.defaultdict(
            lambda: collections.defaultdict(lambda: np.zeros(target_count + 1))
        )

    def add(self, frame: frames.FramePrediction) -> None:
        """Adds a frame."""
        second = int(frame.timestamp // 1)
        self.seconds.add(second)
        for face in frame.faces:
            if face.valid and np.isfinite(face.smooth).all():
                self._sums[face.face_id][second] += [*face.smooth, 1]

    def of_faces(self) -> dict[int, dict[int, tuple[np.ndarray, int]]]:
        """Returns {face_id: {second: (means [D], number of frames)}}, both in rising order."""
        return {
            face_id: {
                second: (total[:-1] / total[-1], int(total[-1]))
                for second, total in sorted(sums.items())
            }
            for face_id, sums in sorted(self._sums.items())
        }


@contextlib.contextmanager
def csv_writer(
    path: pathlib.Path, targets: Sequence[str], decimal_comma: bool = False
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Yields a function that takes frames; the table appears at the end, without an error.

    It has a row for each second and face in it; a second without a face has one row, too.

    Args:
      path: the CSV file.
      targets: names of the D targets.
      decimal_comma: as of `tables.csv_writer`.

    Raises:
      OSError: the disk is full or read-only.
    """
    means = SecondMeans(len(targets))
    yield means.add
    columns = [*_COLUMNS, *targets]
    faces = means.of_faces()
    with tables.csv_writer(path, columns, _DIGITS, decimal_comma) as write_row:
        for second in sorted(means.seconds):
            visible = [face_id for face_id, found in faces.items() if second in found]
            for face_id in visible:
                values, count = faces[face_id][second]
                row = {"second": second, "face_id": face_id, "valid_frames": count}
                write_row(row | {name: float(v) for name, v in zip(targets, values)})
            if not visible:
                write_row(dict.fromkeys(columns) | {"second": second, "valid_frames": 0})

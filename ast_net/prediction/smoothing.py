"""Averages each face's predictions over one time step, which evens out the interleaved phases.

Neighbouring frames belong to different phases, each with LSTM states of its own
(`temporal/streaming.py`), so a raw series looks like a comb. A time step has each phase once.
"""

import collections
from collections.abc import Iterable, Iterator

import numpy as np

from ast_net.prediction import frames
from ast_net.temporal import timing

# Largest memory of the images of frames that wait for later ones, 21 frames in 4K. Where these are
# less than half a time step, means end earlier.
_WAITING_BYTES = 2**29


def smoothed(
    recording: Iterable[frames.FramePrediction], time_step: float, live: bool = False
) -> Iterator[frames.FramePrediction]:
    """Yields the frames, in order, with `smooth` of their faces filled in.

    At time t, `smooth` is the mean of `values` over all frames from t - time_step / 2 (exclusive)
    to t + time_step / 2 (inclusive) that show the face; if `live`, from t - time_step (exclusive)
    to t. Near the ends of the recording, and where the face is away, these are fewer. A frame that
    does not show the face repeats the last one that does, as `values` do.

    Frames are yielded as soon as their mean is complete: at once if `live`, otherwise half a time
    step later. If `recording` raises an error, the frames before it are yielded first.

    Args:
      recording: predicted frames, in order.
      time_step: the model's time step, in seconds.
      live: whether no frame may wait for later ones.
    """
    ahead = 0.0 if live else time_step / 2
    averages = _MovingAverages(time_step, ahead)
    waiting: collections.deque[frames.FramePrediction] = collections.deque()
    try:
        for newest in recording:
            averages.add(newest)
            waiting.append(newest)
            complete = newest.timestamp - ahead + timing.TOLERANCE
            while waiting and (waiting[0].timestamp <= complete or _too_large(waiting)):
                yield averages.fill_in(waiting.popleft())
    except Exception:
        yield from map(averages.fill_in, waiting)
        raise
    yield from map(averages.fill_in, waiting)


def _too_large(waiting: Iterable[frames.FramePrediction]) -> bool:
    images = [frame.image for frame in waiting if frame.image is not None]
    return sum(image.nbytes for image in images) > _WAITING_BYTES


class _MovingAverages:
    """Averages over the predictions of the latest frames, without their images."""

    def __init__(self, time_step: float, ahead: float) -> None:
        """Args:
        time_step: length of an average, in seconds.
        ahead: how much of it is later than its frame, in seconds.
        """
        self._time_step, self._ahead = time_step, ahead
        # Times, and the values of the faces that are seen then, by their ids.
        self._seen: collections.deque[tuple[float, dict[int, np.ndarray]]] = collections.deque()
        # The averages of the last frame's faces, by their ids.
        self._last: dict[int, np.ndarray] = {}

    def add(self, frame: frames.FramePrediction) -> None:
        """Adds the recording's next frame."""
        values = {face.face_id: face.values for face in frame.faces if face.valid}
        self._seen.append((frame.timestamp, values))

    def fill_in(self, frame: frames.FramePrediction) -> frames.FramePrediction:
        """Fills in `smooth` of the faces of a frame that was added; frames come in order."""
        # The tolerance is on the same side at both ends, so that equally spaced frames give the
        # same number of values everywhere.
        end = frame.timestamp + self._ahead + timing.TOLERANCE
        while self._seen[0][0] <= end - self._time_step:
            self._seen.popleft()
        inside = [values for time, values in self._seen if time <= end]
        for face in frame.faces:
            if face.valid:
                values = [faces[face.face_id] for faces in inside if face.face_id in faces]
                mean = np.stack(values).mean(axis=0, dtype=np.float64)
                face.smooth = mean.astype(np.float32)
            else:
                face.smooth = self._last.get(face.face_id, np.full_like(face.values, np.nan))
        self._last = {face.face_id: face.smooth for face in frame.faces}
        return frame

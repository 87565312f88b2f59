"""The temporal model over several faces of a recording, each with a state and a time of its own."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ast_net import config
from ast_net.faces import tracking
from ast_net.prediction import frames


class Predictor(Protocol):
    """The interface of `streaming.StreamingPredictor` and `remote.RemotePredictor`."""

    def another(self) -> "Predictor": ...

    def skip(self, frames: int) -> None: ...

    def predict(self, features: np.ndarray) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True, eq=False)
class FrameFeatures:
    """A frame, the K faces seen in it, and the CNN's output for them.

    Attributes:
      index, timestamp, image, dropped: as of `frames.FramePrediction`.
      faces: in the order of their ids.
      features: fc6, [K, F], or whatever else the predictor takes.
      posteriors: [K, 7], or None if not asked for.
    """

    index: int
    timestamp: float
    image: np.ndarray | None
    dropped: bool
    faces: Sequence[tracking.TrackedFace]
    features: np.ndarray
    posteriors: np.ndarray | None


@dataclasses.dataclass(eq=False)
class _FaceState:
    """What is remembered of a face that is there or has left lately.

    Attributes:
      predictor: with the LSTM's state for this face.
      next_slot: the slot after its last one.
      last_seen: timestamp of its last frame, in seconds.
      values: the last prediction, [D].
    """

    predictor: Predictor
    next_slot: int
    last_seen: float
    values: np.ndarray


class FaceStreams:
    """Predictions of a recording's faces, frame after frame.

    Time is counted in slots of one frame at the recording's frame rate. A frame belongs to the slot
    of its timestamp, so that frames which are missing, dropped or late do not shift the LSTM's
    phases; two frames of one slot come after each other.
    """

    def __init__(
        self,
        predictor: Predictor,
        frame_rate: float,
        settings: config.Prediction,
    ) -> None:
        """Args:
        predictor: at this recording's stride; each face gets another of it.
        frame_rate: of the recording, frames a second.
        settings: how long faces are remembered.
        """
        self._predictor = predictor
        self._frame_rate = frame_rate
        self._settings = settings
        self._states: dict[int, _FaceState] = {}
        self._slot = -1

    def predict(self, chunk: Sequence[FrameFeatures]) -> list[frames.FramePrediction]:
        """Predicts consecutive frames; the size of the chunks makes no difference."""
        slots = np.array([self._next_slot(frame.timestamp) for frame in chunk])
        values: dict[tuple[int, int], np.ndarray] = {}
        for face_id in sorted({face.face_id for frame in chunk for face in frame.faces}):
            places = [
                (number, k)
                for number, frame in enumerate(chunk)
                for k, face in enumerate(frame.faces)
                if face.face_id == face_id
            ]
            features = np.stack([chunk[number].features[k] for number, k in places])
            numbers = [number for number, _ in places]
            rows = self._advance(face_id, slots[numbers], features)
            values.update({(number, face_id): row for number, row in zip(numbers, rows)})
        return [self._assemble(number, frame, values) for number, frame in enumerate(chunk)]

    def _next_slot(self, timestamp: float) -> int:
        self._slot = max(self._slot + 1, round(timestamp * self._frame_rate))
        return self._slot

    def _advance(self, face_id: int, slots: np.ndarray, features: np.ndarray) -> np.ndarray:
        """fc6 of a face [n, F] in increasing slots [n] -> its predictions [n, D]."""
        if face_id not in self._states:
            another = self._predictor.another()
            self._states[face_id] = _FaceState(another, int(slots[0]), -np.inf, np.zeros(0))
        state = self._states[face_id]
        parts = []
        for run in np.split(np.arange(len(slots)), np.flatnonzero(np.diff(slots) > 1) + 1):
            state.predictor.skip(int(slots[run[0]]) - state.next_slot)
            parts.append(state.predictor.predict(features[run]))
            state.next_slot = int(slots[run[-1]]) + 1
        return np.concatenate(parts)

    def _assemble(
        self, number: int, frame: FrameFeatures, values: dict[tuple[int, int], np.ndarray]
    ) -> frames.FramePrediction:
        """A frame's predictions: of the faces it shows, and held ones of those that just left."""
        faces = []
        for k, face in enumerate(frame.faces):
            state = self._states[face.face_id]
            state.last_seen, state.values = frame.timestamp, values[number, face.face_id]
            posteriors = None if frame.posteriors is None else frame.posteriors[k]
            faces.append(frames.FacePrediction(face.face_id, face.face, state.values, posteriors))
        present = {face.face_id for face in frame.faces}
        for face_id, state in list(self._states.items()):
            absence = frame.timestamp - state.last_seen
            if face_id in present or absence == np.inf:
                continue
            if absence <= self._settings.hold_seconds:
                faces.append(frames.FacePrediction(face_id, None, state.values))
            forgotten = absence > self._settings.identity_seconds
            if forgotten and not self._comes_again(face_id, values):
                del self._states[face_id]
        faces.sort(key=lambda face: face.face_id)
        return frames.FramePrediction(
            frame.index, frame.timestamp, tuple(faces), frame.image, frame.dropped
        )

    @staticmethod
    def _comes_again(face_id: int, values: dict[tuple[int, int], np.ndarray]) -> bool:
        """Whether the face is in this chunk: its state is already that of its last frame there."""
        return any(other == face_id for _, other in values)

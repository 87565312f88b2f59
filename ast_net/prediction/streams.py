"""The temporal model over several faces of a recording, each with a state and a time of its own."""

import collections
import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from ast_net import config
from ast_net.prediction import frames
from ast_net.temporal import streaming


@dataclasses.dataclass(eq=False)
class _FaceState:
    """What is remembered of a face that is there or has left lately.

    Attributes:
      predictor: with the LSTM's state for this face.
      next_slot: the slot after its last one.
      last_seen: timestamp of its last frame, in seconds.
      values: the last prediction, [D].
    """

    predictor: streaming.StreamingPredictor
    next_slot: int
    last_seen: float = -np.inf
    values: np.ndarray = dataclasses.field(default_factory=lambda: frames.EMPTY)


class FaceStreams:
    """Predictions of a recording's faces, frame after frame.

    Time is counted in slots of one frame at the recording's frame rate. A frame belongs to the slot
    of its timestamp, so that frames which are missing, dropped or late do not shift the LSTM's
    phases; two frames of one slot come after each other.
    """

    def __init__(
        self,
        predictor: streaming.StreamingPredictor,
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

    def predict(self, chunk: Sequence[frames.FramePrediction]) -> Sequence[frames.FramePrediction]:
        """Predicts consecutive frames, in place; the size of the chunks makes no difference.

        Args:
          chunk: frames with the faces that they show, in the order of their ids. The predictor
            gets their features; they get values instead. Faces that just left are added, with the
            values of their last frame.
        """
        appearances: dict[int, list] = collections.defaultdict(list)
        for frame in chunk:
            self._slot = max(self._slot + 1, round(frame.timestamp * self._frame_rate))
            for face in frame.faces:
                appearances[face.face_id].append((self._slot, face))
        for face_id, places in appearances.items():
            slots = np.array([slot for slot, _ in places])
            rows = self._advance(face_id, slots, np.stack([face.features for _, face in places]))
            for (_, face), row in zip(places, rows, strict=True):
                face.values, face.features = row, frames.EMPTY
        for frame in chunk:
            self._hold(frame, appearances.keys())
        return chunk

    def _advance(self, face_id: int, slots: np.ndarray, features: np.ndarray) -> np.ndarray:
        """fc6 of a face [n, F] in increasing slots [n] -> its predictions [n, D]."""
        if face_id not in self._states:
            self._states[face_id] = _FaceState(self._predictor.another(), int(slots[0]))
        state = self._states[face_id]
        parts = []
        for run in np.split(np.arange(len(slots)), np.flatnonzero(np.diff(slots) > 1) + 1):
            state.predictor.skip(int(slots[run[0]]) - state.next_slot)
            parts.append(state.predictor.predict(features[run]))
            state.next_slot = int(slots[run[-1]]) + 1
        return np.concatenate(parts)

    def _hold(self, frame: frames.FramePrediction, chunk_ids: Collection[int]) -> None:
        """Adds the faces that just left to a frame, and forgets those that left long ago.

        A face of this chunk is not forgotten: its state is already that of its last frame there.
        """
        for face in frame.faces:
            state = self._states[face.face_id]
            state.last_seen, state.values = frame.timestamp, face.values
        for face_id, state in list(self._states.items()):
            absence = frame.timestamp - state.last_seen
            if 0 < absence <= self._settings.hold_seconds:
                frame.faces.append(frames.FacePrediction(face_id, None, state.values))
            if absence > self._settings.identity_seconds and face_id not in chunk_ids:
                del self._states[face_id]
        frame.faces.sort(key=lambda face: face.face_id)

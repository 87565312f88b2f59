"""The temporal model over several faces of a recording, each with a state and a time of its own."""

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ast_net import config
from ast_net.prediction import frames
from ast_net.temporal import streaming


@dataclasses.dataclass(eq=False)
class _FaceState:
    """What is remembered of a face that is there or has left lately.

    Attributes:
      predictor: with the LSTM's states for this face.
      last_seen: timestamp of its last frame, in seconds.
      values: the last prediction, [D].
    """

    predictor: streaming.StreamingPredictor
    last_seen: float = -np.inf
    values: np.ndarray = dataclasses.field(default_factory=lambda: frames.EMPTY)


class FaceStreams:
    """Predictions of a recording's faces, frame after frame.

    Each face has LSTM states of its own, at the model's time step, whatever the frame rate and
    wherever it changes. A frame that does not show it, or was dropped, counts as a frame without a
    face: evaluating the same frames gives the same values.
    """

    def __init__(
        self,
        predictor: streaming.StreamingPredictor,
        settings: config.Prediction,
    ) -> None:
        """Args:
        predictor: of the model; each face gets another of it.
        settings: how long faces are remembered.
        """
        self._predictor = predictor
        self._settings = settings
        self._states: dict[int, _FaceState] = {}
        self._last_time = np.zeros(0)

    def predict(self, chunk: Sequence[frames.FramePrediction]) -> Sequence[frames.FramePrediction]:
        """Predicts consecutive frames, in place; the size of the chunks makes no difference.

        Args:
          chunk: frames with the faces that they show, in the order of their ids. The predictor
            gets their features; they get values instead. Faces that just left are added, with the
            values of their last frame.
        """
        times = np.array([frame.timestamp for frame in chunk])
        appearances: dict[int, dict[int, frames.FacePrediction]] = collections.defaultdict(dict)
        for place, frame in enumerate(chunk):
            for face in frame.faces:
                appearances[face.face_id][place] = face
        for face_id, faces in appearances.items():
            self._predict(face_id, faces, times)
        for face_id in self._states.keys() - appearances.keys():
            self._states[face_id].predictor.skip(times)
        for frame in chunk:
            self._hold(frame, appearances.keys())
        self._last_time = times[-1:]
        return chunk

    def _predict(
        self, face_id: int, faces: Mapping[int, frames.FacePrediction], times: np.ndarray
    ) -> None:
        """Predicts a face in a chunk's frames, which are at times [T]; faces are by their places."""
        places = np.array(list(faces))
        if face_id not in self._states:
            # Time begins one frame before the first one that shows it.
            predictor = self._predictor.another()
            predictor.skip(np.append(self._last_time, times[: places[0]])[-1:])
            self._states[face_id] = _FaceState(predictor)
            times, places = times[places[0] :], places - places[0]
        features = np.stack([face.features for face in faces.values()])
        # The others are zeros: frames without a face.
        rows = np.zeros((len(times), *features.shape[1:]), features.dtype)
        rows[places] = features
        values = self._states[face_id].predictor.predict(rows, times)
        for place, face in zip(places, faces.values(), strict=True):
            face.values, face.features = values[place], frames.EMPTY

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

"""Applies the temporal model to several faces at a time, each with its own LSTM states."""

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ast_net import config
from ast_net.prediction import frames
from ast_net.temporal import streaming


@dataclasses.dataclass(eq=False)
class _FaceState:
    """State of a face that is in the picture or left it recently.

    Attributes:
      predictor: holds the LSTM's states for this face.
      last_seen: time of the last frame that shows the face, in seconds.
      values: the last prediction, [D].
    """

    predictor: streaming.StreamingPredictor
    last_seen: float = -np.inf
    values: np.ndarray = dataclasses.field(default_factory=lambda: frames.EMPTY)


class FaceStreams:
    """Predicts all faces of a recording, frame after frame.

    Each face has its own LSTM states, one time step apart at any frame rate, even a changing one. A
    frame that does not show the face, or was dropped, counts as a frame without a face, so that
    evaluate gives the same values for the same frames.
    """

    def __init__(
        self,
        predictor: streaming.StreamingPredictor,
        settings: config.Prediction,
    ) -> None:
        """Args:
        predictor: holds the temporal model; each face gets its own copy of the states.
        settings: how long a face that left is remembered.
        """
        self._predictor = predictor
        self._settings = settings
        self._states: dict[int, _FaceState] = {}
        self._last_time = np.zeros(0)

    def predict(self, chunk: Sequence[frames.FramePrediction]) -> Sequence[frames.FramePrediction]:
        """Predicts consecutive frames, in place; the size of the chunks does not matter.

        Args:
          chunk: frames with the faces that they show, sorted by id. Each face's `values` are
            filled in, and its `features` emptied. Faces that left recently are added, with the
            values of their last frame.
        """
        times = np.array([frame.timestamp for frame in chunk])
        # For each face, where in the chunk it is seen.
        tracks: dict[int, dict[int, frames.FacePrediction]] = collections.defaultdict(dict)
        for position, frame in enumerate(chunk):
            for face in frame.faces:
                tracks[face.face_id][position] = face
        self._predict(tracks, times)
        for face_id in self._states.keys() - tracks.keys():
            self._states[face_id].predictor.skip(times)
        for frame in chunk:
            self._hold(frame, tracks.keys())
        self._last_time = times[-1:]
        return chunk

    def _predict(
        self, tracks: Mapping[int, Mapping[int, frames.FacePrediction]], times: np.ndarray
    ) -> None:
        """Predicts faces, given by their positions in a chunk of frames at times [T]."""
        inputs = [self._inputs(face_id, faces, times) for face_id, faces in tracks.items()]
        values = self._predictor.predict_together(
            [self._states[face_id].predictor for face_id in tracks],
            [features for features, _ in inputs],
            [times_of_face for _, times_of_face in inputs],
        )
        for faces, predictions in zip(tracks.values(), values, strict=True):
            # A new face has predictions from the first frame that shows it.
            first = len(times) - len(predictions)
            for position, face in faces.items():
                face.values, face.features = predictions[position - first], frames.EMPTY

    def _inputs(
        self, face_id: int, faces: Mapping[int, frames.FacePrediction], times: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a face's features [n, F] and times [n]: the whole chunk, or its end if it is new.

        Zeros stand for frames without this face.
        """
        first = 0
        if face_id not in self._states:
            # The time of a new face begins one frame before the first one that shows it.
            first = next(iter(faces))
            predictor = self._predictor.another()
            predictor.skip(np.append(self._last_time, times[:first])[-1:])
            self._states[face_id] = _FaceState(predictor)
        features = np.stack([face.features for face in faces.values()])
        rows = np.zeros((len(times) - first, *features.shape[1:]), features.dtype)
        rows[np.array(list(faces)) - first] = features
        return rows, times[first:]

    def _hold(self, frame: frames.FramePrediction, chunk_ids: Collection[int]) -> None:
        """Adds faces that left recently to a frame, and forgets those that left long ago.

        A face of this chunk is not forgotten, as its state is already that of the chunk's end.
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

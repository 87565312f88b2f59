"""Defines what `Predictor.stream` and `Predictor.step` give: a frame with its predicted faces."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ast_net.prediction import frames


@dataclasses.dataclass(frozen=True, eq=False)
class PredictedFace:
    """A face in a frame, with its predictions.

    Attributes:
      face_id: number of the face, from 0; the same in all frames of its track.
      valid: whether the frame shows the face. A face that left less than `hold_seconds` ago has the
        values of its last frame.
      box: x, y of the upper left corner, width and height in pixels, float32 [4]; None if not
        valid.
      landmarks: x and y in pixels of left eye, right eye, nose, left and right corner of the mouth,
        float32 [5, 2]; left is the left side of the picture. None if not valid.
      confidence: the probability that this is a face, in [0, 1]; NaN if not valid.
      values: the predicted targets by name, usually in [-1, 1].
      smooth: their means over the model's last time step (0.4 s), by name; NaN if there are none.
      posteriors: probabilities of the expressions by name; empty if they were not requested or the
        face is not valid.
    """

    face_id: int
    valid: bool
    box: np.ndarray | None
    landmarks: np.ndarray | None
    confidence: float
    values: dict[str, float]
    smooth: dict[str, float]
    posteriors: dict[str, float]

    @property
    def valence(self) -> float:
        """How pleasant the face looks, usually in [-1, 1]."""
        return self.values["valence"]

    @property
    def arousal(self) -> float:
        """How excited the face looks, usually in [-1, 1]."""
        return self.values["arousal"]


@dataclasses.dataclass(frozen=True, eq=False)
class PredictedFrame:
    """A frame with the predictions of its faces.

    Attributes:
      index: number of the frame, from 0.
      time: its time in seconds; for a camera, since it was switched on.
      faces: the faces, sorted by `face_id`; empty if there are none.
      image: the picture, uint8 RGB [H, W, 3]; None if the camera gave it too fast to be predicted.
    """

    index: int
    time: float
    faces: tuple[PredictedFace, ...]
    image: np.ndarray | None


def of(
    frame: frames.FramePrediction, targets: Sequence[str], expressions: Sequence[str]
) -> PredictedFrame:
    """Returns a frame of the pipeline, with its predictions by the names of what they predict."""
    faces = tuple(_face(face, targets, expressions) for face in frame.faces)
    return PredictedFrame(frame.index, frame.timestamp, faces, frame.image)


def _face(
    face: frames.FacePrediction, targets: Sequence[str], expressions: Sequence[str]
) -> PredictedFace:
    seen = face.face
    return PredictedFace(
        face_id=face.face_id,
        valid=face.valid,
        box=seen.box if seen else None,
        landmarks=seen.landmarks if seen else None,
        confidence=float(seen.confidence) if seen else math.nan,
        values=_named(targets, face.values),
        smooth=_named(targets, face.smooth),
        posteriors={} if face.posteriors is None else _named(expressions, face.posteriors),
    )


def _named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))

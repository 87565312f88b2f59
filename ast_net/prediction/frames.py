"""Defines a frame and its faces, which the prediction's stages fill in and the outputs write."""

import dataclasses

import numpy as np

from ast_net.faces import detection

# Stands for an array that does not exist yet, or is no longer needed.
EMPTY = np.zeros(0, np.float32)


@dataclasses.dataclass(eq=False)
class FacePrediction:
    """One face in one frame, with its predictions.

    Attributes:
      face_id: number of the face, from 0; the same in all frames of its track.
      face: the face's box and landmarks, in pixels of the upright frame; None if this frame does
        not show the face, so that `values` are those of its last frame.
      values: predicted targets, float32 [D], usually in [-1, 1]; NaN if there are none.
      smooth: the values' mean over one time step, float32 [D]; see `smoothing.smoothed`.
      posteriors: probabilities of the model's expressions, float32 [K]; None if they were not
        requested, or if this frame does not show the face.
      features: input of the next stage: the aligned face, uint8 [224, 224, 3], then fc6, [F]; empty
        once the values are predicted.
    """

    face_id: int
    face: detection.Face | None
    values: np.ndarray = dataclasses.field(default_factory=lambda: EMPTY)
    smooth: np.ndarray = dataclasses.field(default_factory=lambda: EMPTY)
    posteriors: np.ndarray | None = None
    features: np.ndarray = dataclasses.field(default_factory=lambda: EMPTY)

    @property
    def valid(self) -> bool:
        """Whether the frame shows the face, so that the values are its own."""
        return self.face is not None


@dataclasses.dataclass(eq=False)
class FramePrediction:
    """One frame of the input with its predictions; every frame has one, with or without a face.

    Attributes:
      index: number of the frame in the input, from 0.
      timestamp: time in seconds, strictly increasing.
      faces: sorted by id; empty if the frame has none.
      image: uint8 RGB [H, W, 3]; None if no output needs it.
      dropped: whether the camera gave the frame too fast for it to be predicted.
      file: a photograph's name; empty for a frame of a film.
      error: why the photograph cannot be read; empty if it can.
    """

    index: int
    timestamp: float
    faces: list[FacePrediction]
    image: np.ndarray | None = None
    dropped: bool = False
    file: str = ""
    error: str = ""

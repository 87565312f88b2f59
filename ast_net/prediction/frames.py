"""A frame and its faces: what the stages of a prediction fill in and the outputs are made of."""

import dataclasses

import numpy as np

from ast_net.faces import detection

# In the place of an array that is not there, or no longer needed.
EMPTY = np.zeros(0, np.float32)


@dataclasses.dataclass(eq=False)
class FacePrediction:
    """One face in one frame, and what is predicted of it.

    Attributes:
      face_id: the same number as long as it is the same face, from 0.
      face: where it is, in pixels of the upright picture; None where it was not seen, so that its
        values are held from frames before.
      values: one for each target, in [-1, 1] as a rule, float32 [D]; NaN if there is none to give.
      posteriors: probabilities of the model's expressions, float32 [K]; None if not asked for or
        not seen.
      features: what the values are predicted from: the aligned face, uint8 [224, 224, 3], then fc6,
        [F]; empty when they are predicted.
    """

    face_id: int
    face: detection.Face | None
    values: np.ndarray = dataclasses.field(default_factory=lambda: EMPTY)
    posteriors: np.ndarray | None = None
    features: np.ndarray = dataclasses.field(default_factory=lambda: EMPTY)

    @property
    def valid(self) -> bool:
        """Whether the frame shows the face; what is held is not valid."""
        return self.face is not None


@dataclasses.dataclass(eq=False)
class FramePrediction:
    """One frame of the input; every frame has one, whatever it shows.

    Attributes:
      index: of the input's frames, from 0.
      timestamp: seconds, strictly increasing.
      faces: in the order of their ids; empty where no face is known.
      image: uint8 RGB [H, W, 3], if some output needs it.
      dropped: whether it came too fast to be looked at.
    """

    index: int
    timestamp: float
    faces: list[FacePrediction]
    image: np.ndarray | None = None
    dropped: bool = False

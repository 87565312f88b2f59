"""A frame of a video file, a picture sequence or a camera."""

from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """A frame: its index, from 0, its time in seconds, and its picture, uint8 RGB [H, W, 3]."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed
    timestamp: float
    image: np.ndarray

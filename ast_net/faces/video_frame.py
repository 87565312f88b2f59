"""What video files and picture sequences consist of."""

from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """One picture of a video: its index, its time in seconds, and uint8 RGB [H, W, 3]."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    timestamp: float
    image: np.ndarray

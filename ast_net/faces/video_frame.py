"""A frame of a video file, a picture sequence or a camera."""

import pathlib
from typing import NamedTuple

import numpy as np

from ast_net import errors

# Twice the pixels of 8K video. A file of 100 kB can announce a picture that fills the memory.
MAX_PIXELS = 64_000_000


class Frame(NamedTuple):
    """A frame.

    Attributes:
      index: its number, from 0.
      timestamp: its time, in seconds.
      image: its picture, uint8 RGB [H, W, 3], upright and with square pixels. Boxes and landmarks
        are in pixels of this picture. Empty if a camera's frame was dropped.
      damaged: whether the decoder had to guess parts of the picture.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed
    timestamp: float
    image: np.ndarray
    damaged: bool = False

    @property
    def usable(self) -> bool:
        """Whether faces can be looked for: the frame has a picture, which is not damaged."""
        return self.image.size > 0 and not self.damaged


def check_size(path: pathlib.Path, width: int, height: int) -> None:
    """Checks the size of a file's pictures, which its header gives, before they are decoded.

    Raises:
      InputError: the pictures have more than 64 million pixels.
    """
    if width * height > MAX_PIXELS:
        raise errors.InputError(
            f"{path}: found pictures of {width}x{height} pixels, expected at most "
            f"{MAX_PIXELS:,} pixels; make the pictures smaller"
        )

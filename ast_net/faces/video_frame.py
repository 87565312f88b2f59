"""A frame of a video file, a picture sequence or a camera."""

import pathlib
from typing import NamedTuple

import numpy as np

from ast_net import errors

# Twice the pixels of 8K video. A file of 100 kB can announce a picture that fills the memory.
MAX_PIXELS = 64_000_000


class Frame(NamedTuple):
    """A frame: its index, from 0, its time in seconds, and its picture, uint8 RGB [H, W, 3].

    Boxes and landmarks are in pixels of this picture, which is upright and has square pixels.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed
    timestamp: float
    image: np.ndarray


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

"""Turns decoded pictures into the pictures that a player shows."""

import math
import pathlib
from typing import Any

import av
import av.video.reformatter
import numpy as np

from ast_net.faces import video_frame

# Pixels whose width and height differ by less are taken for square. Encoders round widths, so that
# a ratio such as 1280:1279 is usual, and scaling would only blur the picture.
_SQUARE_TOLERANCE = 0.01


class Display:
    """Shows a stream's pictures as a player does: cropped, with square pixels, upright.

    Pixels that are not square are made square by scaling the width by `pixel_aspect`; the height
    keeps its pixels. Then the picture is mirrored and turned, in quarter turns, as its display
    matrix says. FFmpeg crops while decoding, as the codec says.

    Attributes:
      pixel_aspect: width of a stored pixel divided by its height.
    """

    def __init__(self, path: pathlib.Path, stream: av.VideoStream) -> None:
        """Reads the stream's pixel aspect ratio; `path` is for messages."""
        self._path = path
        aspect = float(stream.sample_aspect_ratio or 1)
        self.pixel_aspect = 1.0 if abs(aspect - 1) < _SQUARE_TOLERANCE else aspect
        # Creating it for each picture would be slow.
        self._to_rgb = av.video.reformatter.VideoReformatter()
        # By angle: PyAV keeps a picture whose side data were read until the garbage is collected.
        self._matrices: dict[int, tuple[float, float, float, float]] = {}

    def shown(self, picture: av.VideoFrame) -> np.ndarray:
        """Returns a picture as it is shown, uint8 RGB [H, W, 3].

        Raises:
          InputError: the picture as shown has more than 64 million pixels.
        """
        width = max(round(picture.width * self.pixel_aspect), 1)
        video_frame.check_size(self._path, width, picture.height)
        rgb = self._to_rgb.reformat(picture, width, picture.height, "rgb24", threads=1)
        image = rgb.to_ndarray()
        angle = picture.rotation
        if angle not in self._matrices:
            self._matrices[angle] = _display_matrix(picture)
        a, b, c, d = self._matrices[angle]
        # x' = a x + c y and y' = b x + d y, with y downwards. It is rounded to quarter turns.
        transposed = abs(b) + abs(c) > abs(a) + abs(d)
        if transposed:
            image = image.transpose(1, 0, 2)
        mirrored, flipped = (c < 0, b < 0) if transposed else (a < 0, d < 0)
        return np.ascontiguousarray(image[:: -1 if flipped else 1, :: -1 if mirrored else 1])


def _display_matrix(picture: av.VideoFrame) -> tuple[float, float, float, float]:
    """Returns a, b, c, d of the matrix that turns and mirrors a picture, up to a factor."""
    try:
        data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV does not know all side data, such as the views of a stereoscopic picture. The angle
        # is anticlockwise, in degrees.
        angle = math.radians(picture.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d

"""Reads and writes picture files."""

import io
import pathlib

import cv2
import numpy as np
import PIL.Image

from ast_net import errors, files
from ast_net.faces import video_frame


def read(path: pathlib.Path, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    """Reads a picture, upright as its camera was held.

    Args:
      path: a file of any format that OpenCV reads.
      flags: how OpenCV decodes it.

    Returns:
      uint8 RGB [H, W, 3], or [H, W] with cv2.IMREAD_GRAYSCALE.

    Raises:
      InputError: the file cannot be read, is not a picture or is damaged, or it has more than 64
        million pixels.
    """
    content = read_bytes(path)
    try:
        # OpenCV would decode any size.
        with PIL.Image.open(io.BytesIO(content)) as header:
            video_frame.check_size(path, *header.size)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except PIL.Image.DecompressionBombError as error:  # above Pillow's limit of 179 million pixels
        expected = f"expected at most {video_frame.MAX_PIXELS:,} pixels"
        raise errors.InputError(
            f"{path}: picture too large ({error}), {expected}; make it smaller"
        ) from error
    except (errors.InputError, MemoryError):
        raise
    except Exception:  # For a damaged header, Pillow raises almost any error.
        image = None
    if image is None:
        problem = f"not a readable picture ({len(content)} bytes)"
        raise errors.InputError(
            f"{path}: {problem}; the file is damaged or of another type: copy it again"
        )
    return image


def write(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes a picture, uint8 RGB [H, W, 3], in the format that the file's suffix names.

    Raises:
      OSError: the disk is full or read-only.
    """
    _, content = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(content.tobytes())


def read_bytes(path: pathlib.Path) -> bytes:
    """Returns the content of a picture file.

    Raises:
      InputError: the file cannot be read.
    """
    with files.reading(path, "a picture"):
        return path.read_bytes()

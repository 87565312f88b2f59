"""What video files and picture sequences share: frames, fingerprints, errors of the file system."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ast_net import errors


class Frame(NamedTuple):
    """One picture of a video: its index, its time in seconds, and uint8 RGB [H, W, 3]."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    timestamp: float
    image: np.ndarray


class Fingerprint(NamedTuple):
    """Tells, without reading the content, whether a video has changed.

    Attributes:
      size: in words, "1234 bytes" or "10 pictures, 1234 bytes".
      modified: when it was last written, in nanoseconds since 1970.
    """

    size: str
    modified: int


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turns the file system's errors into an InputError that names the path."""
    try:
        yield
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read ({error.strerror}); check the path"
        ) from error

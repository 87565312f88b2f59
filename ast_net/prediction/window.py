"""A window that shows what is predicted while it is."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ast_net import errors

_ESCAPE = 27


@contextlib.contextmanager
def opened(title: str, stop: threading.Event) -> Iterator[Callable[[np.ndarray, float], None]]:
    """Gives a function that shows a picture, uint8 RGB [H, W, 3], at once, whatever its time.

    Args:
      title: of the window.
      stop: is set when the user has seen enough and presses q or Escape.

    Raises:
      InputError: there is no screen, or OpenCV was built without windows.
    """
    # Without one, OpenCV's window library ends the process.
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        raise errors.InputError(
            "`outputs`: found window, but there is no screen; leave it out, and look at the video"
        )
    try:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
    except cv2.error as error:
        raise errors.InputError(
            "`outputs`: found window, but this OpenCV has no windows (opencv-python-headless); put "
            "opencv-python in its place, or leave window out and look at the video"
        ) from error

    def show(picture: np.ndarray, _: float) -> None:
        cv2.imshow(title, picture[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE):
            stop.set()

    try:
        yield show
    finally:
        cv2.destroyAllWindows()

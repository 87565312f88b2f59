"""Shows the annotated frames in a window while they are predicted."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ast_net import errors

_ESCAPE = 27


def has_screen() -> bool:
    """Whether there is a screen that can show windows."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


@contextlib.contextmanager
def opened(title: str, stop: threading.Event) -> Iterator[Callable[[np.ndarray, float], None]]:
    """Yields a function that shows an image, uint8 RGB [H, W, 3], immediately; it ignores the time.

    Args:
      title: title of the window.
      stop: set when the user presses q or Escape.

    Raises:
      InputError: there is no screen, or OpenCV was built without windows.
    """
    # Without a screen, OpenCV's window library would end the process.
    if not has_screen():
        raise errors.InputError(
            "`outputs=window` needs a screen, and there is none (neither DISPLAY nor "
            "WAYLAND_DISPLAY is set); write `outputs=video` instead"
        )
    try:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
    except cv2.error as error:
        raise errors.InputError(
            "`outputs`: found window, but this OpenCV has no windows (opencv-python-headless); put "
            "opencv-python in its place, or leave window out and look at the video"
        ) from error

    def show(image: np.ndarray, _: float) -> None:
        cv2.imshow(title, image[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE):
            stop.set()

    try:
        yield show
    finally:
        cv2.destroyAllWindows()

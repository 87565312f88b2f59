"""A window that shows what is predicted while it is."""

import os
import sys
import threading

import cv2

from ast_net import errors
from ast_net.prediction import annotation, frames

_ESCAPE = 27


class Window:
    """Shows annotated frames; q or Escape asks for the end."""

    def __init__(self, title: str, annotator: annotation.Annotator, stop: threading.Event) -> None:
        """Args:
          title: of the window.
          annotator: draws.
          stop: is set when the user has seen enough.

        Raises:
          InputError: there is no screen.
        """
        # Without one, OpenCV's window library ends the process.
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
            raise errors.InputError(
                "--outputs: found window, but there is no screen to show one on; leave it out, and look at "
                "the annotated video"
            )
        self._title, self._annotator, self._stop = title, annotator, stop

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_) -> None:
        cv2.destroyAllWindows()

    def write(self, frame: frames.FramePrediction) -> None:
        """Shows a frame; one that was dropped is not there to be shown."""
        if frame.image is None:
            return
        cv2.imshow(self._title, self._annotator.draw(frame.image, frame)[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE):
            self._stop.set()

"""A camera's frames at the times they were taken; what cannot be looked at in time is dropped, not delayed."""

import threading
import time
from collections.abc import Callable, Generator
from typing import Protocol

import cv2
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import video

# Frames a second, if a camera does not say.
USUAL_RATE = 30.0
# Seconds: between two looks at `stop` while no picture comes, and until the last one is given up.
_PATIENCE, _LAST_PICTURE = 0.1, 5.0
# The image of a frame that is dropped.
DROPPED = np.zeros((0, 0, 3), np.uint8)


class Capture(Protocol):
    """What is needed of cv2.VideoCapture."""

    def read(self) -> tuple[bool, np.ndarray]: ...


def connect(camera: str) -> tuple[cv2.VideoCapture, float]:
    """A camera, and how many frames a second it gives.

    Args:
      camera: its number, or the address of a stream such as rtsp://...

    Raises:
      InputError: it is not there, or gives no picture.
    """
    capture = cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if not capture.isOpened() or not capture.read()[0]:
        raise errors.InputError(
            f"camera {camera}: gives no picture; expected a number such as 0 or the address of a stream: "
            "check that it is plugged in, that no other program uses it, and that you may read it"
        )
    rate = capture.get(cv2.CAP_PROP_FPS)
    return capture, rate if 1 <= rate <= 240 else USUAL_RATE


def newest_frames(
    capture: Capture,
    stop: threading.Event,
    max_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[video.Frame, None, None]:
    """Yields each time the newest frame, and before it those that came and went since the last time.

    A thread takes every frame the camera gives and notes its time. Frames that nobody asked for before
    the next one came are yielded with an empty image: they keep their index and time.

    Args:
      capture: gives pictures in BGR, and False when there are no more.
      stop: ends it when set.
      max_seconds: after which it ends; None for as long as the camera gives pictures.
      clock: seconds.
    """
    changed = threading.Condition()
    dropped: list[video.Frame] = []
    newest: list[video.Frame] = []
    ended = threading.Event()
    start = clock()

    def take() -> None:
        index, last = 0, -1.0
        while not ended.is_set():
            found, picture = capture.read()
            now = clock() - start
            if not found or (max_seconds is not None and now > max_seconds):
                break
            last = max(now, np.nextafter(last, np.inf))  # clocks may be coarse
            with changed:
                if newest:
                    dropped.append(newest.pop()._replace(image=DROPPED))
                newest.append(video.Frame(index, last, picture))
                changed.notify()
            index += 1
        with changed:
            ended.set()
            changed.notify()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            with changed:
                while not (newest or ended.is_set() or stop.is_set()):
                    changed.wait(_PATIENCE)
                passed, dropped[:] = list(dropped), []
                frame = newest.pop() if newest else None
            yield from passed
            if frame is not None:
                yield frame._replace(image=cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB))
            elif not stop.is_set():
                if max_seconds is None:
                    logging.warning("the camera gives no more pictures; what was predicted is kept")
                break
    finally:
        ended.set()
        thread.join(_LAST_PICTURE)

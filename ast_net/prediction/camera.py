"""A camera's frames at the times they were taken; those that come too fast are dropped."""

import itertools
import threading
import time
from collections.abc import Callable, Generator
from typing import Protocol

import cv2
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import video_frame

# Seconds: how often `stop` is checked while no picture comes; how long the thread may take to end.
_PATIENCE, _LAST_PICTURE = 0.1, 5.0
# The image of a frame that is dropped.
DROPPED = np.zeros((0, 0, 3), np.uint8)


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def read(self) -> tuple[bool, np.ndarray]: ...


def connect(camera: str) -> cv2.VideoCapture:
    """Opens a camera.

    Args:
      camera: its number, or the address of a stream such as rtsp://...

    Raises:
      InputError: there is no such camera, or it gives no picture.
    """
    capture = cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if not capture.isOpened() or not capture.read()[0]:
        raise errors.InputError(
            f"camera {camera}: gives no picture; expected a number like 0 or a stream's address; "
            "check that it is plugged in, not in use by another program, and that you have access"
        )
    return capture


def newest_frames(
    capture: Capture,
    stop: threading.Event,
    max_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[video_frame.Frame, None, None]:
    """Yields the newest frame whenever one is asked for, and before it those that were missed.

    A thread takes every frame of the camera and notes its time. Frames that were replaced by newer
    ones before they were asked for are yielded with an empty image: they keep their index and time.

    Args:
      capture: gives pictures in BGR, and False when there are no more.
      stop: ends the recording when set.
      max_seconds: length of the recording; None for as long as the camera gives pictures.
      clock: gives the time in seconds.
    """
    changed = threading.Condition()
    waiting: list[video_frame.Frame] = []
    ended = threading.Event()
    start = clock()

    def take() -> None:
        last = -1.0
        for index in itertools.count():
            success, picture = capture.read()
            now = clock() - start
            if ended.is_set() or not success or (max_seconds is not None and now > max_seconds):
                break
            last = max(now, np.nextafter(last, np.inf))  # clocks may be coarse
            with changed:
                if waiting:
                    waiting[-1] = waiting[-1]._replace(image=DROPPED)
                waiting.append(video_frame.Frame(index, last, picture))
                changed.notify()
        with changed:
            ended.set()
            changed.notify()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            with changed:
                changed.wait_for(lambda: waiting or ended.is_set(), _PATIENCE)
                given, waiting[:] = list(waiting), []
                over = ended.is_set() and not given
            yield from given[:-1]
            for frame in given[-1:]:
                yield frame._replace(image=cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB))
            if over:
                if max_seconds is None:
                    logging.warning("the camera gives no more pictures; the predictions are kept")
                break
    finally:
        ended.set()
        thread.join(_LAST_PICTURE)

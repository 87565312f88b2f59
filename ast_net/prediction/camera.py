"""Reads a camera's frames with the times they were taken; drops those that come too fast."""

import itertools
import pathlib
import re
import threading
import time
from collections.abc import Callable, Generator
from typing import Protocol

import cv2
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import video_frame

# How often `stop` is checked while the camera gives no picture, in seconds.
_STOP_CHECK_INTERVAL = 0.1
# Seconds that connecting to an address, or waiting for its next picture, may take.
_ADDRESS_TIME_LIMIT = 10.0
# Seconds to wait at the end for the thread, which may be waiting for a picture.
_THREAD_TIMEOUT = _ADDRESS_TIME_LIMIT + 5.0
_PLUG_ADVICE = (
    "give a number such as 0, or an address that begins with rtsp://, http:// or udp://; check "
    "that the camera is plugged in, that no other program uses it, and that you are allowed to"
)
# What to check if an address gives no picture, by its protocol.
_ADDRESS_ADVICE = {
    "rtsp": "check host, port and path, user and password (rtsp://USER:PASSWORD@HOST/PATH), and "
    "that no firewall is in between",
    "http": "check the address with a browser on this machine",
    "udp": "check that the sender sends to this machine and port, and that no firewall is in "
    "between",
}
# The image of a dropped frame.
DROPPED = np.zeros((0, 0, 3), np.uint8)


class Capture(Protocol):
    """The part of cv2.VideoCapture that this module uses."""

    def read(self) -> tuple[bool, np.ndarray]: ...

    def release(self) -> None: ...


def connect(camera: str) -> cv2.VideoCapture:
    """Opens a camera. An address has ten seconds to answer, and later for each picture.

    Args:
      camera: the camera's number, its device, or the address of a stream such as rtsp://...

    Raises:
      InputError: there is no such camera, it gives no picture, or it is a file. A file gives its
        pictures as fast as they are read, so that nearly all would be dropped.
    """
    file = camera.removeprefix("file://").removeprefix("file:")
    if pathlib.Path(file).is_file() or file != camera:
        raise errors.InputError(
            f"camera {camera}: is a file, expected a camera; give `video={file}`, which predicts "
            "every frame"
        )
    protocol, _, address = camera.partition("://")
    protocol = protocol.removesuffix("s")  # with encryption
    if address:
        limit = round(1000 * _ADDRESS_TIME_LIMIT)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        capture = cv2.VideoCapture(camera, cv2.CAP_FFMPEG, limits)
        advice = _ADDRESS_ADVICE.get(protocol, "check the address")
        advice = f"it has {_ADDRESS_TIME_LIMIT:g} s to answer; {advice}"
    else:
        capture = cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
        advice = _PLUG_ADVICE
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    # Unlike rtsp, http sends a recording as fast as it can, too.
    if protocol == "http" and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        raise errors.InputError(
            f"camera {shown(camera)}: is a recording, expected a camera; download it, and give "
            "`video=FILE`"
        )
    if not capture.isOpened() or not capture.read()[0]:
        raise errors.InputError(f"camera {shown(camera)}: gives no picture; {advice}")
    return capture


def shown(camera: str) -> str:
    """Returns a camera's number or address for messages and files: without its password."""
    return re.sub(r"(://[^/@:]*):[^/]*@", r"\1:...@", camera)


def newest_frames(
    capture: Capture,
    stop: threading.Event,
    max_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[video_frame.Frame, None, None]:
    """Yields the camera's newest frame each time the caller is ready for one.

    A thread reads every frame of the camera and notes its time. Frames that a newer one replaced
    before the caller was ready are yielded first, with an empty image: they keep their index and
    time. The camera is switched off at the end; if it stops by itself, a warning says so.

    Args:
      capture: returns pictures in BGR, and False when there are no more. Only the thread uses it.
      stop: ends the recording when set.
      max_seconds: length of the recording; None for as long as the camera gives pictures.
      clock: returns the time in seconds.
    """
    changed = threading.Condition()
    # Frames that the caller has not had yet; only the last one has an image.
    pending: list[video_frame.Frame] = []
    ended = threading.Event()
    start = clock()

    def read_frames() -> None:
        last_time = -1.0
        try:
            for index in itertools.count():
                success, picture = capture.read()
                now = clock() - start
                if ended.is_set() or (max_seconds is not None and now > max_seconds):
                    break
                if not success:
                    logging.warning("the camera stopped; the predictions up to now are kept")
                    break
                # Coarse clocks may give two frames the same time.
                last_time = max(now, np.nextafter(last_time, np.inf))
                with changed:
                    if pending:
                        pending[-1] = pending[-1]._replace(image=DROPPED)
                    pending.append(video_frame.Frame(index, last_time, picture))
                    changed.notify()
        except cv2.error as error:
            logging.warning(f"the camera failed ({error}); the predictions up to now are kept")
        finally:
            with changed:
                ended.set()
                changed.notify()
            capture.release()

    thread = threading.Thread(target=read_frames, daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            with changed:
                changed.wait_for(lambda: pending or ended.is_set(), _STOP_CHECK_INTERVAL)
                batch, pending[:] = list(pending), []
                finished = ended.is_set() and not batch
            yield from batch[:-1]
            for frame in batch[-1:]:
                yield frame._replace(image=cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB))
            if finished:
                break
    finally:
        ended.set()
        thread.join(_THREAD_TIMEOUT)

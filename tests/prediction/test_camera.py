"""A camera's frames: the newest comes first, and no dropped frame loses its row."""

import threading

import numpy as np
import pytest

from ast_net import errors
from ast_net.prediction import camera


class Camera:
    """A camera whose pictures have their number as colour, one second apart.

    `read` waits until the test allows the next picture.
    """

    def __init__(self, pictures):
        self.seconds, self.pictures = -1.0, pictures
        self.allowed, self.requested = threading.Semaphore(0), threading.Semaphore(0)

    def read(self):
        self.requested.release()
        self.allowed.acquire()
        self.seconds += 1
        number = round(self.seconds)
        if number >= self.pictures:
            return False, None
        return True, np.full((2, 3, 3), (number, 0, 255), np.uint8)

    def give(self, pictures):
        """Gives so many pictures, and returns when the reader waits for the next one."""
        for _ in range(pictures):
            self.requested.acquire()
            self.allowed.release()
        self.requested.acquire()
        self.requested.release()

    def clock(self):
        return self.seconds


def test_the_newest_frame_has_its_image_and_the_others_keep_their_rows():
    source = Camera(6)
    frames = camera.newest_frames(source, threading.Event(), clock=source.clock)
    source.allowed.release()
    first = next(frames)
    source.requested.acquire()
    source.give(3)
    received = [first, *(next(frames) for _ in range(3))]
    assert [frame.index for frame in received] == [0, 1, 2, 3]
    assert [frame.timestamp for frame in received] == [1, 2, 3, 4]
    assert [frame.image.size > 0 for frame in received] == [True, False, False, True]
    np.testing.assert_array_equal(received[3].image[0, 0], (255, 0, 3))
    source.allowed.release(9)
    assert [frame.index for frame in frames] in ([4, 5], [5], [])


def test_stops_when_asked():
    source, stop = Camera(100), threading.Event()
    frames = camera.newest_frames(source, stop, clock=source.clock)
    source.allowed.release(1)
    next(frames)
    stop.set()
    source.allowed.release(99)
    assert list(frames) == []


def test_ends_after_max_seconds():
    source = Camera(10)
    source.allowed.release(10)
    frames = camera.newest_frames(source, threading.Event(), max_seconds=3.5, clock=source.clock)
    assert [frame.index for frame in frames][-1] <= 3


def test_no_camera():
    with pytest.raises(errors.InputError, match="camera nowhere.mp4: gives no picture"):
        camera.connect("nowhere.mp4")

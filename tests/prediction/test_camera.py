"""Frames of a camera: none late, none without a row."""

import threading

import numpy as np
import pytest

from ast_net import errors
from ast_net.prediction import camera


class Camera:
    """Gives pictures of one colour, counted, each when it is let; every one takes a second."""

    def __init__(self, pictures):
        self.seconds, self.pictures = -1.0, pictures
        self.let, self.taken = threading.Semaphore(0), threading.Semaphore(0)

    def read(self):
        self.taken.release()
        self.let.acquire()
        self.seconds += 1
        number = round(self.seconds)
        if number >= self.pictures:
            return False, None
        return True, np.full((2, 3, 3), (number, 0, 255), np.uint8)

    def give(self, pictures):
        """Returns when the camera waits for the next."""
        for _ in range(pictures):
            self.taken.acquire()
            self.let.release()
        self.taken.acquire()
        self.taken.release()

    def clock(self):
        return self.seconds


def test_the_newest_is_looked_at_and_the_others_keep_their_rows():
    source = Camera(6)
    frames = camera.newest_frames(source, threading.Event(), clock=source.clock)
    source.let.release()
    first = next(frames)
    source.taken.acquire()
    source.give(3)
    rest = [next(frames) for _ in range(3)]
    assert [frame.index for frame in (first, *rest)] == [0, 1, 2, 3]
    assert [frame.timestamp for frame in (first, *rest)] == [1, 2, 3, 4]
    assert [frame.image.size > 0 for frame in (first, *rest)] == [True, False, False, True]
    np.testing.assert_array_equal(rest[2].image[0, 0], (255, 0, 3))
    source.let.release(9)
    assert [frame.index for frame in frames] in ([4, 5], [5], [])


def test_stops_when_asked():
    source, stop = Camera(100), threading.Event()
    frames = camera.newest_frames(source, stop, clock=source.clock)
    source.let.release(1)
    next(frames)
    stop.set()
    source.let.release(99)
    assert list(frames) == []


def test_ends_after_its_time():
    source = Camera(10)
    source.let.release(10)
    frames = camera.newest_frames(source, threading.Event(), max_seconds=3.5, clock=source.clock)
    assert [frame.index for frame in frames][-1] <= 3


def test_no_camera():
    with pytest.raises(errors.InputError, match="camera nowhere.mp4: gives no picture"):
        camera.connect("nowhere.mp4")

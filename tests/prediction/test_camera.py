"""A camera's frames: the newest comes first, and no dropped frame loses its row."""

import functools
import http.server
import socket
import threading

import cv2
import numpy as np
import pytest

from ast_net import errors
from ast_net.prediction import camera


class Camera:
    """A camera whose pictures have their number as colour, one second apart.

    `read` waits until the test allows the next picture.
    """

    def __init__(self, pictures):
        self.seconds, self.pictures, self.released = -1.0, pictures, False
        self.allowed, self.requested = threading.Semaphore(0), threading.Semaphore(0)

    def read(self):
        self.requested.release()
        self.allowed.acquire()
        self.seconds += 1
        number = round(self.seconds)
        if number >= self.pictures:
            return False, None
        return True, np.full((2, 3, 3), (number, 0, 255), np.uint8)

    def release(self):
        self.released = True

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
    assert source.released


def test_stops_when_asked():
    source, stop = Camera(100), threading.Event()
    frames = camera.newest_frames(source, stop, clock=source.clock)
    source.allowed.release(1)
    next(frames)
    stop.set()
    source.allowed.release(99)
    assert list(frames) == []


def test_a_driver_that_raises_ends_the_recording_and_is_named(caplog):
    class Broken(Camera):
        def read(self):
            if self.seconds == 1:
                raise cv2.error("no such device")
            return super().read()

    source = Broken(9)
    source.allowed.release(9)
    frames = list(camera.newest_frames(source, threading.Event(), clock=source.clock))
    assert [frame.index for frame in frames] == [0, 1]
    assert "the camera failed (no such device); the predictions up to now" in caplog.text
    assert source.released


def test_ends_after_max_seconds(caplog):
    source = Camera(10)
    source.allowed.release(10)
    frames = camera.newest_frames(source, threading.Event(), max_seconds=3.5, clock=source.clock)
    assert [frame.index for frame in frames][-1] <= 3
    assert source.released and not caplog.messages


@pytest.mark.parametrize("max_seconds", [None, 100.0])
def test_a_camera_that_stops_by_itself_is_warned_of(max_seconds, caplog):
    source = Camera(3)
    source.allowed.release(9)
    frames = camera.newest_frames(source, threading.Event(), max_seconds, source.clock)
    assert list(frames)[-1].index == 2
    assert source.released
    assert caplog.messages == ["the camera stopped; the predictions up to now are kept"]


def test_no_camera():
    with pytest.raises(errors.InputError, match="camera nowhere.mp4: gives no picture"):
        camera.connect("nowhere.mp4")


@pytest.fixture
def silent_port():
    """A port of this machine that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("protocol", "advice"),
    [
        ("rtsp", "user and password"),
        ("rtsps", "user and password"),
        ("http", "with a browser"),
        ("udp", "the sender sends to this machine"),
        ("tcp", "check the address"),
    ],
)
def test_an_address_that_does_not_answer(protocol, advice, silent_port, monkeypatch):
    monkeypatch.setattr(camera, "_ADDRESS_TIME_LIMIT", 0.2)
    address = f"{protocol}://anna:se:c@ret@127.0.0.1:{silent_port}/live"
    with pytest.raises(errors.InputError) as raised:
        camera.connect(address)
    message = str(raised.value)
    assert f"{protocol}://anna:...@127.0.0.1:{silent_port}/live: gives no picture" in message
    assert advice in message and "0.2 s to answer" in message
    assert "se:c" not in message and "ret" not in message and "plugged" not in message


def test_a_file_is_not_a_camera(face_video):
    for name in (str(face_video), f"file://{face_video}", f"file:{face_video}"):
        with pytest.raises(errors.InputError, match=f"is a file.* `video={face_video}`"):
            camera.connect(name)


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_):
        pass


def test_a_recording_at_an_address_is_not_a_camera(face_video):
    handler = functools.partial(Files, directory=face_video.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{face_video.name}"
        with pytest.raises(errors.InputError, match=f"{address}: is a recording.*download it"):
            camera.connect(address)
        server.shutdown()

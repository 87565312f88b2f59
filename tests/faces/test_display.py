"""Tests that pictures are seen as a player shows them: orientation, pixel aspect, cropping."""

import fractions
import gc
import pathlib

import av
import cv2
import numpy as np
import pytest

from ast_net import errors
from ast_net.faces import display, video, video_frame


def gradient(height: int = 96, width: int = 128) -> np.ndarray:
    """A picture whose corners differ: red increases to the right, green downwards."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


def write(path: pathlib.Path, images, pixel_aspect=fractions.Fraction(1), matrix=None):
    """Writes a video with a pixel aspect ratio and, in mp4, a, b, c, d of a display matrix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, {"crf": "10"}, pix_fmt="yuv420p")
        stream.height, stream.width = images[0].shape[:2]
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    if matrix is None:
        return
    content = path.read_bytes()
    # After "tkhd": 4 bytes version, 20 ids and times, 16 others; then a b u c d v, 16.16 bits.
    start = content.index(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (round(entry * 65536).to_bytes(4, "big", signed=True) for entry in matrix)
    header = a + b + bytes(4) + c + d
    path.write_bytes(content[:start] + header + content[start + len(header) :])


def difference(image: np.ndarray, expected: np.ndarray) -> float:
    assert image.shape == expected.shape and image.flags.c_contiguous
    return np.abs(image.astype(float) - expected).mean()


# Cameras write the first four; front cameras and editors write the others.
@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), gradient()),
        ((0, 1, -1, 0), np.rot90(gradient(), -1)),
        ((-1, 0, 0, -1), np.rot90(gradient(), 2)),
        ((0, -1, 1, 0), np.rot90(gradient())),
        ((-1, 0, 0, 1), np.fliplr(gradient())),
        ((1, 0, 0, -1), np.flipud(gradient())),
        ((0, 1, 1, 0), gradient().swapaxes(0, 1)),
        ((0, -1, -1, 0), np.rot90(gradient(), 2).swapaxes(0, 1)),
        ((0.99, 0.1, -0.1, 0.99), gradient()),
        ((0, 0, 0, 0), gradient()),
    ],
)
def test_display_matrix(tmp_path, matrix, expected):
    path = tmp_path / "a.mp4"
    write(path, [gradient()] * 2, matrix=matrix)
    for frame in video.Video(path).frames():
        assert difference(frame.image, expected) < 6


@pytest.mark.parametrize(
    ("stored", "aspect", "shown"),
    [
        ((96, 64), fractions.Fraction(2), (96, 128)),
        ((96, 256), fractions.Fraction(1, 2), (96, 128)),
        ((576, 720), fractions.Fraction(64, 45), (576, 1024)),
        ((480, 720), fractions.Fraction(8, 9), (480, 640)),
        ((96, 128), fractions.Fraction(1280, 1279), (96, 128)),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_become_square(tmp_path, stored, aspect, shown, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, [gradient(*stored)], aspect)
    (frame,) = video.Video(path).frames()
    assert difference(frame.image, gradient(*shown)) < 6


def test_pixels_become_square_before_the_picture_is_turned(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, [gradient(96, 64)], fractions.Fraction(2), (0, 1, -1, 0))
    (frame,) = video.Video(path).frames()
    assert difference(frame.image, np.rot90(gradient(96, 128), -1)) < 6


def test_codecs_crop(tmp_path):
    path = tmp_path / "a.mp4"  # H.264 stores multiples of 16.
    write(path, [gradient(50, 66)])
    (frame,) = video.Video(path).frames()
    assert difference(frame.image, gradient(50, 66)) < 6


def test_pictures_as_shown_have_a_largest_size(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    write(path, [gradient(96, 128)], fractions.Fraction(10))
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 96 * 1280)
    assert next(video.Video(path).frames()).image.shape == (96, 1280, 3)
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 96 * 1280 - 1)
    with pytest.raises(errors.InputError, match=f"{path}: found pictures of 1280x96 pixels"):
        next(video.Video(path).frames())


def test_pictures_are_freed_at_once(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, [gradient()] * 20)
    gc.collect()
    gc.disable()
    try:
        for _ in video.Video(path).frames():
            pass
        pictures = [item for item in gc.get_objects() if isinstance(item, av.VideoFrame)]
        assert len(pictures) < 10  # Not all 20; the first and the last may be left.
    finally:
        gc.enable()


def test_side_data_that_pyav_does_not_know_leave_the_angle(tmp_path):
    class Picture:
        def __init__(self, rotation):
            self.rotation = rotation

        @property
        def side_data(self):
            raise ValueError("37 is not a valid Type")

    # The angle is anticlockwise: a picture that is turned clockwise has -90 degrees.
    for rotation, matrix in ((-90, (0, 1, -1, 0)), (-180, (-1, 0, 0, -1)), (90, (0, -1, 1, 0))):
        found = display._display_matrix(Picture(rotation))
        np.testing.assert_allclose(found, matrix, atol=1e-9)
        path = tmp_path / "a.mp4"
        write(path, [gradient()], matrix=matrix)
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).rotation == rotation


@pytest.mark.parametrize(
    ("stored_width", "aspect", "matrix", "change"),
    [
        (160, 2, None, lambda image: image),
        (320, 1, (-1, 0, 0, 1), np.fliplr),
    ],
)
def test_faces_are_those_of_the_pictures_as_shown(
    tmp_path, drifting_face, detector, stored_width, aspect, matrix, change
):
    images = drifting_face([True] * 2)
    path = tmp_path / "a.mp4"
    stored = [
        cv2.resize(image, (stored_width, 240), interpolation=cv2.INTER_AREA) for image in images
    ]
    write(path, stored, fractions.Fraction(aspect), matrix)
    for image, frame in zip(images, video.Video(path).frames(), strict=True):
        (expected,) = detector.detect(np.ascontiguousarray(change(image)))
        (face,) = detector.detect(frame.image)
        np.testing.assert_allclose(face.landmarks, expected.landmarks, atol=2)

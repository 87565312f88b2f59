"""Writes videos and reads them again."""

import numpy as np
import pytest

from ast_net import errors
from ast_net.faces import video, video_writer


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    """A grey picture that is brighter to the right."""
    return np.tile(np.linspace(0, 255, width, dtype=np.uint8)[:, np.newaxis], (height, 1, 3))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([], "no images"),
        ([picture(95, 128)], "even"),
        ([picture()[..., 0]], "uint8 RGB"),
        ([picture().astype(np.float32)], "uint8 RGB"),
        ([picture(), picture(48, 64)], "one size"),
    ],
)
def test_refused_images_leave_no_file(tmp_path, images, reason):
    with pytest.raises(errors.InputError, match=reason):
        video_writer.write_video(tmp_path / "a.mp4", images, 25)
    assert not list(tmp_path.iterdir())


def test_error_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")

    def images():
        yield picture()
        raise RuntimeError("the source fails")

    with pytest.raises(RuntimeError, match="the source fails"):
        video_writer.write_video(path, images(), 25)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "times",
    [
        [0, 0.04, 0.0416, 0.2, 1.7, 1.7001, 1.75],
        [0.512345, 0.6, 0.7],  # pictures that start after the sound
        [0, 1e-7, 2e-7, 0.04],  # closer than the ticks of the clock
        [0.04 * k for k in range(60)],
        [7200.0, 7200.1],
        [0.0],
    ],
)
def test_writer_keeps_the_times(tmp_path, times, caplog):
    path = tmp_path / "a.mp4"
    images = [np.full((48, 64, 3), 2 * k, np.uint8) for k in range(len(times))]
    with video_writer.open_writer(path) as writer:
        for image, time in zip(images, times):
            writer.write(image, time)
    frames = list(video.Video(path).frames())
    np.testing.assert_allclose([frame.timestamp for frame in frames], times, atol=1e-4)
    np.testing.assert_allclose(
        [frame.image.mean() for frame in frames], [image.mean() for image in images], atol=3
    )
    # The last frame is shown as long as the one before it.
    last = times[-1] - times[-2] if len(times) > 1 else 1 / 25
    assert video.Video(path).duration == pytest.approx(times[-1] + last, abs=1e-4)
    assert not caplog.records


@pytest.mark.parametrize("size", [(95, 128), (96, 127), (1, 1)])
def test_writer_pads_odd_sizes(tmp_path, size):
    path = tmp_path / "a.mp4"
    image = picture(*size)
    with video_writer.open_writer(path) as writer:
        for k in range(3):
            writer.write(image, k / 25)
    expected = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), "edge")
    for frame in video.Video(path).frames():
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image.astype(float) - expected).mean() < 6


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((48, 64), slice(0, 96), slice(0, 128)),
        ((192, 256), slice(0, 96), slice(0, 128)),
        ((192, 96), slice(0, 96), slice(40, 88)),
        ((1, 128), slice(47, 48), slice(0, 128)),
    ],
)
def test_later_pictures_of_another_size_are_scaled_to_the_first(tmp_path, size, rows, columns):
    path = tmp_path / "a.mp4"
    with video_writer.open_writer(path) as writer:
        for k, shape in enumerate([(96, 128), size, (96, 128)]):
            writer.write(np.full((*shape, 3), 200, np.uint8), k / 25)
    first, scaled, last = (frame.image for frame in video.Video(path).frames())
    expected = np.zeros((96, 128, 3))
    expected[rows, columns] = 200
    assert first.shape == scaled.shape == last.shape
    assert np.abs(scaled - expected).mean() < 4 and np.abs(last - 200.0).max() < 10


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_writer_that_ends_with_an_error_leaves_no_file(tmp_path, count, error):
    with (
        pytest.raises(error, match="in between"),
        video_writer.open_writer(tmp_path / "a.mp4") as writer,
    ):
        for k in range(count):
            writer.write(picture(), k / 25)
        raise error("in between")
    assert not list(tmp_path.iterdir())


def test_writer_refuses_wrong_frames(tmp_path):
    def write_all(frames):
        with video_writer.open_writer(tmp_path / "a.mp4") as writer:
            for image, time in frames:
                writer.write(image, time)

    for frames, error, reason in [
        ([], errors.InputError, "no images"),
        ([(picture()[..., 0], 0)], errors.InputError, "uint8 RGB"),
        ([(picture(), 0.1), (picture(), 0.1)], ValueError, "later"),
        ([(picture(), -0.1)], ValueError, "later"),
    ]:
        with pytest.raises(error, match=reason):
            write_all(frames)
        assert not list(tmp_path.iterdir())

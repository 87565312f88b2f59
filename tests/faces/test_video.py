"""Timestamps, rotation, and files that are broken in every way."""

import fractions
import logging

import av
import numpy as np
import pytest

from ast_net import errors
from ast_net.faces import video


def gradient(height: int = 96, width: int = 128) -> np.ndarray:
    """Red grows to the right, green downwards: tells each corner from the others."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


def textured(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Pictures that do not compress well, so that a part of a file holds a part of the frames."""
    return list(rng.integers(0, 255, (count, 96, 128, 3), dtype=np.uint8))


def write(
    path, milliseconds, image, codec="libx264", pixels="yuv420p", sound_first=False, **options
):
    """Writes a video whose pictures have these presentation times."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(
            codec, 25, width=image.shape[1], height=image.shape[0], pix_fmt=pixels
        )
        stream.codec_context.time_base = fractions.Fraction(1, 1000)
        if sound_first:
            sound = container.add_stream("pcm_s16le", 8000, layout="mono")
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
            samples.sample_rate, samples.pts = 8000, 0
            container.mux(sound.encode(samples))
        for time in milliseconds:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = time, fractions.Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "a.mp4"
    images = [gradient(), 255 - gradient()] * 3
    video.write_video(path, images, 30000 / 1001)
    frames = list(video.read_frames(path))
    assert [frame.index for frame in frames] == list(range(6))
    np.testing.assert_allclose(
        [f.timestamp for f in frames], np.arange(6) * 1001 / 30000, atol=1e-4
    )
    for frame, image in zip(frames, images, strict=True):
        assert frame.image.dtype == np.uint8
        # Lossy, and colour has half the resolution; the corners differ by up to 255.
        assert np.abs(frame.image.astype(float) - image).mean() < 6
    assert video.expected_frames(path) == 6
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_variable_frame_rate(tmp_path, suffix):
    times = [0, 40, 80, 200, 210, 300, 1000]
    path = tmp_path / f"a.{suffix}"
    write(path, times, gradient())
    np.testing.assert_allclose(
        [frame.timestamp for frame in video.read_frames(path)], np.array(times) / 1000, atol=1e-6
    )


def test_time_starts_with_the_container(tmp_path):
    # A broadcast's clock does not count ...
    write(tmp_path / "clock.ts", [5000, 5040, 5080], gradient())
    found = [frame.timestamp for frame in video.read_frames(tmp_path / "clock.ts")]
    np.testing.assert_allclose(found, [0, 0.04, 0.08], atol=1e-6)
    # ... but pictures that start after the sound do so in the file's time.
    write(tmp_path / "late.mkv", [500, 540, 580], gradient(), sound_first=True)
    found = [frame.timestamp for frame in video.read_frames(tmp_path / "late.mkv")]
    np.testing.assert_allclose(found, [0.5, 0.54, 0.58], atol=1e-6)


def test_frames_without_a_time_follow_one_nominal_step_apart(tmp_path, caplog):
    path = tmp_path / "raw.h264"  # a bare stream has no times
    write(path, [0, 40, 80, 120], gradient(), format="h264")
    with caplog.at_level(logging.WARNING, logger="absl"):
        found = np.array([frame.timestamp for frame in video.read_frames(path)])
    assert len(found) == 4 and found[0] == 0
    np.testing.assert_allclose(np.diff(found), found[1], atol=1e-9)
    assert found[1] > 0
    assert "4 of 4 frames have no usable time" in caplog.text
    assert "pictures end" not in caplog.text


# The matrices that cameras write into the track header for pictures that must be turned clockwise.
@pytest.mark.parametrize(
    ("matrix", "clockwise"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)],
)
def test_rotation(tmp_path, matrix, clockwise):
    path = tmp_path / "turned.mp4"
    video.write_video(path, [gradient()] * 2, 25)
    content = path.read_bytes()
    # After "tkhd": 4 bytes version, 20 ids and times, 16 others; then a b u c d v, 16.16 fixed point.
    start = content.index(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (round(entry * 65536).to_bytes(4, "big", signed=True) for entry in matrix)
    header = a + b + bytes(4) + c + d
    path.write_bytes(content[:start] + header + content[start + len(header) :])
    image = next(video.read_frames(path)).image
    expected = np.rot90(gradient(), -clockwise)
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(float) - expected).mean() < 6


@pytest.mark.parametrize(
    ("pixels", "size"), [("gray", (96, 128)), ("bgr0", (95, 127)), ("bgr0", (1, 1))]
)
def test_grey_odd_and_single_frame(tmp_path, pixels, size):
    path = tmp_path / "a.mkv"
    image = gradient(*size)
    write(path, [0], image, codec="ffv1", pixels=pixels)
    (frame,) = video.read_frames(path)
    assert frame.image.shape == image.shape
    if pixels == "gray":
        assert (frame.image == frame.image[..., :1]).all()
    else:
        np.testing.assert_array_equal(frame.image, image)


def test_equal_times_are_moved_apart(tmp_path, caplog):
    path = tmp_path / "a.mkv"
    write(path, [0, 40, 40, 200], gradient(), codec="ffv1", pixels="bgr0")
    with caplog.at_level(logging.WARNING, logger="absl"):
        found = [frame.timestamp for frame in video.read_frames(path)]
    np.testing.assert_allclose(found, [0, 0.04, 0.08, 0.2], atol=1e-6)
    assert "1 of 4 frames" in caplog.text


def test_cover_art_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", 8000, layout="mono")
        cover = container.add_stream("mjpeg", 25, width=128, height=96, pix_fmt="yuvj420p")
        picture = av.VideoFrame.from_ndarray(gradient(), format="rgb24")
        container.mux([*cover.encode(picture.reformat(format="yuvj420p")), *cover.encode(None)])
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        container.mux([*sound.encode(samples), *sound.encode(None)])
    with pytest.raises(errors.InputError, match="no pictures in this file"):
        next(video.read_frames(path))


def test_text_empty_missing_folder_sound(tmp_path):
    text, empty, sound = (tmp_path / name for name in ("text.mp4", "empty.mp4", "sound.mkv"))
    text.write_text("this is no video\n" * 100)
    empty.touch()
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        container.mux(stream.encode(samples))
    for path, reason in [
        (text, "no video that can be read"),
        (empty, "empty"),
        (sound, "only audio"),
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path, "no pictures in this folder"),
    ]:
        for read in (video.read_frames, video.expected_frames):
            with pytest.raises(errors.InputError, match=f"{path}.*{reason}"):
                list(read(path) or [])


def test_cut_off_before_its_index(tmp_path, rng):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:  # the index is at the end unless it is asked for
        stream = container.add_stream("libx264", 25, width=128, height=96, pix_fmt="yuv420p")
        for image in textured(rng, 10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")
    path.write_bytes(content[: content.index(b"moov") - 100])
    with pytest.raises(errors.InputError, match="cut off before its index"):
        list(video.read_frames(path))


@pytest.mark.parametrize("kept", [0.99, 0.5])
def test_cut_off_data_gives_what_is_there_and_a_report(tmp_path, rng, caplog, kept):
    path = tmp_path / "a.mp4"
    video.write_video(path, textured(rng, 50), 25)
    content = path.read_bytes()
    path.write_bytes(content[: round(kept * len(content))])
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = list(video.read_frames(path))
    assert 50 * kept - 8 < len(frames) < 50
    np.testing.assert_allclose(
        [f.timestamp for f in frames], np.arange(len(frames)) / 25, atol=1e-6
    )
    assert str(path) in caplog.text and f"frames that are used: {len(frames)}" in caplog.text
    assert "damaged packets: 1" in caplog.text
    if kept == 0.5:
        assert f"pictures end at {len(frames) / 25:.2f} of 2.00 s" in caplog.text


def test_damage_in_the_middle_keeps_the_rest_in_time(tmp_path, rng, caplog):
    path = tmp_path / "a.mp4"
    video.write_video(path, textured(rng, 50), 25)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = list(video.read_frames(path))
    assert 30 < len(frames) < 50
    assert frames[-1].timestamp == pytest.approx(49 / 25)
    assert "damaged packets" in caplog.text


def test_whole_file_gives_no_warning(face_video, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert len(list(video.read_frames(face_video))) == 20
    assert not caplog.records


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([], "no images"),
        ([gradient(95, 128)], "even"),
        ([gradient()[..., 0]], "uint8 RGB"),
        ([gradient().astype(np.float32)], "uint8 RGB"),
        ([gradient(), gradient(48, 64)], "one size"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, images, reason):
    with pytest.raises(errors.InputError, match=reason):
        video.write_video(tmp_path / "a.mp4", images, 25)
    assert not list(tmp_path.iterdir())


def test_failure_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")

    def images():
        yield gradient()
        raise RuntimeError("the source fails")

    with pytest.raises(RuntimeError, match="the source fails"):
        video.write_video(path, images(), 25)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "times",
    [
        [0, 0.04, 0.0416, 0.2, 1.7, 1.7001, 1.75],
        [0.512345, 0.6, 0.7],  # pictures that start after the sound
        [0, 1e-7, 2e-7, 0.04],  # nearer than the clock ticks
        [0.04 * k for k in range(60)],
        [7200.0, 7200.1],
        [0.0],
    ],
)
def test_writer_keeps_the_times(tmp_path, times, caplog):
    path = tmp_path / "a.mp4"
    images = [np.full((48, 64, 3), 2 * k, np.uint8) for k in range(len(times))]
    with video.VideoWriter(path) as writer:
        for image, time in zip(images, times):
            writer.write(image, time)
    frames = list(video.read_frames(path))
    np.testing.assert_allclose([frame.timestamp for frame in frames], times, atol=1e-4)
    np.testing.assert_allclose(
        [frame.image.mean() for frame in frames], [image.mean() for image in images], atol=3
    )
    # The last frame is seen as long as the one before it.
    last = times[-1] - times[-2] if len(times) > 1 else 1 / 25
    assert video.expected_duration(path) == pytest.approx(times[-1] + last, abs=1e-4)
    assert not caplog.records


@pytest.mark.parametrize("size", [(95, 128), (96, 127), (1, 1)])
def test_writer_pads_odd_sizes(tmp_path, size):
    path = tmp_path / "a.mp4"
    image = gradient(*size)
    with video.VideoWriter(path) as writer:
        for k in range(3):
            writer.write(image, k / 25)
    expected = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), "edge")
    for frame in video.read_frames(path):
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image.astype(float) - expected).mean() < 6


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_writer_left_by_an_error_leaves_nothing(tmp_path, count, error):
    with pytest.raises(error, match="in between"), video.VideoWriter(tmp_path / "a.mp4") as writer:
        for k in range(count):
            writer.write(gradient(), k / 25)
        raise error("in between")
    assert not list(tmp_path.iterdir())


def test_writer_refuses_what_makes_no_video(tmp_path):
    def write_all(frames):
        with video.VideoWriter(tmp_path / "a.mp4") as writer:
            for image, time in frames:
                writer.write(image, time)

    for frames, error, reason in [
        ([], errors.InputError, "no images"),
        ([(gradient()[..., 0], 0)], errors.InputError, "uint8 RGB"),
        ([(gradient(), 0), (gradient(48, 64), 1)], errors.InputError, "one size"),
        ([(gradient(), 0.1), (gradient(), 0.1)], ValueError, "later"),
        ([(gradient(), -0.1)], ValueError, "later"),
    ]:
        with pytest.raises(error, match=reason):
            write_all(frames)
        assert not list(tmp_path.iterdir())

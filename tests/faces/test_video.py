"""Tests timestamps, rotation, and files that are damaged in various ways."""

import contextlib
import fractions
import logging
import os
import pathlib
import socket

import av
import cv2
import numpy as np
import pytest

from ast_net import errors
from ast_net.faces import video, video_container, video_frame, video_writer


def gradient(height: int = 96, width: int = 128) -> np.ndarray:
    """A picture whose corners differ: red increases to the right, green downwards."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


def textured(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Pictures that compress badly, so that part of a file holds part of the frames."""
    return list(rng.integers(0, 255, (count, 96, 128, 3), dtype=np.uint8))


def write(
    path, milliseconds, image, codec="libx264", pixels="yuv420p", sound_first=False, **options
):
    """Writes a video with the given presentation times."""
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
    video_writer.write_video(path, images, 30000 / 1001)
    frames = list(video.Video(path).frames())
    assert [frame.index for frame in frames] == list(range(6))
    np.testing.assert_allclose(
        [f.timestamp for f in frames], np.arange(6) * 1001 / 30000, atol=1e-4
    )
    for frame, image in zip(frames, images, strict=True):
        assert frame.image.dtype == np.uint8
        # The codec is lossy, and colour has half the resolution. The corners differ by up to 255.
        assert np.abs(frame.image.astype(float) - image).mean() < 6
    assert video.Video(path).frame_count == 6
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_variable_frame_rate(tmp_path, suffix):
    times = [0, 40, 80, 200, 210, 300, 1000]
    path = tmp_path / f"a.{suffix}"
    write(path, times, gradient())
    np.testing.assert_allclose(
        [frame.timestamp for frame in video.Video(path).frames()], np.array(times) / 1000, atol=1e-6
    )


def test_time_zero_is_the_start_of_the_container(tmp_path):
    # The clock of a broadcast is ignored.
    write(tmp_path / "clock.ts", [5000, 5040, 5080], gradient())
    timestamps = [frame.timestamp for frame in video.Video(tmp_path / "clock.ts").frames()]
    np.testing.assert_allclose(timestamps, [0, 0.04, 0.08], atol=1e-6)
    # Pictures that start after the sound keep their distance to it.
    write(tmp_path / "late.mkv", [500, 540, 580], gradient(), sound_first=True)
    timestamps = [frame.timestamp for frame in video.Video(tmp_path / "late.mkv").frames()]
    np.testing.assert_allclose(timestamps, [0.5, 0.54, 0.58], atol=1e-6)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("mp4", {"movflags": "frag_keyframe+empty_moov"}), ("mp4", {}), ("mov", {}), ("ts", {})],
)
@pytest.mark.parametrize("rate", [fractions.Fraction(30), fractions.Fraction(24000, 1001)])
def test_times_do_not_depend_on_how_clocks_are_rounded(tmp_path, suffix, options, rate, caplog):
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w", options=options) as container:
        encoder = {"bf": "2", "b-adapt": "0"}  # B-frames: the decoder starts before the pictures.
        stream = container.add_stream("libx264", rate, encoder, pix_fmt="yuv420p")
        stream.height, stream.width = gradient().shape[:2]
        for _ in range(12):
            frame = av.VideoFrame.from_ndarray(gradient(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with caplog.at_level(logging.WARNING, logger="absl"):
        timestamps = [frame.timestamp for frame in video.Video(path).frames()]
    expected = [float(k / rate) for k in range(12)]
    # MPEG-TS rounds to its clock of 90 kHz; the others have the times exactly.
    np.testing.assert_allclose(
        timestamps, expected, rtol=0, atol=1 / 90_000 if suffix == "ts" else 0
    )
    assert timestamps[0] == 0
    assert not caplog.records


def test_no_time_is_below_zero(tmp_path, monkeypatch):
    path = tmp_path / "a.mkv"
    write(path, [0, 40, 80], gradient())
    # A container that is wrong about its start.
    monkeypatch.setattr(video_container, "origin", lambda container: fractions.Fraction(1, 2))
    timestamps = [frame.timestamp for frame in video.Video(path).frames()]
    assert timestamps == pytest.approx([0, 0.04, 0.08])


def test_frames_without_times_are_one_nominal_interval_apart(tmp_path, caplog):
    path = tmp_path / "raw.h264"  # a bare stream has no times
    write(path, [0, 40, 80, 120], gradient(), format="h264")
    with caplog.at_level(logging.WARNING, logger="absl"):
        timestamps = np.array([frame.timestamp for frame in video.Video(path).frames()])
    assert len(timestamps) == 4 and timestamps[0] == 0
    np.testing.assert_allclose(np.diff(timestamps), timestamps[1], atol=1e-9)
    assert timestamps[1] > 0
    assert "4 of 4 frames have no usable time" in caplog.text
    assert "pictures end" not in caplog.text


@pytest.mark.parametrize(
    ("pixels", "size"), [("gray", (96, 128)), ("bgr0", (95, 127)), ("bgr0", (1, 1))]
)
def test_grey_odd_and_single_frame(tmp_path, pixels, size):
    path = tmp_path / "a.mkv"
    image = gradient(*size)
    write(path, [0], image, codec="ffv1", pixels=pixels)
    (frame,) = video.Video(path).frames()
    assert frame.image.shape == image.shape
    if pixels == "gray":
        assert (frame.image == frame.image[..., :1]).all()
    else:
        np.testing.assert_array_equal(frame.image, image)


def test_frames_with_equal_times_are_moved_apart(tmp_path, caplog):
    path = tmp_path / "a.mkv"
    write(path, [0, 40, 40, 200], gradient(), codec="ffv1", pixels="bgr0")
    with caplog.at_level(logging.WARNING, logger="absl"):
        timestamps = [frame.timestamp for frame in video.Video(path).frames()]
    np.testing.assert_allclose(timestamps, [0, 0.04, 0.08, 0.2], atol=1e-6)
    assert "1 of 4 frames" in caplog.text


def test_cover_art_is_not_a_video(tmp_path):
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
        next(video.Video(path).frames())


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_cover_that_comes_first_is_passed_over(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", 25, width=64, height=64, pix_fmt="yuvj420p")
        film = container.add_stream("libx264", 25, width=128, height=96, pix_fmt="yuv420p")
        picture = av.VideoFrame(64, 64, "yuvj420p")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        for _ in range(12):
            container.mux(film.encode(av.VideoFrame.from_ndarray(gradient(), format="rgb24")))
        container.mux(film.encode(None))
    frames = list(video.Video(path).frames())
    assert [frame.image.shape for frame in frames] == [(96, 128, 3)] * 12
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(12) / 25, atol=1e-3)
    assert video.Video(path).frame_rate == pytest.approx(25)


def test_paths_without_a_video_are_refused(tmp_path):
    text, empty, sound = (tmp_path / name for name in ("text.mp4", "empty.mp4", "sound.mkv"))
    text.write_text("this is not a video\n" * 100)
    empty.touch()
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        container.mux(stream.encode(samples))
    for path, reason in [
        (text, "not a readable video"),
        (empty, "empty"),
        (sound, "only audio"),
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path, "no pictures in this folder"),
    ]:
        with pytest.raises(errors.InputError, match=f"{path}.*{reason}"):
            next(video.open_video(path).frames())
        with pytest.raises(errors.InputError, match=f"{path}.*{reason}"):
            _ = video.open_video(path).frame_count


@pytest.fixture
def listener():
    """A socket on this machine; `accept` raises BlockingIOError if nobody has connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize(
    "name", ["http:127.0.0.1:PORT.mp4", "Interview: Anna.mp4", "file:b.mp4", "pipe:0", "a%d?.mp4"]
)
def test_names_are_not_addresses(tmp_path, monkeypatch, listener, name):
    monkeypatch.chdir(tmp_path)
    name = name.replace("PORT", str(listener.getsockname()[1]))
    video_writer.write_video(pathlib.Path(name), [gradient()] * 3, 25)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(list(video.Video(name).frames())) == 3
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:PORT/other.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8"])
def test_playlists_are_not_opened(tmp_path, listener, name, content):
    for other in ("other.mp4", "other.ts"):
        write(tmp_path / other, [0, 40, 80], gradient())
    path = tmp_path / name
    path.write_text(content.replace("PORT", str(listener.getsockname()[1])))
    with pytest.raises(errors.InputError, match=f"{path}: not a readable video"):
        list(video.Video(path).frames())
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_picture_whose_name_is_a_pattern_does_not_open_others(tmp_path):
    for name, level in (("1.png", 10), ("2.png", 20), ("%d.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((12, 16, 3), level, np.uint8))
    with pytest.raises(errors.InputError, match="unsupported format"):
        list(video.Video(tmp_path / "%d.png").frames())
    (frame,) = video.Video(tmp_path / "2.png").frames()
    assert (frame.image == 20).all()


def test_titles_need_not_be_utf8(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "cafe"
        stream = container.add_stream("mpeg4", 25, width=128, height=96, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(gradient(), format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(b"cafe") == 1
    path.write_bytes(content.replace(b"cafe", "café".encode("latin-1")))
    assert len(list(video.Video(path).frames())) == 1


def test_reading_has_a_time_limit(tmp_path, rng, monkeypatch, caplog):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, textured(rng, 50), 25)
    open_file, limits = av.open, []

    def open_with_limits(*arguments, timeout, **options):
        limits.append(timeout)
        return open_file(*arguments, timeout=(limit, 1e-9), **options)

    monkeypatch.setattr(av, "open", open_with_limits)
    limit = 1e-9
    with pytest.raises(errors.InputError, match="reading took longer than 60 s"):
        list(video.Video(path).frames())
    limit = 60.0
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert len(list(video.Video(path).frames())) < 50
    assert "cannot be read to its end (reading took longer than 60 s)" in caplog.text
    assert limits == [60.0, 60.0]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pictures_have_a_largest_size(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, range(0, 400, 40), gradient())
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 96 * 128)
    assert len(list(video.Video(path).frames())) == 10
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 96 * 128 - 1)
    with pytest.raises(errors.InputError, match="found pictures of 128x96 pixels, .* 12,287"):
        list(video.Video(path).frames())


def test_a_file_of_a_few_bytes_cannot_announce_huge_pictures(tmp_path):
    path = tmp_path / "a.gif"
    write(path, [0, 40], gradient(), codec="gif", pixels="rgb8")
    assert len(list(video.Video(path).frames())) == 2
    content = path.read_bytes()
    # Width and height follow after the 6 bytes GIF89a.
    path.write_bytes(content[:6] + (8001).to_bytes(2, "little") * 2 + content[10:])
    with pytest.raises(errors.InputError, match="no frame can be read .*at most 64,000,000 pixels"):
        list(video.Video(path).frames())


def test_pictures_that_grow_beyond_the_largest_size_are_not_decoded(tmp_path, monkeypatch, caplog):
    path = tmp_path / "a.h264"
    for name, image in (("small", gradient(48, 64)), ("large", gradient())):
        write(tmp_path / name, [0, 40, 80], image, format="h264")
    path.write_bytes((tmp_path / "small").read_bytes() + (tmp_path / "large").read_bytes())
    with caplog.at_level(logging.WARNING, logger="absl"):
        shapes = [frame.image.shape for frame in video.Video(path).frames()]
    assert shapes == [(48, 64, 3)] * 3 + [(96, 128, 3)] * 3
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 96 * 128 - 1)
    with caplog.at_level(logging.WARNING, logger="absl"):
        shapes = [frame.image.shape for frame in video.Video(path).frames()]
    assert set(shapes) == {(48, 64, 3)}
    assert "damaged packets" in caplog.text


def test_file_cut_off_before_its_index_is_refused(tmp_path, rng):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:  # by default the index is at the end
        stream = container.add_stream("libx264", 25, width=128, height=96, pix_fmt="yuv420p")
        for image in textured(rng, 10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")
    path.write_bytes(content[: content.index(b"moov") - 100])
    with pytest.raises(errors.InputError, match="cut off before its index"):
        list(video.Video(path).frames())


@pytest.mark.parametrize("kept", [0.99, 0.5])
def test_truncated_file_gives_its_frames_and_a_warning(tmp_path, rng, caplog, kept):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, textured(rng, 50), 25)
    content = path.read_bytes()
    path.write_bytes(content[: round(kept * len(content))])
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = list(video.Video(path).frames())
    assert 50 * kept - 8 < len(frames) < 50
    np.testing.assert_allclose(
        [f.timestamp for f in frames], np.arange(len(frames)) / 25, atol=1e-6
    )
    assert str(path) in caplog.text and f"The {len(frames)} readable frames are used" in caplog.text
    assert "damaged packets: 1" in caplog.text
    if kept == 0.5:
        assert f"pictures end at {len(frames) / 25:.2f} of 2.00 s" in caplog.text


def test_frames_after_a_damage_keep_their_times(tmp_path, rng, caplog):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, textured(rng, 50), 25)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = list(video.Video(path).frames())
    assert 30 < len(frames) < 50
    assert frames[-1].timestamp == pytest.approx(49 / 25)
    assert "damaged packets" in caplog.text


def test_frames_that_the_decoder_had_to_guess_are_marked(tmp_path, rng, caplog):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, textured(rng, 50), 25)
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    # Inside the pictures only: the index comes before them.
    start = path.read_bytes().index(b"mdat") + 4
    places = rng.choice(np.arange(start, len(content)), 12, replace=False)
    content[places] ^= 255
    path.write_bytes(content.tobytes())
    with av.open(str(path)) as container:
        decoded = []
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                decoded += [picture.is_corrupt for picture in packet.decode()]
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = list(video.Video(path).frames())
    assert [frame.damaged for frame in frames] == decoded
    assert 3 < sum(decoded) < 40
    assert f"damaged frames, in which no face is looked for: {sum(decoded)}" in caplog.text
    assert [frame.usable for frame in frames] == [not damaged for damaged in decoded]


def test_undamaged_file_gives_no_warning(face_video, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert len(list(video.Video(face_video).frames())) == 20
    assert not caplog.records


def test_file_is_opened_once_for_the_header_and_once_for_the_rate(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, [gradient()] * 6, 30000 / 1001)
    opened = []
    monkeypatch.setattr(
        av,
        "open",
        lambda *arguments, open=av.open, **options: opened.append(1) or open(*arguments, **options),
    )
    source = video.Video(path)
    assert not opened
    assert source.frame_count == 6
    assert source.duration == pytest.approx(6 * 1001 / 30000, abs=1e-3)
    assert len(opened) == 1
    for _ in range(2):
        assert source.frame_rate == pytest.approx(30000 / 1001)
        assert len(opened) == 2
    for passes in (3, 4):
        assert len(list(source.frames())) == 6
        assert len(opened) == passes


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        # A pause after 0.8 s: 21 frames in 2 s, but 40 ms apart.
        ([*range(0, 840, 40), 2000], 25),
        ([0], 25),
        # Intervals of 1 and 100 ms; then of 1, 50 and 100 ms.
        ([0, 1, 101], 10),
        ([0, 1, 51, 151], 20),
        # 30 frames per second, rounded to milliseconds.
        ([round(1000 * k / 30) for k in range(31)], 30),
        # 17 frames per second for 18 s, longer than a measurement at the start would take; then 33.
        ([*range(0, 18000, 60), *range(18000, 36000, 30)], 1000 / 30),
    ],
)
def test_rate_is_measured_over_the_whole_file(tmp_path, times, rate):
    path = tmp_path / "a.mkv"
    write(path, times, gradient())
    assert video.Video(path).frame_rate == pytest.approx(rate)


def test_fingerprint_depends_on_size_and_time(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a video, which does not matter")
    os.utime(path, ns=(5, 7))
    assert video.Video(path).fingerprint == ("34 bytes", 7)
    with pytest.raises(errors.InputError, match=r"nowhere\.mp4: cannot be read"):
        _ = video.Video("nowhere.mp4").fingerprint

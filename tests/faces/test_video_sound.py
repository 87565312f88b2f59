"""Copies of a video have its sound, sample by sample and at the same times."""

import errno
import fractions

import av
import av.stream
import numpy as np
import pytest

from ast_net.faces import video, video_container, video_sound, video_writer

RATE, SECONDS = 48_000, 2.0


def film(path, codec="aac", pictures_from=0.0, video_codec="libx264", sound_from=0.0):
    """Writes pictures of 25 frames/s, and a sound that rises.

    If neither begins at 0, a second track of sound does.
    """
    times = np.arange(round(RATE * SECONDS)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * (300 + 400 * times) * times)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(video_codec, 25, width=64, height=48, pix_fmt="yuv420p")
        pictures.codec_context.time_base = fractions.Fraction(1, 1000)
        sound = container.add_stream(codec, RATE, layout="mono")
        sound.disposition = av.stream.Disposition.default.value
        frames = av.AudioFrame.from_ndarray(wave[np.newaxis].astype(np.float32), "fltp", "mono")
        frames.sample_rate, frames.pts = RATE, round(RATE * sound_from)
        if min(pictures_from, sound_from) > 0:
            second = container.add_stream("aac", 8000, layout="mono")
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 8000, 0
            container.mux([*second.encode(silence), *second.encode(None)])
        resampler = av.AudioResampler(sound.codec_context.format, "mono", RATE)
        for part in [*resampler.resample(frames), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
        for number in range(round(25 * (SECONDS - pictures_from))):
            picture = np.full((48, 64, 3), number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = round(1000 * pictures_from) + 40 * number
            frame.time_base = fractions.Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
    return path


def copied(source, path, frames=None):
    """Writes the source's frames, or its first ones, with its sound."""
    with video_writer.open_writer(path, sound=source) as writer:
        for frame in list(video.Video(source).frames())[:frames]:
            writer.write(frame.image, frame.timestamp)
    return path


def heard(path):
    """The times and the samples of a file's sound, decoded."""
    with video_container.opened(path) as (container, _):
        origin = float(video_container.origin(container))
        parts = [(float(f.pts * f.time_base) - origin, f) for f in container.decode(audio=0)]
        return [time for time, _ in parts], [frame.to_ndarray() for _, frame in parts]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("late.mkv", {"pictures_from": 0.5}),
        ("clock.ts", {}),  # its clock starts at 1.4 s, and its packets have headers of their own
        ("a.mkv", {"codec": "libmp3lame"}),
        ("a.avi", {"codec": "libmp3lame", "video_codec": "mpeg4"}),
        ("a.webm", {"codec": "libopus", "video_codec": "libvpx"}),
    ],
)
def test_a_copy_sounds_the_same_at_the_same_times(tmp_path, name, options):
    source = film(tmp_path / name, **options)
    copy = copied(source, tmp_path / "copy.mp4")
    frames = [list(video.Video(path).frames()) for path in (source, copy)]
    np.testing.assert_allclose(*([f.timestamp for f in part] for part in frames), atol=1e-3)
    (times, samples), (copy_times, copy_samples) = heard(source), heard(copy)
    count = len(copy_samples)
    assert count >= len(samples) - 2  # what begins after the last picture is left out
    np.testing.assert_allclose(copy_times, times[:count], atol=2e-3)
    assert sum(np.ptp(part) > 0.1 * np.ptp(samples[20]) for part in copy_samples) > 0.9 * count
    # The first packet loses its beginning and the last its end, where containers say so.
    for mine, original in zip(copy_samples[1:], samples[1:]):
        common = min(mine.shape[1], original.shape[1])
        np.testing.assert_array_equal(mine[:, :common], original[:, :common])


def test_the_sound_ends_with_the_pictures(tmp_path):
    source = film(tmp_path / "a.mp4")
    times, _ = heard(copied(source, tmp_path / "copy.mp4", frames=25))
    assert 0.9 < times[-1] < 1.0


@pytest.mark.parametrize(("codec", "said"), [("pcm_s16le", "pcm_s16le"), (None, "")])
def test_without_a_sound_that_fits_there_is_none(tmp_path, codec, said, caplog):
    caplog.set_level("INFO", "absl")
    if codec is None:
        source = tmp_path / "silent.mp4"
        video_writer.write_video(source, [np.zeros((48, 64, 3), np.uint8)] * 5, 25)
    else:
        source = film(tmp_path / "a.mov", codec)
    copy = copied(source, tmp_path / "copy.mp4")
    with av.open(str(copy)) as container:
        assert not container.streams.audio
    assert len(list(video.Video(copy).frames())) == (5 if codec is None else 50)
    expected = [
        f"{source}: the annotated video has no sound, as players do not expect {said} in mp4 files"
    ]
    assert caplog.messages == (expected if codec else [])


def test_where_neither_starts_at_0_both_keep_their_times(tmp_path):
    source = film(tmp_path / "a.mkv", pictures_from=0.52, sound_from=0.7)
    copy = copied(source, tmp_path / "copy.mp4")
    frames = [list(video.Video(path).frames()) for path in (source, copy)]
    first = frames[0][0].timestamp
    assert first > 0.5
    np.testing.assert_allclose(*([f.timestamp for f in part] for part in frames), atol=1e-3)
    with av.open(str(copy)) as container:
        starts = sorted(float(s.start_time * s.time_base) for s in container.streams.audio)
    assert starts == pytest.approx([0, first + 0.18], abs=0.03)


class Target:
    """A file that takes packets of sound; some calls fail."""

    def __init__(self, failures):
        self.failures, self.calls, self.times = failures, 0, []

    def add_stream_from_template(self, stream):
        return stream

    def mux(self, packet):
        self.calls += 1
        if self.calls in self.failures:
            raise self.failures[self.calls]
        self.times.append(float(packet.pts * packet.time_base))


def test_packets_that_cannot_be_stored_are_left_out(tmp_path, caplog):
    source = film(tmp_path / "a.mp4")
    damaged = av.InvalidDataError(1, "Invalid data found when processing input")
    unknown = av.PatchWelcomeError(2, "Not yet implemented in FFmpeg, patches welcome")
    targets = [Target({}), Target({10: damaged, 11: unknown})]
    for target in targets:
        with video_sound.opened(source) as sound:
            sound.add_to(target)
            sound.copy(SECONDS)
            sound.finish()
    whole, rest = (target.times for target in targets)
    assert rest == whole[:9] + whole[11:] and len(whole) > 90
    assert caplog.messages == [f"{source}: damaged packets of sound, left out: 2"]


def test_a_full_disk_is_not_taken_for_damage(tmp_path):
    target = Target({2: OSError(errno.ENOSPC, "No space left on device")})
    with video_sound.opened(film(tmp_path / "a.mp4")) as sound:
        sound.add_to(target)
        with pytest.raises(OSError, match="No space left"):
            sound.copy(1.0)


def test_sound_whose_times_go_back_is_left_out(tmp_path, caplog):
    source = film(tmp_path / "a.ts")
    source.write_bytes(2 * source.read_bytes())
    times, _ = heard(copied(source, tmp_path / "copy.mp4"))
    assert np.all(np.diff(times) > 0)
    assert any("damaged packets of sound, left out: " in text for text in caplog.messages)


def test_a_damaged_film_is_copied_as_far_as_it_goes(tmp_path):
    source = film(tmp_path / "a.mkv")
    content = bytearray(source.read_bytes())
    source.write_bytes(content[: len(content) * 2 // 3])
    copy = copied(source, tmp_path / "copy.mp4")
    (times, samples), (copy_times, copy_samples) = heard(source), heard(copy)
    assert 0 < len(copy_samples) <= len(samples)
    np.testing.assert_allclose(copy_times, times[: len(copy_times)], atol=2e-3)

"""Copies of a video have its sound, sample by sample and at the same times."""

import fractions

import av
import numpy as np
import pytest

from ast_net.faces import video, video_container, video_writer

RATE, SECONDS = 48_000, 2.0


def film(path, codec="aac", pictures_from=0.0, video_codec="libx264"):
    """Writes pictures of 25 frames/s, and a sound that rises."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * (300 + 400 * times) * times)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(video_codec, 25, width=64, height=48, pix_fmt="yuv420p")
        pictures.codec_context.time_base = fractions.Fraction(1, 1000)
        sound = container.add_stream(codec, RATE, layout="mono")
        frames = av.AudioFrame.from_ndarray(wave[np.newaxis].astype(np.float32), "fltp", "mono")
        frames.sample_rate, frames.pts = RATE, 0
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
    expected = [f"{source}: its sound ({said}) cannot be copied into an mp4 file, left out"]
    assert caplog.messages == (expected if codec else [])


def test_a_damaged_film_is_copied_as_far_as_it_goes(tmp_path):
    source = film(tmp_path / "a.mkv")
    content = bytearray(source.read_bytes())
    source.write_bytes(content[: len(content) * 2 // 3])
    copy = copied(source, tmp_path / "copy.mp4")
    (times, samples), (copy_times, copy_samples) = heard(source), heard(copy)
    assert 0 < len(copy_samples) <= len(samples)
    np.testing.assert_allclose(copy_times, times[: len(copy_times)], atol=2e-3)

"""Tests the contents of face tracks, and how they are saved and cached."""

import dataclasses
import logging
import shutil

import numpy as np
import pytest
from test_tracking import drifting_pupils

from ast_net import config, errors
from ast_net.faces import face_track, video, video_frame, video_writer

SETTINGS = config.Tracking()


def test_track_of_a_video(face_video, detector):
    track = face_track.track_video(video.Video(face_video), SETTINGS, detector)
    assert len(track) == 20
    for name, dtype, shape in [
        ("timestamps", np.float64, (20,)),
        ("valid", np.bool_, (20,)),
        ("confidence", np.float32, (20,)),
        ("boxes", np.float32, (20, 4)),
        ("landmarks", np.float32, (20, 5, 2)),
    ]:
        assert getattr(track, name).dtype == dtype and getattr(track, name).shape == shape
    np.testing.assert_allclose(track.timestamps, np.arange(20) / 25, atol=1e-6)
    assert track.valid.all() and track.confidence.min() > 0.9
    np.testing.assert_allclose(track.landmarks[:, :2], drifting_pupils(20), atol=2)


def test_frames_without_a_face_are_kept(tmp_path, detector, drifting_face):
    path = tmp_path / "a.mp4"
    video_writer.write_video(path, drifting_face([False] * 4 + [True] * 6), 25)
    track = face_track.track_video(video.Video(path), SETTINGS, detector)
    assert len(track) == 10
    assert not track.valid[:4].any() and track.valid[6:].all()
    for array in (track.confidence, track.boxes, track.landmarks):
        assert (array[~track.valid] == 0).all()


def test_damaged_frames_are_not_valid(tmp_path, detector, drifting_face, monkeypatch):
    recording = [
        video_frame.Frame(index, index / 25, image, damaged=index in (0, 3))
        for index, image in enumerate(drifting_face([True] * 6))
    ]
    source = video.Video(tmp_path / "a.mp4")
    monkeypatch.setattr(video.Video, "frames", lambda _: iter(recording))
    monkeypatch.setattr(video.Video, "frame_count", len(recording))
    track = face_track.track_video(source, SETTINGS, detector)
    assert track.valid.tolist() == [False, True, True, False, True, True]
    assert not track.landmarks[~track.valid].any()


def test_save_and_load(tmp_path, rng):
    track = face_track.Track(
        np.arange(3) / 7,
        np.array([True, False, True]),
        rng.random(3, dtype=np.float32),
        rng.random((3, 4), dtype=np.float32),
        rng.random((3, 5, 2), dtype=np.float32),
    )
    face_track.save_track(tmp_path / "new" / "a.npz", track)
    loaded = face_track.load_track(tmp_path / "new" / "a.npz")
    for field in dataclasses.fields(track):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(track, field.name))
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.npz"]


def damages(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    return [b"", b"nonsense", content[: len(content) // 2], bytes(flipped)]


def test_damaged_tracks_are_refused(tmp_path, rng):
    path = tmp_path / "a.npz"
    with pytest.raises(errors.InputError, match=f"{path}.*track the video again"):
        face_track.load_track(path)
    track = face_track.Track(
        np.arange(3.0),
        np.ones(3, bool),
        np.ones(3, np.float32),
        rng.random((3, 4), dtype=np.float32),
        rng.random((3, 5, 2), dtype=np.float32),
    )
    face_track.save_track(path, track)
    content = path.read_bytes()
    for damaged in damages(content):
        path.write_bytes(damaged)
        with pytest.raises(errors.InputError, match=f"{path}.*track the video again"):
            face_track.load_track(path)
    for other in (
        dataclasses.replace(track, boxes=track.boxes[:2]),
        dataclasses.replace(track, boxes=track.boxes.astype(np.float64)),
    ):
        face_track.save_track(path, other)
        with pytest.raises(errors.InputError, match="boxes is"):
            face_track.load_track(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(errors.InputError, match="track the video again"):
        face_track.load_track(tmp_path / "array.npy")


@pytest.fixture
def tracked(monkeypatch):
    """Replaces tracking, and lists the videos that would have been tracked."""
    paths = []

    def track_video(source, *_):
        paths.append(source.path)
        return face_track.Track(
            np.arange(2.0),
            np.ones(2, bool),
            np.ones(2, np.float32),
            np.ones((2, 4), np.float32),
            np.ones((2, 5, 2), np.float32),
        )

    monkeypatch.setattr(face_track, "track_video", track_video)
    return paths


def test_cache_hits_by_content_and_settings(tmp_path, face_video, tracked, monkeypatch):
    cache = tmp_path / "cache"
    first = face_track.cached_track(video.Video(face_video), cache, SETTINGS)
    copy = tmp_path / "copy of it.mp4"
    shutil.copy(face_video, copy)
    again = face_track.cached_track(video.Video(copy), cache, config.Tracking())
    assert tracked == [face_video]
    np.testing.assert_array_equal(again.boxes, first.boxes)

    other = tmp_path / "other.mp4"
    other.write_bytes(face_video.read_bytes() + b"\0")
    face_track.cached_track(video.Video(other), cache, SETTINGS)
    face_track.cached_track(
        video.Video(face_video), cache, dataclasses.replace(SETTINGS, min_confidence=0.8)
    )
    monkeypatch.setattr(face_track, "TRACK_VERSION", face_track.TRACK_VERSION + 1)
    face_track.cached_track(video.Video(face_video), cache, SETTINGS)
    assert tracked == [face_video, other, face_video, face_video]
    assert len(list(cache.iterdir())) == 4


def test_damaged_cache_files_are_replaced(tmp_path, face_video, tracked, caplog):
    face_track.cached_track(video.Video(face_video), tmp_path, SETTINGS)
    (cached,) = tmp_path.iterdir()
    content = cached.read_bytes()
    for count, damaged in enumerate(damages(content), 2):
        cached.write_bytes(damaged)
        with caplog.at_level(logging.WARNING, logger="absl"):
            face_track.cached_track(video.Video(face_video), tmp_path, SETTINGS)
        assert len(tracked) == count
        assert f"track the video again: doing so now for {face_video}" in caplog.text
        face_track.load_track(cached)
    face_track.cached_track(video.Video(face_video), tmp_path, SETTINGS)
    assert len(tracked) == count


def test_failed_tracking_leaves_no_cache_file(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    for path in (text, tmp_path / "missing.mp4"):
        with pytest.raises(errors.InputError, match=str(path)):
            face_track.cached_track(video.Video(path), tmp_path / "cache", SETTINGS)
    assert not (tmp_path / "cache").exists()

"""Tests folders of numbered pictures: order, times, gaps, and files that are ignored or refused."""

import logging
import os

import cv2
import numpy as np
import pytest

from ast_net import config, errors
from ast_net.faces import alignment, face_track, picture_sequence, tracking, video


def write(path, level, size=(12, 16)):
    image = np.full((*size, 3), level, np.uint8)
    image[..., 0] = 200  # red
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image[..., ::-1])[1].tobytes())
    return path


def frames_of(path):
    return list(video.open_video(path).frames())


@pytest.fixture
def folder(tmp_path):
    """Pictures 8, 9, 10 and 11, whose order by name is different."""
    for number in (8, 9, 10, 11):
        write(tmp_path / f"frame_{number}.png", number)
    return tmp_path


def test_pictures_are_read_by_number_at_25_frames_per_second(folder, caplog):
    (folder / "notes.json").write_text("{}")
    (folder / "._frame_9.png").write_text("not a picture")
    write(folder / "cropped" / "frame_8.png", 1)
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = frames_of(folder)
    assert [frame.image[0, 0].tolist() for frame in frames] == [[200, n, n] for n in (8, 9, 10, 11)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_allclose([frame.timestamp for frame in frames], [0, 0.04, 0.08, 0.12])
    sequence = picture_sequence.PictureSequence(folder)
    assert (sequence.frame_count, sequence.frame_rate) == (4, 25)
    assert sequence.duration == pytest.approx(0.16)
    assert not caplog.records


def test_gaps_are_reported_and_pictures_keep_their_times(folder, caplog):
    (folder / "frame_9.png").unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        frames = frames_of(folder)
    np.testing.assert_allclose([frame.timestamp for frame in frames], [0, 0.08, 0.12])
    assert "pictures missing between numbers 8 and 11: 1" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cover.png", b"", r"cover\.png: no number at the end of its name"),
        ("frame_08.jpg", b"", r"frame_8\.png: has the same number as frame_08\.jpg"),
        ("frame_12.png", b"", r"frame_12\.png: not a readable picture \(0 bytes\)"),
        ("frame_12.png", b"this is not a picture", r"frame_12\.png: not a readable picture"),
    ],
)
def test_bad_files_are_named(name, content, reason, folder):
    (folder / name).write_bytes(content)
    with pytest.raises(errors.InputError, match=reason):
        frames_of(folder)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_truncated_pictures_are_named(suffix, folder):
    path = write(folder / f"frame_12{suffix}", 90)
    assert len(frames_of(folder)) == 5
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(errors.InputError, match="frame_12.*not a readable picture"):
        frames_of(folder)


def test_pictures_of_different_sizes_are_refused(folder):
    write(folder / "frame_12.png", 12, (12, 18))
    with pytest.raises(
        errors.InputError, match=r"frame_12\.png: found 18x12 pixels, expected 16x12"
    ):
        frames_of(folder)


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(errors.InputError, match="no pictures in this folder"):
        frames_of(tmp_path)


def test_digest_depends_on_contents_and_gaps(folder, tmp_path_factory):
    digests = [picture_sequence.PictureSequence(folder).digest]
    other = tmp_path_factory.mktemp("other")
    for number in (8, 9, 10, 11):  # the same pictures under other names, numbered from 0
        (folder / f"frame_{number}.png").rename(other / f"{number - 8:05d}.png")
    assert picture_sequence.PictureSequence(other).digest == digests[0]
    (other / "00003.png").rename(other / "00004.png")
    digests.append(picture_sequence.PictureSequence(other).digest)
    write(other / "00004.png", 77)
    digests.append(picture_sequence.PictureSequence(other).digest)
    (other / "00004.png").unlink()
    digests.append(picture_sequence.PictureSequence(other).digest)
    assert len(set(digests)) == 4


def test_fingerprint_depends_on_number_size_and_time(folder):
    for k, path in enumerate(sorted(folder.iterdir())):
        path.write_bytes(bytes(10))
        os.utime(path, ns=(0, 1000 - k))
    assert picture_sequence.PictureSequence(folder).fingerprint == ("4 pictures, 40 bytes", 1000)


def test_track_of_a_folder_equals_track_of_its_frames(drifting_face, detector, tmp_path):
    images = drifting_face([True] * 6)
    for k, image in enumerate(images):
        path = tmp_path / "clip" / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    cache = tmp_path / "tracks"
    clip = video.open_video(tmp_path / "clip")
    track = face_track.cached_track(clip, cache, config.Tracking(), detector)
    tracker = tracking.FaceTracker(detector, config.Tracking())
    for k, image in enumerate(images):
        (tracked,) = tracker.update(image, k / 25)
        np.testing.assert_array_equal(track.landmarks[k], tracked.face.landmarks)
    faces = list(alignment.aligned_faces(clip, track, config.Alignment()))
    assert [face.valid for face in faces] == [True] * 6
    moved = video.open_video(clip.path.rename(tmp_path / "moved"))
    again = face_track.cached_track(moved, cache, config.Tracking(), None)
    np.testing.assert_array_equal(again.landmarks, track.landmarks)
    assert len(list(cache.iterdir())) == 1

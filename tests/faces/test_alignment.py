"""Compares alignment with a least-squares fit, ideal sampling, and detections in the crop."""

import dataclasses

import cv2
import numpy as np
import pytest

from ast_net import config, errors
from ast_net.faces import alignment, face_track, video

TEMPLATE = config.Alignment(left_eye=(74.0, 90.0), right_eye=(150.0, 90.0))
EYES = np.array([TEMPLATE.left_eye, TEMPLATE.right_eye])


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares similarity transform of Umeyama (1991), by singular value decomposition."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / a.var(axis=0).sum()
    shift = target.mean(axis=0) - scale * rotation @ source.mean(axis=0)
    return np.column_stack([scale * rotation, shift])


def landmarks_at(left_eye, right_eye) -> np.ndarray:
    return np.array([left_eye, right_eye, [0, 0], [0, 0], [0, 0]], np.float32)


def test_transform_by_hand():
    # Level eyes 38 pixels apart: scaled by 2; the left eye moves from (10, 20) to (74, 90).
    np.testing.assert_allclose(
        alignment.eye_transform([10, 20], [48, 20], TEMPLATE), [[2, 0, 54], [0, 2, 50]], atol=1e-12
    )
    # The right eye is straight below the left one: rotated anticlockwise by 90 degrees.
    np.testing.assert_allclose(
        alignment.eye_transform([0, 0], [0, 76], TEMPLATE), [[0, 1, 74], [-1, 0, 90]], atol=1e-12
    )


def test_transform_against_umeyama(rng):
    for _ in range(50):
        eyes = rng.uniform(-500, 500, (2, 2))
        transform = alignment.eye_transform(*eyes, TEMPLATE)
        assert transform.dtype == np.float64
        np.testing.assert_allclose(transform, umeyama(eyes, EYES), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(eyes @ transform[:, :2].T + transform[:, 2], EYES, atol=1e-9)


@pytest.mark.parametrize("eyes", [([3, 4], [3, 4]), ([0, 0], [np.nan, 0]), ([0, np.inf], [1, 0])])
def test_eyes_at_one_point_or_not_finite_are_refused(eyes):
    with pytest.raises(errors.InputError, match="two different points"):
        alignment.eye_transform(*eyes, TEMPLATE)


@pytest.mark.parametrize(("scale", "angle"), [(0.6, 0), (1.0, 20), (3.0, -30)])
def test_detector_finds_the_eyes_at_their_positions(detector, portrait, scale, angle):
    turn = cv2.getRotationMatrix2D((144, 110), angle, scale)
    turn[:, 2] += 400 - np.array([144, 110])
    image = cv2.warpAffine(portrait, turn, (800, 800), borderMode=cv2.BORDER_REPLICATE)
    pupils = np.array([[123, 101], [166.5, 103.3]]) @ turn[:, :2].T + turn[:, 2]
    crop = alignment.align_face(image, landmarks_at(*pupils), TEMPLATE)
    assert crop.shape == (224, 224, 3) and crop.dtype == np.uint8
    (face,) = detector.detect(crop)
    np.testing.assert_allclose(face.landmarks[:2], EYES, atol=3)


@pytest.mark.parametrize("scale", [0.9, 0.5, 0.21])
def test_shrinking_averages_the_pixels(rng, scale):
    """Compares a large, finely detailed face with the mean of 16x16 float64 samples per pixel."""
    image = cv2.GaussianBlur(rng.integers(0, 255, (1200, 1200, 3), dtype=np.uint8), (0, 0), 1.0)
    half = 38 / scale
    landmarks = landmarks_at([600 - half, 600], [600 + half, 603])
    crop = alignment.align_face(image, landmarks, TEMPLATE)
    inverse = np.linalg.inv(
        np.vstack([alignment.eye_transform(landmarks[0], landmarks[1], TEMPLATE), [0, 0, 1]])
    )
    steps = (np.arange(16) + 0.5) / 16 - 0.5
    for y, x in [(112, 112), (90, 74), (130, 140), (101, 93)]:
        grid = np.stack(np.meshgrid(x + steps, y + steps), axis=-1)
        places = (grid @ inverse[:2, :2].T + inverse[:2, 2]).astype(np.float32)
        ideal = cv2.remap(image.astype(np.float32), places, None, cv2.INTER_LINEAR).mean(
            axis=(0, 1)
        )
        np.testing.assert_allclose(crop[y, x], ideal, atol=6)


def test_crop_at_the_same_scale_has_the_same_pixels(rng):
    image = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    crop = alignment.align_face(image, landmarks_at([94, 120], [170, 120]), TEMPLATE)
    np.testing.assert_array_equal(crop, image[30:254, 20:244])


def test_pixels_outside_the_picture_are_black(rng):
    image = rng.integers(100, 255, (100, 100, 3), dtype=np.uint8)
    crop = alignment.align_face(image, landmarks_at([0, 0], [76, 0]), TEMPLATE)
    assert (crop[:89] == 0).all() and (crop[:, :73] == 0).all()
    np.testing.assert_array_equal(crop[90:190, 74:174], image)


@pytest.fixture(scope="module")
def track(face_video, detector):
    return face_track.track_video(video.Video(face_video), config.Tracking(), detector)


def test_there_is_an_aligned_face_for_every_frame(face_video, track, detector):
    valid = track.valid.copy()
    valid[3:5] = False
    track = dataclasses.replace(track, valid=valid)
    faces = list(alignment.aligned_faces(video.Video(face_video), track, TEMPLATE))
    assert [face.valid for face in faces] == list(valid)
    assert all((face.image == 0).all() for face in faces[3:5])
    for face in faces:
        if face.valid:
            np.testing.assert_allclose(detector.detect(face.image)[0].landmarks[:2], EYES, atol=3)


def cut(track: face_track.Track, frames: slice) -> face_track.Track:
    return face_track.Track(
        *(getattr(track, field.name)[frames] for field in dataclasses.fields(track))
    )


def test_track_of_another_video_is_refused(face_video, track):
    longer = face_track.Track(
        np.arange(21) / 25,
        *(
            np.concatenate([getattr(track, name), getattr(track, name)[:1]])
            for name in ("valid", "confidence", "boxes", "landmarks")
        ),
    )
    longer.timestamps[:20] = track.timestamps
    later = dataclasses.replace(track, timestamps=track.timestamps + 0.5)
    for other, reason in [
        (cut(track, slice(0, 19)), "frame 19"),
        (longer, "only 20 frames"),
        (later, "frame 0"),
    ]:
        with pytest.raises(errors.InputError, match=f"{face_video}.*{reason}"):
            list(alignment.aligned_faces(video.Video(face_video), other, TEMPLATE))

"""Compares the detector with hand-marked landmarks, and tries it on unusual pictures."""

import cv2
import keras
import numpy as np
import pytest

from ast_net.faces import detection

# Marked by hand in the portrait: both pupils, tip of the nose, both corners of the mouth.
LANDMARKS = np.array([[123, 101], [166.5, 103.3], [144, 126], [122, 140], [166, 140]])


def test_finds_the_marked_landmarks(detector, portrait):
    (face,) = detector.detect(portrait)
    assert face.confidence > 0.99
    np.testing.assert_allclose(face.landmarks, LANDMARKS, atol=4)
    np.testing.assert_allclose(face.landmarks[:2], LANDMARKS[:2], atol=2)
    x, y, width, height = face.box
    assert 90 < x < 110 and 50 < y < 80 and 75 < width < 100 and 90 < height < 130


def test_left_and_right_are_those_of_the_picture(detector, portrait):
    (face,) = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    mirrored = LANDMARKS[[1, 0, 2, 4, 3]] * [-1, 1] + [portrait.shape[1] - 1, 0]
    np.testing.assert_allclose(face.landmarks, mirrored, atol=4)


@pytest.mark.parametrize("scale", [0.5, 1.7])
def test_landmarks_follow_scale_and_position(detector, portrait, scale):
    moved = cv2.warpAffine(
        portrait, np.array([[scale, 0, 30], [0, scale, 20.0]]), (640, 480), flags=cv2.INTER_AREA
    )
    (face,) = detector.detect(moved)
    np.testing.assert_allclose(
        face.landmarks[:2], LANDMARKS[:2] * scale + [30, 20], atol=2.5 * scale
    )


def test_no_face_in_blank_pictures_and_noise(detector, portrait, rng):
    noise = rng.integers(0, 255, portrait.shape, dtype=np.uint8)
    assert detector.detect(np.zeros_like(portrait)) == detector.detect(noise) == []


def test_same_landmarks_in_parts_of_the_picture(detector, portrait):
    (small,) = detector.detect(np.ascontiguousarray(portrait[40:200, 60:220]))
    np.testing.assert_allclose(small.landmarks + [60, 40], LANDMARKS, atol=4)
    (upper,) = detector.detect(portrait[:200])
    np.testing.assert_allclose(upper.landmarks, LANDMARKS, atol=4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (11, 300, 3), (12, 12, 3), (13, 200, 3)])
def test_tiny_pictures_have_no_face(detector, shape):
    assert detector.detect(np.full(shape, 128, np.uint8)) == []


def test_min_face_fraction(detector, portrait):
    image = np.full((720, 960, 3), 128, np.uint8)
    image[300:444, 300:444] = cv2.resize(portrait, (144, 144), interpolation=cv2.INTER_AREA)
    # The face is 50 pixels high, 7 % of 720.
    assert detector.detect(image, min_face_fraction=0.15) == []
    (face,) = detector.detect(image, min_face_fraction=0.04)
    np.testing.assert_allclose(face.landmarks[:2], LANDMARKS[:2] / 2 + 300, atol=2)


def test_two_faces_in_one_picture(detector, portrait):
    both = np.hstack([portrait, portrait])
    faces = sorted(detector.detect(both), key=lambda face: face.box[0])
    assert len(faces) == 2
    np.testing.assert_allclose(faces[1].landmarks, LANDMARKS + [288, 0], atol=4)


def test_search_near_a_box_equals_the_whole_search(detector, portrait):
    image = np.full((720, 960, 3), 128, np.uint8)
    image[200:488, 300:588] = portrait
    (face,) = detector.detect(image)
    # The box is off by a fifth; the second one touches the edges of the picture.
    box = face.box + np.float32([20, -15, 0, 0])
    for part, shift in [(image, 0), (image[250:, 380:], np.array([380, 250]))]:
        (near,) = detector.detect_near(part, box - np.append(np.full(2, shift), [0, 0]))
        np.testing.assert_allclose(near.landmarks + shift, face.landmarks, atol=2)
        np.testing.assert_allclose(near.box[:2] + shift, face.box[:2], atol=6)
    # Elsewhere there is no face, nor one as large as half of a box.
    assert detector.detect_near(image, np.float32([20, 20, 90, 90])) == []
    assert detector.detect_near(image, np.float32([-200, 20, 90, 90])) == []
    larger = face.box + np.float32([-250, -250, 500, 500])
    assert detector.detect_near(image, larger) == []


def test_refine_finds_the_face_from_an_inexact_box(detector, portrait):
    box = detector.detect(portrait)[0].box
    right, off, wrong = detector.refine(
        portrait, np.stack([box, box + [-20, 5, 0, 0], box + [200, 0, 0, 0]])
    )
    np.testing.assert_allclose(right.landmarks[:2], LANDMARKS[:2], atol=2)
    # O-Net runs a second time at the corrected position; a single run is off by up to 4 pixels.
    np.testing.assert_allclose(off.landmarks, right.landmarks, atol=1)
    assert min(right.confidence, off.confidence) > 0.98
    assert wrong.confidence < 0.5
    (outside,) = detector.refine(portrait, np.array([[-1e6, -1e6, 50.0, 50.0]]))
    assert outside.confidence < 0.5


def test_refined_landmarks_are_steady(detector, portrait):
    """Jitter in pixels of the aligned crop while a face moves; 0.26 without averaging shifts."""
    (face,) = detector.detect(portrait)
    eyes = []
    for shift in np.linspace(0, 6, 13):
        moved = cv2.warpAffine(portrait, np.array([[1, 0, shift], [0, 1, shift / 2]]), (288, 288))
        (face,) = detector.refine(moved, face.box[np.newaxis])
        eyes.append(face.landmarks[:2] - [shift, shift / 2])
    distance = np.linalg.norm(LANDMARKS[1] - LANDMARKS[0])
    assert np.std(eyes, axis=0).max() * 76 / distance < 0.21


def test_faces_are_refined_independently(detector, portrait):
    """A face that needs a second run of O-Net does not change the result of another face."""
    both = np.hstack([portrait, portrait])
    box = detector.detect(portrait)[0].box
    (alone,) = detector.refine(both, box[np.newaxis])
    together, off = detector.refine(both, np.stack([box, box + [288 - 20, 5, 0, 0]]))
    np.testing.assert_allclose(together.landmarks, alone.landmarks, atol=1e-3)
    np.testing.assert_allclose(off.landmarks, alone.landmarks + [288, 0], atol=1)
    assert detector.refine(both, np.empty((0, 4))) == []


def test_mixed_precision_does_not_affect_the_detector(detector, portrait):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        (face,) = detection.FaceDetector().detect(portrait)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_allclose(face.landmarks, detector.detect(portrait)[0].landmarks, atol=1e-3)


@pytest.mark.parametrize("image", [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3), np.float32)])
def test_wrong_shapes_and_types_are_refused(detector, image):
    with pytest.raises(ValueError, match="expected uint8"):
        detector.detect(image)

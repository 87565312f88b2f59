"""Tests when faces are detected and followed, and how steady the landmarks are."""

import dataclasses

import cv2
import numpy as np
import pytest

from ast_net import config
from ast_net.faces import detection, tracking

SETTINGS = config.Tracking()
# Frames per second, and frames between two searches at this rate.
RATE, SEARCH_FRAMES = 25, 3
PUPILS = np.array([[123, 101], [166.5, 103.3]])


def drifting_pupils(frames: int) -> np.ndarray:
    """Positions of the pupils in the fixture drifting_face, [T, 2, 2]."""
    drift = np.arange(frames)[:, None, None] * [2.0, 1.0]
    return PUPILS * 0.8 + [20, -10] + drift


class CountingDetector:
    """A detector that counts the detections."""

    def __init__(self, detector: detection.FaceDetector) -> None:
        self.refine = detector.refine
        self._detect = detector.detect
        self.detections = 0

    def detect(self, image, min_face_fraction):
        self.detections += 1
        return self._detect(image, min_face_fraction)

    def detect_near(self, image, box, min_face_fraction):
        return self.detect(image, min_face_fraction)


def follow(detector, images, settings=SETTINGS):
    """Returns the face of each image, and the number of detections."""
    counting = CountingDetector(detector)
    tracker = tracking.FaceTracker(counting, settings)
    return [only(tracker, image, k) for k, image in enumerate(images)], counting.detections


def only(tracker, image, k) -> detection.Face | None:
    """Returns the only face of frame k at 25 frames per second; None if there is none."""
    faces = tracker.update(image, k / RATE)
    assert len(faces) <= 1
    return faces[0].face if faces else None


def test_follows_between_detections(detector, drifting_face):
    faces, detections = follow(detector, drifting_face([True] * 30))
    assert detections == 2  # in the first and the 26th frame
    eyes = np.array([face.landmarks[:2] for face in faces])
    np.testing.assert_allclose(eyes, drifting_pupils(30), atol=2)
    # In pixels of the aligned crop. The drift itself has no second difference.
    second = np.diff(eyes, 2, axis=0) * 76 / np.linalg.norm(np.diff(PUPILS * 0.8, axis=0))
    assert np.sqrt((second**2).mean() / 6) < 0.5


def test_face_that_disappears_and_returns(detector, drifting_face):
    shown = [True] * 8 + [False] * 9 + [True] * 8
    faces, detections = follow(detector, drifting_face(shown))
    detected = [face is not None for face in faces]
    # The face is lost at once, and detected again at the next search.
    assert detected[:17] == shown[:17]
    back = detected.index(True, 8)
    assert 17 <= back < 17 + SEARCH_FRAMES
    assert all(detected[back:])
    # Detections: the first frame, the loss, and every third frame of the search.
    assert detections == 2 + (back - 8) // SEARCH_FRAMES


def test_video_without_faces(detector, rng):
    images = list(rng.integers(0, 255, (7, 120, 160, 3), dtype=np.uint8))
    faces, detections = follow(detector, images)
    assert faces == [None] * 7
    assert detections == 3


def test_drops_a_face_that_detection_misses(detector, drifting_face):
    """A face that a detection misses is dropped, whatever confidence O-Net has."""
    images = drifting_face([True] * 10)

    class Blind(CountingDetector):
        def detect(self, image, min_face_fraction):
            detected = super().detect(image, min_face_fraction)
            return detected if self.detections == 1 else []

    tracker = tracking.FaceTracker(
        Blind(detector), dataclasses.replace(SETTINGS, redetect_every=4 / RATE)
    )
    detected = [only(tracker, image, k) is not None for k, image in enumerate(images)]
    assert detected == [True] * 4 + [False] * 6


def test_switches_to_the_detected_face(detector, drifting_face):
    other = detection.Face(np.array([250.0, 180, 40, 50]), 0.99, np.zeros((5, 2)))

    class Elsewhere(CountingDetector):
        def detect(self, image, min_face_fraction):
            detected = super().detect(image, min_face_fraction)
            return detected if self.detections == 1 else [other]

    settings = dataclasses.replace(SETTINGS, redetect_every=4 / RATE)
    tracker = tracking.FaceTracker(Elsewhere(detector), settings)
    faces = [only(tracker, image, k) for k, image in enumerate(drifting_face([True] * 5))]
    assert faces[4] is other and other not in faces[:4]


def test_jumping_face_is_found_in_the_same_frame(detector, drifting_face):
    first, last = drifting_face([True] * 61)[::60]
    faces, detections = follow(detector, [first, last])
    assert detections == 2
    np.testing.assert_allclose(faces[1].landmarks[:2], drifting_pupils(61)[60], atol=2)


def test_keeps_its_face_while_another_grows(detector, portrait):
    """The left face is larger at first, the right face at the second detection."""
    images = []
    for k in range(12):
        image = np.full((288, 520, 3), 90, np.uint8)
        for x, side in ((0, 230), (230, 170 + 10 * k)):
            image[:side, x : x + side] = cv2.resize(
                portrait, (side, side), interpolation=cv2.INTER_AREA
            )
        images.append(image)
    faces, detections = follow(
        detector, images, dataclasses.replace(SETTINGS, redetect_every=6 / RATE)
    )
    assert detections == 2
    assert all(face.box[0] + face.box[2] < 230 for face in faces)
    last, _ = follow(detector, images[-1:])
    assert last[0].box[0] > 230


def face_at(x, y, width, height, confidence=1.0) -> detection.Face:
    return detection.Face(np.array([x, y, width, height], float), confidence, np.zeros((5, 2)))


def test_prominence_by_hand():
    shape = (200, 400, 3)
    # In the middle of the picture the value is the size, sqrt(40 * 90).
    assert tracking.prominence(face_at(180, 55, 40, 90), shape) == pytest.approx(60)
    assert tracking.prominence(face_at(180, 55, 40, 90, 0.9), shape) == pytest.approx(54)
    # With the centre in a corner it is half of that.
    assert tracking.prominence(face_at(-20, -45, 40, 90), shape) == pytest.approx(30)

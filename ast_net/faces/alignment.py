"""Aligns faces: rotates, scales and crops them so that the eyes are at fixed positions.

Section 3.1 of the paper.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ast_net import config, errors
from ast_net.faces import face_track, video


class AlignedFace(NamedTuple):
    """The face of one frame: uint8 RGB [224, 224, 3], all zeros where valid is False."""

    image: np.ndarray
    valid: bool


def eye_transform(
    left_eye: npt.ArrayLike, right_eye: npt.ArrayLike, alignment: config.Alignment
) -> np.ndarray:
    """Computes the similarity transform from a picture to its aligned crop, float64 [2, 3].

    Two points determine it. With points as complex numbers, rotation and scaling together are one
    multiplication.

    Args:
      left_eye: x, y in the picture, in pixels. Left is the left side of the picture.
      right_eye: x, y of the other eye.
      alignment: positions of the eyes in the crop.

    Raises:
      InputError: both eyes are at the same point, or a coordinate is not finite.
    """
    source = [complex(*np.asarray(eye, np.float64)) for eye in (left_eye, right_eye)]
    target = [complex(*eye) for eye in (alignment.left_eye, alignment.right_eye)]
    if source[0] == source[1] or not np.isfinite(source).all():
        eyes = f"found eyes at {left_eye!r} and {right_eye!r}"
        raise errors.InputError(f"{eyes}, expected two different points; detect the face again")
    rotation = (target[1] - target[0]) / (source[1] - source[0])
    shift = target[0] - rotation * source[0]
    return np.array(
        [
            [rotation.real, -rotation.imag, shift.real],
            [rotation.imag, rotation.real, shift.imag],
        ]
    )


def align_face(image: np.ndarray, landmarks: np.ndarray, alignment: config.Alignment) -> np.ndarray:
    """Cuts an aligned face out of a picture; what lies outside the picture is black.

    Where a pixel of the crop covers several of the picture, it is the mean of 2x2 samples; where it
    covers 4x4 or more, these are taken from the halved picture. A single sample would cause
    aliasing.

    Args:
      image: uint8 RGB [H, W, 3].
      landmarks: x, y in pixels, left eye and right eye first, as in `detection.Face`, [5, 2].
      alignment: positions of the eyes in the crop.

    Returns:
      uint8 RGB [224, 224, 3].

    Raises:
      InputError: both eyes are at the same point, or a coordinate is not finite.
    """
    transform = eye_transform(landmarks[0], landmarks[1], alignment)
    part, transform = _shown_part(image, transform, alignment.size)
    pixels = 1 / math.hypot(transform[0, 0], transform[1, 0])  # of `part`, along a crop's pixel
    while pixels >= 4:  # two samples, each between two pixels, cover four
        part, transform, pixels = *_halved(part, transform), pixels / 2
    # 0.01 absorbs rounding: a face of exactly the crop's scale needs one sample per pixel, not two.
    sampling = 2 if pixels > 1.01 else 1
    # Pixel centres have integer coordinates, so the samples of pixel 0 must be centred on 0.
    transform = transform * sampling
    transform[:, 2] += (sampling - 1) / 2
    # OpenCV needs half as long to warp four channels as three.
    part = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)
    crop = cv2.warpAffine(part, transform, (alignment.size * sampling,) * 2, flags=cv2.INTER_LINEAR)
    if sampling > 1:
        crop = cv2.resize(crop, (alignment.size,) * 2, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB)


def _shown_part(
    image: np.ndarray, transform: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of a picture that a crop shows, and the transform from it to the crop."""
    # The crop's corners in the picture: the inverse transform.
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]])
    corners = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    # The part has a margin, because a pixel is made of its neighbours too, and at least one pixel,
    # even if the crop lies outside the picture.
    margin = 3 / math.hypot(transform[0, 0], transform[1, 0]) + 3
    height, width = image.shape[:2]
    first, ends = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    # It begins at whole multiples of 8, so that the same pixels are averaged when it is halved.
    left, top = np.clip(first, 0, (width - 1, height - 1)).astype(int) // 8 * 8
    right, bottom = np.clip(ends, (left + 1, top + 1), (width, height)).astype(int)
    return image[top:bottom, left:right], _moved(transform, (left, top))


def _halved(part: np.ndarray, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halves a picture by means of 2x2 pixels; returns it and the transform from it to the crop."""
    height, width = part.shape[:2]
    if height % 2 or width % 2:
        part = cv2.copyMakeBorder(part, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
        height, width = part.shape[:2]
    part = cv2.resize(part, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    # The centre of the first new pixel lies between the old pixels 0 and 1.
    transform = _moved(transform, (0.5, 0.5))
    transform[:, :2] *= 2
    return part, transform


def _moved(transform: np.ndarray, origin: npt.ArrayLike) -> np.ndarray:
    """Returns the transform [2, 3] for coordinates that count from `origin`."""
    return np.column_stack([transform[:, :2], transform[:, :2] @ origin + transform[:, 2]])


def aligned_faces(
    source: video.VideoSource, track: face_track.Track, alignment: config.Alignment
) -> Iterator[AlignedFace]:
    """Yields the aligned face of every frame of a video; zeros for frames without a face.

    Args:
      source: the video; it is decoded once more.
      track: the video's face track.
      alignment: positions of the eyes in the crop.

    Raises:
      InputError: the video cannot be read, or the track belongs to another video.
    """
    pairs = itertools.zip_longest(source.frames(), track.timestamps)
    for count, (frame, timestamp) in enumerate(pairs):
        if frame is None or frame.timestamp != timestamp:
            difference = f"the video has only {count} frames"
            if frame is not None:
                difference = (
                    f"frame {count} of the video, at {frame.timestamp} s, is not in the track"
                )
            raise errors.InputError(
                f"{source.path}: this face track of {len(track)} frames belongs to another video "
                f"({difference}); track the face in this video"
            )
        if track.valid[count]:
            yield AlignedFace(align_face(frame.image, track.landmarks[count], alignment), True)
        else:
            yield AlignedFace(np.zeros((alignment.size, alignment.size, 3), np.uint8), False)

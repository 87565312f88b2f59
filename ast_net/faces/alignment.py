"""Faces brought to one place, size and upright: both eyes at fixed places of the crop (section 3.1)."""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ast_net import config, errors
from ast_net.faces import tracking, video

# Beyond this more samples a pixel cost time and show nothing.
_MAX_SAMPLING = 8


class AlignedFace(NamedTuple):
    """The face of one frame: uint8 RGB [224, 224, 3], all zeros where valid is False; time in seconds."""

    index: int  # type: ignore[assignment]  # a tuple's method of this name is not missed
    timestamp: float
    image: np.ndarray
    valid: bool


def eye_transform(
    left_eye: npt.ArrayLike, right_eye: npt.ArrayLike, alignment: config.Alignment
) -> np.ndarray:
    """The similarity transform, float64 [2, 3], that puts both eyes at their places in the crop.

    Two points determine it: turning and scaling is the multiplication by one complex number.

    Args:
      left_eye: x, y in the picture, in pixels; left as seen in the picture.
      right_eye: the same of the other eye.
      alignment: where the eyes shall be.

    Raises:
      InputError: both eyes are at the same point, or one is not finite.
    """
    source = [complex(*np.asarray(eye, np.float64)) for eye in (left_eye, right_eye)]
    target = [complex(*eye) for eye in (alignment.left_eye, alignment.right_eye)]
    if source[0] == source[1] or not np.isfinite(source).all():
        raise errors.InputError(
            f"eyes at {left_eye!r} and {right_eye!r}: expected two different points"
        )
    turn = (target[1] - target[0]) / (source[1] - source[0])
    shift = target[0] - turn * source[0]
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align_face(image: np.ndarray, landmarks: np.ndarray, alignment: config.Alignment) -> np.ndarray:
    """Cuts a face out of a picture, both eyes at their places; black beyond the picture.

    A face larger than in the crop is sampled several times a pixel and averaged: a single sample would
    show patterns that are not there (4K video: up to eight times too many pixels each way).

    Args:
      image: uint8 RGB [H, W, 3].
      landmarks: x, y of left eye, right eye, ..., [5, 2], in pixels.
      alignment: where the eyes shall be.

    Returns:
      uint8 RGB [224, 224, 3].

    Raises:
      InputError: both eyes are at the same point, or one is not finite.
    """
    transform = eye_transform(landmarks[0], landmarks[1], alignment)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    # Eyes in the crop's own scale up to rounding must not double the work.
    sampling = max(1, min(_MAX_SAMPLING, math.ceil(1 / scale - 0.01)))
    # Pixel centres are at whole numbers: the first pixel's samples lie around 0.
    transform = transform * sampling
    transform[:, 2] += (sampling - 1) / 2
    crop = _warped(image, transform, alignment.size * sampling)
    if sampling > 1:
        size = (alignment.size, alignment.size)
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB)


def _warped(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """cv2.warpAffine to [size, size, 4]; on four channels OpenCV takes half the time it takes on three.

    Only the part of the picture that will be seen gets a fourth channel.
    """
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]])
    seen = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    height, width = image.shape[:2]
    # With a margin, as a pixel is interpolated from its neighbours.
    left, top = np.clip(np.floor(seen.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(
        np.ceil(seen.max(axis=0)) + 3, (left + 1, top + 1), (width, height)
    ).astype(int)
    part = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA)
    transform = transform.copy()
    transform[:, 2] += transform[:, :2] @ (left, top)
    return cv2.warpAffine(part, transform, (size, size), flags=cv2.INTER_LINEAR)


def aligned_faces(
    path: str | os.PathLike,
    track: tracking.Track,
    alignment: config.Alignment,
) -> Iterator[AlignedFace]:
    """Reads a video again and yields the aligned face of every frame, also of those without one.

    Args:
      path: the video.
      track: where its face is, T frames.
      alignment: where the eyes shall be.

    Raises:
      InputError: the video cannot be read, or the track is not that of this video.
    """
    count = 0
    for frame in video.read_frames(path):
        if count >= len(track) or frame.timestamp != track.timestamps[count]:
            raise _mismatch(path, track, f"frame {count} at {frame.timestamp} s is not in it")
        valid = bool(track.valid[count])
        if valid:
            face = align_face(frame.image, track.landmarks[count], alignment)
        else:
            face = np.zeros((alignment.size, alignment.size, 3), np.uint8)
        yield AlignedFace(count, frame.timestamp, face, valid)
        count += 1
    if count < len(track):
        raise _mismatch(path, track, f"the video has only {count} frames")


def _mismatch(path: str | os.PathLike, track: tracking.Track, found: str) -> errors.InputError:
    return errors.InputError(
        f"{path}: the track of {len(track)} frames belongs to another video: {found}; track this one"
    )

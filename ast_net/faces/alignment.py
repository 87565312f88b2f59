"""Aligns faces: turned, scaled and cropped so that the eyes are at fixed places (section 3.1)."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ast_net import config, errors
from ast_net.faces import face_track, video

# More samples a pixel than this cost time and improve nothing.
_MAX_SAMPLING = 8


class AlignedFace(NamedTuple):
    """The face of one frame: uint8 RGB [224, 224, 3], all zeros where valid is False."""

    image: np.ndarray
    valid: bool


def eye_transform(
    left_eye: npt.ArrayLike, right_eye: npt.ArrayLike, alignment: config.Alignment
) -> np.ndarray:
    """Computes the similarity transform, float64 [2, 3], from a picture to its aligned crop.

    It is determined by the two eyes: turning and scaling are one complex multiplication.

    Args:
      left_eye: x, y in the picture, in pixels; left as seen in the picture.
      right_eye: the same for the other eye.
      alignment: where the eyes belong in the crop.

    Raises:
      InputError: both eyes are at the same point, or one is not finite.
    """
    source = [complex(*np.asarray(eye, np.float64)) for eye in (left_eye, right_eye)]
    target = [complex(*eye) for eye in (alignment.left_eye, alignment.right_eye)]
    if source[0] == source[1] or not np.isfinite(source).all():
        eyes = f"eyes at {left_eye!r} and {right_eye!r}"
        raise errors.InputError(f"{eyes}: expected two different points")
    turn = (target[1] - target[0]) / (source[1] - source[0])
    shift = target[0] - turn * source[0]
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align_face(image: np.ndarray, landmarks: np.ndarray, alignment: config.Alignment) -> np.ndarray:
    """Cuts a face out of a picture, both eyes at their places; black beyond the picture's edges.

    A face that is larger than in the crop is sampled several times a pixel and averaged: one sample
    a pixel would show patterns that are not there (4K video: up to eight times as many each way).

    Args:
      image: uint8 RGB [H, W, 3].
      landmarks: x, y of left eye, right eye, ..., [5, 2], in pixels.
      alignment: where the eyes belong in the crop.

    Returns:
      uint8 RGB [224, 224, 3].

    Raises:
      InputError: both eyes are at the same point, or one is not finite.
    """
    transform = eye_transform(landmarks[0], landmarks[1], alignment)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    # 0.01: a face of the crop's scale, up to rounding, must not double the work.
    sampling = max(1, min(_MAX_SAMPLING, math.ceil(1 / scale - 0.01)))
    # Pixel centres are at whole numbers: the first pixel's samples lie around 0.
    transform = transform * sampling
    transform[:, 2] += (sampling - 1) / 2
    crop = _warped(image, transform, alignment.size * sampling)
    if sampling > 1:
        crop = cv2.resize(crop, (alignment.size,) * 2, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB)


def _warped(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Warps to [size, size, 4]: OpenCV takes half as long for four channels as for three.

    Only the part of the picture that the crop shows gets a fourth channel.
    """
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]])
    seen = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    height, width = image.shape[:2]
    # With a margin, as pixels are interpolated from their neighbours.
    left, top = np.clip(np.floor(seen.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    ends = np.ceil(seen.max(axis=0)) + 3
    right, bottom = np.clip(ends, (left + 1, top + 1), (width, height)).astype(int)
    part = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA)
    transform = transform.copy()
    transform[:, 2] += transform[:, :2] @ (left, top)
    return cv2.warpAffine(part, transform, (size, size), flags=cv2.INTER_LINEAR)


def aligned_faces(
    source: video.VideoSource, track: face_track.Track, alignment: config.Alignment
) -> Iterator[AlignedFace]:
    """Yields the aligned face of every frame of a video, zeros for frames without a face.

    Args:
      source: the video, which is read again.
      track: where its face is, T frames.
      alignment: where the eyes belong in the crop.

    Raises:
      InputError: the video cannot be read, or the track is not that of this video.
    """
    pairs = itertools.zip_longest(source.frames(), track.timestamps)
    for count, (frame, timestamp) in enumerate(pairs):
        if frame is None or frame.timestamp != timestamp:
            difference = f"the video has only {count} frames"
            if frame is not None:
                difference = f"frame {count} at {frame.timestamp} s is not in it"
            raise errors.InputError(
                f"{source.path}: the track of {len(track)} frames belongs to another video: "
                f"{difference}; track this one"
            )
        if track.valid[count]:
            yield AlignedFace(align_face(frame.image, track.landmarks[count], alignment), True)
        else:
            yield AlignedFace(np.zeros((alignment.size, alignment.size, 3), np.uint8), False)

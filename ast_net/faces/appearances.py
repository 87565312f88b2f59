"""Tells whether two pictures of faces show different people, in a fraction of a millisecond.

Two people differ in the grey values of their faces and in the texture. The grey values of one
person change with the light, the texture changes with blur and noise, and both change with the pose
of the head. So people differ only if both do, in the same pose. The texture is that of Ahonen,
Hadid and Pietikäinen, "Face description with local binary patterns" (TPAMI 2006).
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ast_net.faces import detection, patches

# Pixels. Coarse enough for blur, noise and compression to matter little.
_PICTURE_SIZE = 56
# Sides of the grid of cells whose mean grey values are compared, and of the grid of histograms.
_GREY_CELLS, _TEXTURE_CELLS = 14, 7
# Distance in pixels of the neighbours that a pixel is compared with.
_RADIUS = 2
# Correlation of grey values and of histograms from which on two faces may be of the same person.
# Of 50 people, neutral and smiling, in the same pose and light: in 97 of 100 pairs of different
# people both are lower; in each pair of one person at least one is higher (tools/measure_cuts.py).
_SAME_GREY, _SAME_TEXTURE = 0.95, 0.73
# Largest difference of the nose's position, in distances between the eyes, at which two faces have
# the same pose. The nose stands out by about half that distance, so a head that turns by 15 degrees
# or nods by 25 exceeds it. People in the same pose differ by less in 98 of 100 pairs.
_SAME_POSE = 0.12, 0.2
# Where more than this part of a face is white, as in a flash, it has no texture left to compare.
_MOSTLY_WHITE, _WHITE = 0.25, 250
# In nine of ten dissolves from one face to another the contrast falls below this part of that
# before and after. While one person moved and changed expression it never did.
_DISSOLVE_CONTRAST = 0.91
# Standard deviations, in pixels, of the details whose contrast is measured.
_FINEST, _COARSEST = 1.0, 3.0
# Seconds in which no head turns far enough to look like somebody else.
_INSTANT = 0.1


class Appearance(NamedTuple):
    """What a face looked like at one time.

    Attributes:
      timestamp: time of the frame, in seconds.
      picture: the face's square, uint8 [56, 56].
      grey: its coarse grey values, float32 [196], with mean 0 and length 1, so that the dot product
        of two of them is their correlation.
      nose: position of the nose relative to the middle of the eyes, in distances between the eyes:
        along the line of the eyes, and across it as the imaginary part. It tells the head's pose.
    """

    timestamp: float
    picture: np.ndarray
    grey: np.ndarray
    nose: complex


def measure(image: np.ndarray, face: detection.Face, timestamp: float) -> Appearance:
    """Measures the appearance of a face.

    Args:
      image: uint8 RGB [H, W, 3].
      face: the face in this picture.
      timestamp: time of the picture, in seconds.
    """
    x, y, width, height = face.box.tolist()
    side = max(_PICTURE_SIZE // 4, width, height)
    left, top = x + (width - side) / 2, y + (height - side) / 2
    square = np.rint([left, top, left + side, top + side]).astype(int)
    picture = patches.cut_green(image, square, _PICTURE_SIZE)
    cells = cv2.resize(picture, (_GREY_CELLS, _GREY_CELLS), interpolation=cv2.INTER_AREA)
    grey = cells.astype(np.float32).ravel()
    grey -= grey.mean()
    grey /= max(math.sqrt(grey @ grey), 1e-6)
    left_eye, right_eye, nose = (complex(*point) for point in face.landmarks[:3].tolist())
    # Dividing by the vector between the eyes turns the face upright and scales it.
    eyes = right_eye - left_eye
    position = (nose - (left_eye + right_eye) / 2) / eyes if eyes else 0j
    return Appearance(timestamp, picture, grey, position)


def is_another_person(before: Iterable[Appearance], now: Appearance) -> bool:
    """Returns whether a face is clearly not the one that was seen before.

    It differs from each earlier appearance that had the same pose, and there is one. The pose does
    not matter a tenth of a second later.
    """
    comparable = [earlier for earlier in before if _is_comparable(earlier, now)]
    return bool(comparable) and all(_differ(earlier, now) for earlier in comparable)


def shows_dissolve(history: Sequence[Appearance]) -> bool:
    """Returns whether a face may have dissolved into another one between two appearances.

    Halfway through a dissolve both faces are half transparent, so that details have less contrast
    than before and after. When a face moves or the light changes gradually, they keep it.

    Args:
      history: the appearances from the first to the last, two or more.
    """
    contrasts = np.array([_contrast(appearance.picture) for appearance in history])
    steady = np.linspace(contrasts[0], contrasts[-1], len(contrasts))
    return bool((contrasts < _DISSOLVE_CONTRAST * steady).any())


def texture(picture: np.ndarray) -> np.ndarray:
    """Returns the histograms of local binary patterns of a picture, float32 [49 * 59], length 1.

    The pattern of a pixel says which of its eight neighbours are at least as light. In each of 7x7
    cells the 58 patterns with at most two changes around the circle are counted, and all others
    together. The roots of the counts are compared, so the dot product of two textures is the mean
    Bhattacharyya coefficient of their histograms.

    Args:
      picture: uint8 [56, 56].
    """
    inner = len(picture) - 2 * _RADIUS
    centre = picture[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    neighbours = [picture[y : y + inner, x : x + inner] for x, y in _NEIGHBOURS]
    codes = np.packbits(np.stack(neighbours) >= centre, axis=0)[0]
    cells = np.arange(inner) * _TEXTURE_CELLS // inner
    bins = _LABELS[codes] + _LABEL_COUNT * (_TEXTURE_CELLS * cells[:, np.newaxis] + cells)
    counts = np.bincount(bins.ravel(), minlength=_LABEL_COUNT * _TEXTURE_CELLS**2)
    roots = np.sqrt(counts.astype(np.float32))
    return roots / np.linalg.norm(roots)


def _is_comparable(earlier: Appearance, now: Appearance) -> bool:
    along, across = _SAME_POSE
    moved = now.nose - earlier.nose
    same_pose = abs(moved.real) <= along and abs(moved.imag) <= across
    return same_pose or now.timestamp - earlier.timestamp <= _INSTANT


def _differ(a: Appearance, b: Appearance) -> bool:
    if a.grey @ b.grey >= _SAME_GREY or _is_washed_out(a) or _is_washed_out(b):
        return False
    return bool(texture(a.picture) @ texture(b.picture) < _SAME_TEXTURE)


def _is_washed_out(appearance: Appearance) -> bool:
    return bool((appearance.picture >= _WHITE).mean() > _MOSTLY_WHITE)


def _contrast(picture: np.ndarray) -> float:
    fine, coarse = (
        cv2.GaussianBlur(picture.astype(np.float32), (0, 0), deviation)
        for deviation in (_FINEST, _COARSEST)
    )
    return float((fine - coarse).std())


def _pattern_labels() -> np.ndarray:
    """Returns the label of each of the 256 patterns, [256]; 0 for those with many changes."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(uniform, np.cumsum(uniform), 0)


_LABELS = _pattern_labels()
_LABEL_COUNT = int(_LABELS.max()) + 1
# Upper left corners of the shifted pictures of the eight neighbours, around the circle.
_NEIGHBOURS = [
    (_RADIUS + x * _RADIUS, _RADIUS + y * _RADIUS)
    for x, y in [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)]
]

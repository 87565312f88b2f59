"""Recognises returning faces by position and size, and by appearance if there are several."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.optimize

from ast_net.faces import detection, patches

# A returning face may be at most this far from where it was lost, in multiples of its size, plus
# the growth for every second of absence.
_REACH, _REACH_GROWTH = 1.0, 1.0
# A returning face may be larger or smaller by at most this factor, plus the growth for every
# second.
_RATIO, _RATIO_GROWTH = 1.5, 0.25
# Pixels. The picture is coarse, so that an expression or an imprecise box changes it little.
_APPEARANCE_SIZE = 16
# Makes appearance outweigh position: the correlations of different people differ by 0.7 or more,
# and the position costs at most 1.
_APPEARANCE_WEIGHT = 2.0
_IMPOSSIBLE = 1e6


@dataclasses.dataclass(eq=False)
class FollowedFace:
    """A face that is being tracked, or was lost recently.

    Attributes:
      face_id: the number of the face.
      face: its last position.
      last_seen: time of that position, in seconds.
      appearance: the result of `appearance` when a detection last confirmed the face.
      misses: number of detections in a row that did not find it.
    """

    face_id: int
    face: detection.Face
    last_seen: float
    appearance: np.ndarray
    misses: int = 0


def appearance(image: np.ndarray, face: detection.Face) -> np.ndarray:
    """Returns the coarse grey values of a face as a vector [256] with mean 0 and length 1.

    The dot product of two such vectors is their correlation. In one video it was above 0.9 between
    successive frames of the same person and about 0 between different people. Changes of light and
    pose can lower it to 0.3.
    """
    corners = np.concatenate([face.box[:2], face.box[:2] + face.box[2:]])
    squares = patches.squares_around(corners[np.newaxis].astype(float), _APPEARANCE_SIZE)
    grey = patches.cut(image, squares, _APPEARANCE_SIZE)[0].mean(axis=2).ravel()
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def shared_area(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the area of the intersection of two boxes, each x, y, width, height [4] in pixels."""
    ends = np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    return float(np.prod(np.maximum(ends - np.maximum(a[:2], b[:2]), 0)))


def overlap(a: detection.Face, b: detection.Face) -> float:
    """Returns the intersection over union of two faces' boxes."""
    shared = shared_area(a.box, b.box)
    return float(shared / (np.prod(a.box[2:]) + np.prod(b.box[2:]) - shared))


def recognise(
    lost: Sequence[FollowedFace],
    faces: Sequence[detection.Face],
    appearances: Sequence[np.ndarray],
    timestamp: float,
) -> list[FollowedFace | None]:
    """Matches new faces to lost faces.

    A returning face must be near the position where it was lost and about as large. If there are
    several candidates, all faces are assigned together (Hungarian method), with the best total of
    position and appearance. Appearance decides between candidates but never excludes one: a
    different person who appears at the lost face's position soon enough is taken for the lost face
    if no one else is.

    Args:
      lost: the faces that were lost.
      faces: the K new faces.
      appearances: the `appearance` of each of the K faces.
      timestamp: time of the frame that shows the new faces, in seconds.

    Returns:
      The lost face that each of the K faces is; None for a new person.
    """
    pairs = zip(faces, appearances, strict=True)
    rows = [[_cost(lost_face, *pair, timestamp) for lost_face in lost] for pair in pairs]
    costs = np.reshape(rows, (len(faces), len(lost)))
    matches: list[FollowedFace | None] = [None] * len(faces)
    for k, j in zip(*scipy.optimize.linear_sum_assignment(costs), strict=True):
        if costs[k, j] < _IMPOSSIBLE:
            matches[k] = lost[j]
    return matches


def _cost(
    lost_face: FollowedFace, face: detection.Face, vector: np.ndarray, timestamp: float
) -> float:
    """The cost of a match: 0 to 1 for the distance, plus twice (1 - correlation)."""
    absence = timestamp - lost_face.last_seen
    before, now = lost_face.face.box.astype(float), face.box.astype(float)
    sizes = [max(1.0, float(np.sqrt(np.prod(box[2:])))) for box in (before, now)]
    distance = np.linalg.norm(before[:2] + before[2:] / 2 - now[:2] - now[2:] / 2)
    reach = (_REACH + _REACH_GROWTH * absence) * float(np.mean(sizes))
    if distance > reach or max(sizes) / min(sizes) > _RATIO + _RATIO_GROWTH * absence:
        return _IMPOSSIBLE
    return float(distance / reach + _APPEARANCE_WEIGHT * (1 - lost_face.appearance @ vector))

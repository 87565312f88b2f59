"""Recognises faces that were there before: by place, size and, among several, appearance."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.optimize

from ast_net.faces import detection, patches

# A face may come back at a distance of this many times its own size, plus so many for every second
# that it was away; and larger or smaller by this factor, which grows in the same way.
_REACH, _REACH_GROWTH = 1.0, 1.0
_RATIO, _RATIO_GROWTH = 1.5, 0.25
# Pixels. A coarse picture, so that an expression or an uncertain box changes little.
_APPEARANCE_SIZE = 16
# People who change places differ by 0.7 and more in correlation, and by at most 1 in place.
_APPEARANCE_WEIGHT = 2.0
_IMPOSSIBLE = 1e6


@dataclasses.dataclass(eq=False)
class FollowedFace:
    """A face that is being followed, or was lost lately.

    Attributes:
      face_id: its number.
      face: where it was last seen.
      last_seen: when that was, in seconds.
      appearance: what `appearance` gave when a detection last confirmed the face.
      misses: how many detections in a row did not find it.
    """

    face_id: int
    face: detection.Face
    last_seen: float
    appearance: np.ndarray
    misses: int = 0


def appearance(image: np.ndarray, face: detection.Face) -> np.ndarray:
    """What a face looks like: its grey values as a vector [256] of mean 0 and length 1.

    The product of two of them is their correlation. In a film that was tried it was above 0.9 from
    frame to frame for one person, and about 0 between people; light and pose can bring it to 0.3.
    """
    corners = np.concatenate([face.box[:2], face.box[:2] + face.box[2:]])
    squares = patches.squares_around(corners[np.newaxis].astype(float), _APPEARANCE_SIZE)
    grey = patches.cut(image, squares, _APPEARANCE_SIZE)[0].mean(axis=2).ravel()
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def shared_area(a: np.ndarray, b: np.ndarray) -> float:
    """The area that two boxes share; each is x, y, width, height [4] in pixels."""
    ends = np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    return float(np.prod(np.maximum(ends - np.maximum(a[:2], b[:2]), 0)))


def overlap(a: detection.Face, b: detection.Face) -> float:
    """Intersection over union of two faces' boxes."""
    both = shared_area(a.box, b.box)
    return float(both / (np.prod(a.box[2:]) + np.prod(b.box[2:]) - both))


def recognise(
    lost: Sequence[FollowedFace],
    faces: Sequence[detection.Face],
    appearances: Sequence[np.ndarray],
    timestamp: float,
) -> list[FollowedFace | None]:
    """Matches each new face to the lost face that it is; None if it is none of them.

    A face must be near where it was lost and about as large. Where several come into question, all
    are assigned at once (the Hungarian method), so that place and appearance fit best. Appearance
    decides between faces but excludes none: whoever takes a lost face's place in time, and alone,
    is taken for it.

    Args:
      lost: the faces that were lost.
      faces: the K new faces.
      appearances: what `appearance` gives for each of the K.
      timestamp: of the frame that shows the new faces, in seconds.
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
    """0 for the same place and appearance; up to 1 for the place, plus twice (1 - correlation)."""
    absence = timestamp - lost_face.last_seen
    before, now = lost_face.face.box.astype(float), face.box.astype(float)
    sizes = [max(1.0, float(np.sqrt(np.prod(box[2:])))) for box in (before, now)]
    distance = np.linalg.norm(before[:2] + before[2:] / 2 - now[:2] - now[2:] / 2)
    reach = (_REACH + _REACH_GROWTH * absence) * float(np.mean(sizes))
    if distance > reach or max(sizes) / min(sizes) > _RATIO + _RATIO_GROWTH * absence:
        return _IMPOSSIBLE
    return float(distance / reach + _APPEARANCE_WEIGHT * (1 - lost_face.appearance @ vector))

"""Whether a face is one that was there before: by its place, its size and, if several may be it, its looks."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.optimize

from ast_net.faces import detection, patches

# A face may come back as far from where it was as its own size times the first number, and the second
# for every second that it was away; and larger or smaller by a factor of so much.
_REACH, _REACH_GROWTH = 1.0, 1.0
_RATIO, _RATIO_GROWTH = 1.5, 0.25
# Pixels: what is compared is coarse, so that an expression or an uncertain box changes little.
_LOOKS_SIZE = 16
# People who change places differ by 0.7 and more in correlation, by 1 at most in place.
_LOOKS_WEIGHT = 2.0
_IMPOSSIBLE = 1e6


@dataclasses.dataclass(eq=False)
class Known:
    """A face that is followed, or was lost lately.

    Attributes:
      face_id: its number.
      face: where it was seen last.
      seen: when that was, in seconds.
      looks: what `looks` gave when a detection last confirmed it.
      misses: how many detections in turn did not find it.
    """

    face_id: int
    face: detection.Face
    seen: float
    looks: np.ndarray
    misses: int = 0


def looks(image: np.ndarray, face: detection.Face) -> np.ndarray:
    """What a face looks like in grey, as a vector [256] of mean 0 and length 1.

    The product of two of them is their correlation. That of one person's in a film that was tried is
    above 0.9 from frame to frame, and about 0 between people; light and pose can bring it to 0.3.
    """
    corners = np.concatenate([face.box[:2], face.box[:2] + face.box[2:]])
    square = patches.squares_around(corners[np.newaxis].astype(float), _LOOKS_SIZE)[0]
    grey = patches.cut(image, square, _LOOKS_SIZE).mean(axis=2).ravel()
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def overlap(a: detection.Face, b: detection.Face) -> float:
    """Intersection over union of two faces' boxes."""
    first, second = a.box, b.box
    ends = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    both = np.prod(np.maximum(ends - np.maximum(first[:2], second[:2]), 0))
    return float(both / (np.prod(first[2:]) + np.prod(second[2:]) - both))


def recognise(
    lost: Sequence[Known],
    faces: Sequence[detection.Face],
    looks_of_faces: Sequence[np.ndarray],
    timestamp: float,
) -> list[Known | None]:
    """Which of the lost faces each new one is; None if it is none of them.

    A face must be near where it was lost and about as large. Where several may be the same, all are
    assigned at once (the Hungarian method) so that places and looks fit best. Looks decide between faces,
    they exclude none: who takes a lost face's place in time, and alone, is taken for it.
    """
    if not lost or not faces:
        return [None] * len(faces)
    costs = np.array(
        [
            [_strangeness(known, face, of_face, timestamp) for known in lost]
            for face, of_face in zip(faces, looks_of_faces, strict=True)
        ]
    )
    found: list[Known | None] = [None] * len(faces)
    for k, j in zip(*scipy.optimize.linear_sum_assignment(costs), strict=True):
        if costs[k, j] < _IMPOSSIBLE:
            found[k] = lost[j]
    return found


def _strangeness(
    known: Known, face: detection.Face, of_face: np.ndarray, timestamp: float
) -> float:
    """0 for the same place and looks; up to 1 for the place, and twice what correlation lacks of 1."""
    absence = timestamp - known.seen
    before, now = known.face.box.astype(float), face.box.astype(float)
    sizes = [max(1.0, float(np.sqrt(np.prod(box[2:])))) for box in (before, now)]
    distance = np.linalg.norm(before[:2] + before[2:] / 2 - now[:2] - now[2:] / 2)
    reach = (_REACH + _REACH_GROWTH * absence) * float(np.mean(sizes))
    if distance > reach or max(sizes) / min(sizes) > _RATIO + _RATIO_GROWTH * absence:
        return _IMPOSSIBLE
    return float(distance / reach + _LOOKS_WEIGHT * (1 - known.looks @ of_face))

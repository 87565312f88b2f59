"""Tells people apart: notices who replaces whom, and recognises returning faces.

Returning faces are recognised by position and size, and by appearance if there are several.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ast_net.faces import appearances, detection

# A returning face may be at most this far from where it was lost, in multiples of its size, plus
# the growth for every second of absence.
_REACH, _REACH_GROWTH = 1.0, 1.0
# A returning face may be larger or smaller by at most this factor, plus the growth for every
# second.
_RATIO, _RATIO_GROWTH = 1.5, 0.25
# Makes appearance outweigh position: the correlations of different people differ by 0.7 or more,
# and the position costs at most 1.
_APPEARANCE_WEIGHT = 2.0
_IMPOSSIBLE = 1e6
# Seconds between two remembered appearances of a face, and how long they are remembered. Dissolves
# that take less than half of this are noticed.
_REMEMBER_EVERY, _REMEMBER_SECONDS = 0.25, 2.0
# A face has gradually become another one when this many remembered appearances in a row differ from
# the oldest one. By then a dissolve of a second is over, and a hand that passed is gone.
_MIN_DIFFERENT = 3


@dataclasses.dataclass(eq=False)
class FollowedFace:
    """A face that is being tracked, or was lost recently.

    Attributes:
      face_id: the number of the face.
      face: its last position.
      appearance: its appearance there.
      last_seen: time of that position, in seconds.
      remembered: its appearances of the last two seconds, the oldest first.
      misses: number of detections in a row that did not find it.
      different: how many of the latest remembered appearances differ from the oldest one.
    """

    face_id: int
    face: detection.Face
    appearance: appearances.Appearance
    last_seen: float = dataclasses.field(init=False)
    remembered: list[appearances.Appearance] = dataclasses.field(init=False)
    misses: int = 0
    different: int = 0

    def __post_init__(self) -> None:
        self.last_seen, self.remembered = self.appearance.timestamp, [self.appearance]

    def move(self, face: detection.Face, now: appearances.Appearance) -> bool:
        """Moves to the position of the face in the next frame, unless it is another person's.

        Returns:
          False if another person is there: since the last frame, or gradually within two seconds.
        """
        if self.differs(now):
            return False
        self.face, self.appearance, self.last_seen = face, now, now.timestamp
        if now.timestamp - self.remembered[-1].timestamp >= _REMEMBER_EVERY:
            self._remember(now)
        if self.different < _MIN_DIFFERENT or not appearances.shows_dissolve(self.remembered):
            return True
        # The later ones may be of the other person.
        del self.remembered[1:]
        self.appearance = self.remembered[0]
        return False

    def differs(self, now: appearances.Appearance) -> bool:
        """Returns whether a face is clearly another person's, by all remembered appearances."""
        return appearances.is_another_person([self.appearance, *self.remembered], now)

    def resemblance(self, now: appearances.Appearance) -> float:
        """Returns the correlation of a face with the oldest remembered appearance, in [-1, 1].

        If another face has just come close, it is not yet part of that appearance. In one video the
        correlation was above 0.9 between successive frames of the same person and about 0 between
        different people. Changes of light and pose can lower it to 0.3.
        """
        return float(self.remembered[0].grey @ now.grey)

    def _remember(self, now: appearances.Appearance) -> None:
        differs = appearances.is_another_person(self.remembered[:1], now)
        self.different = self.different + 1 if differs else 0
        self.remembered.append(now)
        while now.timestamp - self.remembered[0].timestamp > _REMEMBER_SECONDS:
            del self.remembered[0]


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
    looks: Sequence[appearances.Appearance],
) -> list[FollowedFace | None]:
    """Matches new faces to lost faces.

    A returning face must be near the position where it was lost and about as large, and must not be
    clearly another person's (`appearances.is_another_person`). If there are several candidates, all
    faces are assigned together (Hungarian method), with the best total of position and appearance.

    Args:
      lost: the faces that were lost.
      faces: the K new faces.
      looks: the appearance of each of the K faces.

    Returns:
      The lost face that each of the K faces is; None for a new person.
    """
    if not lost:
        return [None] * len(faces)
    import scipy.optimize  # Takes a quarter of a second, and many films never need it.

    pairs = zip(faces, looks, strict=True)
    rows = [[_cost(lost_face, *pair) for lost_face in lost] for pair in pairs]
    costs = np.reshape(rows, (len(faces), len(lost)))
    matches: list[FollowedFace | None] = [None] * len(faces)
    for k, j in zip(*scipy.optimize.linear_sum_assignment(costs), strict=True):
        if costs[k, j] < _IMPOSSIBLE:
            matches[k] = lost[j]
    return matches


def _cost(
    lost_face: FollowedFace, face: detection.Face, appearance: appearances.Appearance
) -> float:
    """The cost of a match: 0 to 1 for the distance, plus twice (1 - correlation)."""
    absence = appearance.timestamp - lost_face.last_seen
    before, now = lost_face.face.box.astype(float), face.box.astype(float)
    sizes = [max(1.0, float(np.sqrt(np.prod(box[2:])))) for box in (before, now)]
    distance = np.linalg.norm(before[:2] + before[2:] / 2 - now[:2] - now[2:] / 2)
    reach = (_REACH + _REACH_GROWTH * absence) * float(np.mean(sizes))
    if distance > reach or max(sizes) / min(sizes) > _RATIO + _RATIO_GROWTH * absence:
        return _IMPOSSIBLE
    if lost_face.differs(appearance):
        return _IMPOSSIBLE
    return float(distance / reach + _APPEARANCE_WEIGHT * (1 - lost_face.resemblance(appearance)))

"""Follows the faces of a video from frame to frame: MTCNN finds them, its O-Net follows them."""

import sys
from typing import NamedTuple

import numpy as np

from ast_net import config
from ast_net.faces import detection, identities

# A detected and a followed box are the same face if they share this much of their union.
_SAME_FACE = 0.3
# Two followed boxes that share this much have run into one face.
_MERGED = 0.6
# That face is the other one if its appearance correlates better with the other one by this much.
_CLEARLY = 0.1
# Seconds by which a detection may be early: containers round the times of frames to milliseconds.
_EARLY = 1e-3
# One of several faces is given up after this many detections in a row that do not find it.
_PATIENCE = 2


class TrackedFace(NamedTuple):
    """A face of a frame, and its number: from 0, the same as long as it is the same face."""

    face_id: int
    face: detection.Face


class FaceTracker:
    """Follows the faces of a video, one frame after the other, and never looks ahead.

    A frame costs one small network: O-Net looks where the faces were. MTCNN searches the whole
    picture when O-Net no longer sees one of the faces; every `redetect_every` seconds, to find
    others and to check those that are followed; and every `search_every` seconds while there is no
    face, or room for one that was lost. A face that is confirmed keeps its box, as a jump of the
    box would move the landmarks. If a detection does not find a face, there is another one
    `search_every` seconds later; if that fails, too, the face is given up.

    A single face (max_faces=1) is the most prominent one, and is kept even if another one grows. It
    is given up as soon as one detection misses it; then the most prominent of the others is next.

    A face that comes back within `identity_seconds`, near where it was and about as large, gets its
    number again (`identities.recognise`); later than that it gets a new one. If two faces run into
    one place, one hides the other: what is seen there keeps the number of the face it looks like,
    if that is clear, otherwise the older one's. If one face takes another's place from one frame to
    the next, as at a film's cuts, this is not noticed.

    Args:
      detector: finds faces.
      settings: when to detect, and what counts as a face.
      max_faces: how many faces are followed at most, the most prominent ones first; None for all.
      identity_seconds: how long a face may be away and still be the same.
    """

    def __init__(
        self,
        detector: detection.FaceDetector,
        settings: config.Tracking,
        max_faces: int | None = 1,
        identity_seconds: float = 2.0,
    ) -> None:
        self._detector = detector
        self._settings = settings
        self._max_faces = sys.maxsize if max_faces is None else max_faces
        self._identity_seconds = identity_seconds
        self._followed: list[identities.FollowedFace] = []
        self._lost: list[identities.FollowedFace] = []
        self._next_id = 0
        self._next_detection = -np.inf

    def update(self, image: np.ndarray, timestamp: float) -> list[TrackedFace]:
        """Returns the faces of the next frame, in the order of their numbers.

        Args:
          image: uint8 RGB [H, W, 3].
          timestamp: of the frame, in seconds.
        """
        # Before this frame's faces are followed: one that it loses may be found again in it,
        # however short `identity_seconds` is.
        limit = self._identity_seconds
        self._lost = [lost for lost in self._lost if timestamp - lost.last_seen <= limit]
        if self._followed:
            self._follow(image, timestamp)
        if timestamp >= self._next_detection - _EARLY:
            self._detect(image, timestamp)
            room = len(self._followed) < self._max_faces
            doubtful = any(followed.misses for followed in self._followed)
            soon = not self._followed or (self._lost and room) or doubtful
            settings = self._settings
            wait = settings.search_every if soon else settings.redetect_every
            self._next_detection = timestamp + wait
        self._followed.sort(key=lambda followed: followed.face_id)
        return [TrackedFace(followed.face_id, followed.face) for followed in self._followed]

    def _follow(self, image: np.ndarray, timestamp: float) -> None:
        boxes = np.stack([followed.face.box for followed in self._followed])
        faces = self._detector.refine(image, boxes)
        kept: list[tuple[identities.FollowedFace, detection.Face]] = []
        for followed, face in zip(self._followed, faces, strict=True):
            if face.confidence < self._settings.min_confidence:
                self._lost.append(followed)
                self._next_detection = timestamp
                continue
            for k, (other, face_of_other) in enumerate(kept):
                if identities.overlap(face, face_of_other) > _MERGED:
                    seen = identities.appearance(image, face_of_other)
                    hidden = followed
                    if followed.appearance @ seen > other.appearance @ seen + _CLEARLY:
                        kept[k], hidden = (followed, face), other
                    self._lost.append(hidden)
                    soon = timestamp + self._settings.search_every
                    self._next_detection = min(self._next_detection, soon)
                    break
            else:
                kept.append((followed, face))
        for followed, face in kept:
            followed.face, followed.last_seen = face, timestamp
        self._followed = [followed for followed, _ in kept]

    def _detect(self, image: np.ndarray, timestamp: float) -> None:
        faces = self._detector.detect(image, self._settings.min_face_fraction)
        faces = [face for face in faces if face.confidence >= self._settings.min_confidence]
        patience = 1 if self._max_faces == 1 else _PATIENCE
        for followed in self._followed:
            if any(identities.overlap(face, followed.face) > _SAME_FACE for face in faces):
                followed.misses = 0
                followed.appearance = identities.appearance(image, followed.face)
            else:
                followed.misses += 1
        self._lost += [followed for followed in self._followed if followed.misses >= patience]
        self._followed = [followed for followed in self._followed if followed.misses < patience]
        current = [followed.face for followed in self._followed]
        new = [a for a in faces if all(identities.overlap(a, b) <= _SAME_FACE for b in current)]
        new.sort(key=lambda face: -prominence(face, image.shape))
        new = new[: self._max_faces - len(current)]
        # Those that were lost before get their numbers again.
        appearances = [identities.appearance(image, face) for face in new]
        matches = identities.recognise(self._lost, new, appearances, timestamp)
        for face, appearance, lost in zip(new, appearances, matches, strict=True):
            if lost is None:
                face_id, self._next_id = self._next_id, self._next_id + 1
            else:
                self._lost.remove(lost)
                face_id = lost.face_id
            self._followed.append(identities.FollowedFace(face_id, face, timestamp, appearance))


def prominence(face: detection.Face, shape: tuple[int, ...]) -> float:
    """How much a face is the subject of a picture of shape [H, W, ...]; the largest value wins.

    The geometric mean of its width and height, times its confidence, times a centrality that falls
    from 1 in the middle of the picture to 1/2 in its corners.
    """
    size = np.array(shape[1::-1], np.float64)
    centre = face.box[:2] + face.box[2:] / 2
    distance = np.linalg.norm(centre - size / 2) / np.linalg.norm(size / 2)
    return float(np.sqrt(np.prod(face.box[2:])) * face.confidence * (1 - 0.5 * distance))

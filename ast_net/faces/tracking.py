"""Tracks the faces of a video: MTCNN detects them, its O-Net follows them in between."""

import sys
from typing import NamedTuple

import numpy as np

from ast_net import config
from ast_net.faces import appearances, detection, identities

# If the overlap (intersection over union) of a detected and a followed box exceeds this, they are
# the same face.
_SAME_FACE_OVERLAP = 0.3
# If the overlap of two followed boxes exceeds this, both have ended up on the same face.
_MERGED_OVERLAP = 0.6
# That face then belongs to the newer track only if its appearance correlates better by this much.
_APPEARANCE_MARGIN = 0.1
# Seconds by which a detection may be early: containers round the times of frames to milliseconds.
_TIME_TOLERANCE = 1e-3
# When several faces are tracked, one is dropped after this many detections in a row without it.
_MAX_MISSES = 2


class TrackedFace(NamedTuple):
    """A face in a frame, and its number. Numbers start at 0; a face keeps its number."""

    face_id: int
    face: detection.Face


class FaceTracker:
    """Tracks the faces of a video, frame by frame, without looking ahead.

    For most frames only a small network runs: O-Net, at the positions of the previous frame. MTCNN
    searches the whole frame

    - when O-Net has lost one of the faces, or finds another person in its place;
    - every `redetect_every` seconds, to find new faces and to check the tracked ones; if there are
      `max_faces` already, it searches only around them;
    - every `search_every` seconds while there is no face, or while a face is lost and fewer than
      `max_faces` are tracked.

    A face that MTCNN confirms keeps O-Net's box, because a jump of the box would move the
    landmarks. If MTCNN misses a tracked face, it runs again `search_every` seconds later. If it
    misses the face again, the face is dropped.

    With max_faces=1, the most prominent face is tracked, even if another one becomes larger later.
    It is dropped when MTCNN misses it once; then the most prominent of the other faces is next.

    A lost face that returns within `identity_seconds`, near its last position and about as large,
    gets its old number (`identities.recognise`); otherwise it gets a new one. When two tracked
    faces end up at the same position, one hides the other. The visible face then keeps the number
    of the face that it clearly resembles, or else of the older track.

    If another person takes the place of a tracked face, in a cut or in a dissolve of up to a
    second, that person is detected in the same frame and gets a new number. This needs a clear
    difference (`appearances.is_another_person`): a face that looks much like the other one, or that
    appears in another pose at the end of a dissolve, keeps the number.

    Args:
      detector: the face detector.
      settings: when to detect faces, and what counts as a face.
      max_faces: maximum number of faces to track, the most prominent first; None for all.
      identity_seconds: longest absence, in seconds, after which a face keeps its number.
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
          timestamp: time of the frame, in seconds.
        """
        # Forget old lost faces first: a face that is lost in this frame may be detected again in
        # the same frame, however short `identity_seconds` is.
        limit = self._identity_seconds
        self._lost = [lost for lost in self._lost if timestamp - lost.last_seen <= limit]
        if self._followed:
            self._follow(image, timestamp)
        if timestamp >= self._next_detection - _TIME_TOLERANCE:
            self._detect(image, timestamp)
            has_room = len(self._followed) < self._max_faces
            doubtful = any(followed.misses for followed in self._followed)
            searching = not self._followed or (self._lost and has_room) or doubtful
            settings = self._settings
            wait = settings.search_every if searching else settings.redetect_every
            self._next_detection = timestamp + wait
        self._followed.sort(key=lambda followed: followed.face_id)
        return [TrackedFace(followed.face_id, followed.face) for followed in self._followed]

    def _follow(self, image: np.ndarray, timestamp: float) -> None:
        """Moves the tracked faces to their positions in the next frame, with O-Net."""
        boxes = np.stack([followed.face.box for followed in self._followed])
        faces = self._detector.refine(image, boxes)
        kept: list[tuple[identities.FollowedFace, detection.Face]] = []
        for followed, face in zip(self._followed, faces, strict=True):
            if face.confidence < self._settings.min_confidence:
                self._lost.append(followed)
                self._next_detection = timestamp
                continue
            # The faces in `kept` have lower numbers: they appeared earlier.
            for k, (older, older_face) in enumerate(kept):
                if identities.overlap(face, older_face) > _MERGED_OVERLAP:
                    visible = appearances.measure(image, older_face, timestamp)
                    margin = followed.resemblance(visible) - older.resemblance(visible)
                    hidden = followed
                    if margin > _APPEARANCE_MARGIN:
                        kept[k], hidden = (followed, face), older
                    self._lost.append(hidden)
                    next_search = timestamp + self._settings.search_every
                    self._next_detection = min(self._next_detection, next_search)
                    break
            else:
                kept.append((followed, face))
        self._followed = []
        for followed, face in kept:
            if followed.move(face, appearances.measure(image, face, timestamp)):
                self._followed.append(followed)
            else:
                self._lost.append(followed)
                self._next_detection = timestamp

    def _detect(self, image: np.ndarray, timestamp: float) -> None:
        """Searches with MTCNN: confirms or drops the tracked faces, and adds new ones."""
        if len(self._followed) == self._max_faces and self._all_confirmed(image):
            return
        faces = self._confident(self._detector.detect(image, self._settings.min_face_fraction))
        max_misses = 1 if self._max_faces == 1 else _MAX_MISSES
        for followed in self._followed:
            followed.misses = 0 if _shows(faces, followed.face) else followed.misses + 1
        self._lost += [followed for followed in self._followed if followed.misses >= max_misses]
        self._followed = [followed for followed in self._followed if followed.misses < max_misses]
        # Faces that do not overlap with a tracked one are new; the most prominent are added.
        current = [followed.face for followed in self._followed]
        new = [
            face
            for face in faces
            if all(identities.overlap(face, other) <= _SAME_FACE_OVERLAP for other in current)
        ]
        new.sort(key=lambda face: -prominence(face, image.shape))
        new = new[: self._max_faces - len(current)]
        # Returning faces get their old numbers.
        looks = [appearances.measure(image, face, timestamp) for face in new]
        matches = identities.recognise(self._lost, new, looks)
        for face, appearance, lost in zip(new, looks, matches, strict=True):
            if lost is None:
                face_id, self._next_id = self._next_id, self._next_id + 1
            else:
                self._lost.remove(lost)
                face_id = lost.face_id
            self._followed.append(identities.FollowedFace(face_id, face, appearance))

    def _all_confirmed(self, image: np.ndarray) -> bool:
        """Searches around each tracked face, and confirms them if all are found.

        If not, only a search of the whole frame can tell what has become of them.
        """
        for followed in self._followed:
            box, smallest = followed.face.box, self._settings.min_face_fraction
            near = self._confident(self._detector.detect_near(image, box, smallest))
            if not _shows(near, followed.face):
                return False
        for followed in self._followed:
            followed.misses = 0
        return True

    def _confident(self, faces: list[detection.Face]) -> list[detection.Face]:
        return [face for face in faces if face.confidence >= self._settings.min_confidence]


def _shows(faces: list[detection.Face], tracked: detection.Face) -> bool:
    """Returns whether one of the detected faces is a tracked one."""
    return any(identities.overlap(face, tracked) > _SAME_FACE_OVERLAP for face in faces)


def prominence(face: detection.Face, shape: tuple[int, ...]) -> float:
    """Returns how prominent a face is in a picture of shape [H, W, ...], in pixels.

    The value is the geometric mean of width and height, times the confidence, times a weight that
    falls from 1 in the middle of the picture to 1/2 in its corners.
    """
    size = np.array(shape[1::-1], np.float64)
    centre = face.box[:2] + face.box[2:] / 2
    distance = np.linalg.norm(centre - size / 2) / np.linalg.norm(size / 2)
    return float(np.sqrt(np.prod(face.box[2:])) * face.confidence * (1 - 0.5 * distance))

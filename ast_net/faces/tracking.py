"""The faces of a video, frame by frame: found by MTCNN, followed by its O-Net; one of them in a cache."""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np
import tqdm
from absl import logging

from ast_net import config, errors, files
from ast_net.faces import detection, identities, video

# Part of the cache's key: raise it with every change of this folder's code that moves a landmark.
TRACK_VERSION = 1

# A detected and a followed box are the same face if they share this much of their union.
_SAME_FACE = 0.3
# Two followed boxes that share this much have run into one face.
_MERGED = 0.6
# It is the other one's by its looks if these correlate better by so much.
_CLEARLY = 0.1
# Of several faces one is given up when so many detections in turn do not find it.
_PATIENCE = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One face over the T frames of a video. Frames without it keep their place, with zeros.

    Attributes:
      timestamps: seconds, strictly increasing, float64 [T].
      valid: whether the frame shows the face, bool [T].
      confidence: the probability of a face, in [0, 1], float32 [T].
      boxes: x, y, width, height in pixels, float32 [T, 4].
      landmarks: x, y in pixels, as in `detection.Face`, float32 [T, 5, 2].
    """

    timestamps: np.ndarray
    valid: np.ndarray
    confidence: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray

    def __len__(self) -> int:
        return len(self.timestamps)


# Type and shape after [T] of each of a track's arrays.
_LAYOUT: dict[str, tuple[type, tuple[int, ...]]] = {
    "timestamps": (np.float64, ()),
    "valid": (np.bool_, ()),
    "confidence": (np.float32, ()),
    "boxes": (np.float32, (4,)),
    "landmarks": (np.float32, (5, 2)),
}


class TrackedFace(NamedTuple):
    """A face of a frame: from 0, the same number as long as it is the same face."""

    face_id: int
    face: detection.Face


class FaceTracker:
    """Follows the faces of a video, one frame after the other, never looking ahead.

    A frame costs one small network: O-Net looks where the faces were. MTCNN searches the picture when
    O-Net no longer sees one of them, and every `redetect_every` frames, to find others and to ask whether
    what is followed is still a face; every `search_every` frames while there is none, or while there is
    room for one that was just lost. What is confirmed keeps its place, for a jump of the box would move
    the landmarks. What one detection does not find, a second one `search_every` frames later may still
    find; then it is given up.

    One face alone (max_faces=1) is the most prominent one, and it stays the one, also when another grows.
    It is given up at once if a detection finds it no more; then the most prominent of the others follows.

    A face that comes back within `identity_seconds` near where it was, and about as large, has its
    number again (`identities.recognise`); later it is a new one. Of two that run into one place, one is
    hidden behind the other: the number is that of the face it looks like, if that is clear, or the older one.
    Not noticed is a face that takes another one's place from one frame to the next, as at a film's cuts.

    Args:
      detector: finds faces.
      tracking: when to detect, and what counts as a face.
      max_faces: how many faces are followed, the most prominent ones as long as there is room; None for all.
      identity_seconds: how long a face may be away and still be the same.
    """

    def __init__(
        self,
        detector: detection.FaceDetector,
        tracking: config.Tracking,
        max_faces: int | None = 1,
        identity_seconds: float = 2.0,
    ) -> None:
        self._detector = detector
        self._tracking = tracking
        self._max_faces = max_faces
        self._identity_seconds = identity_seconds
        self._followed: list[identities.Known] = []
        self._lost: list[identities.Known] = []
        self._next_id = 0
        self._frames_to_detection = 0

    def update(self, image: np.ndarray, timestamp: float) -> list[TrackedFace]:
        """The faces in the next frame, uint8 RGB [H, W, 3], at a time in seconds, in the order of their ids."""
        # Those that this very frame loses may be found again in it, however short the time.
        self._lost = [
            known for known in self._lost if timestamp - known.seen <= self._identity_seconds
        ]
        if self._followed:
            self._follow(image, timestamp)
        if self._frames_to_detection <= 0:
            self._detect(image, timestamp)
            self._frames_to_detection = self._frames_between_detections()
        self._frames_to_detection -= 1
        return [TrackedFace(known.face_id, known.face) for known in self._followed]

    def _follow(self, image: np.ndarray, timestamp: float) -> None:
        boxes = np.stack([known.face.box for known in self._followed])
        faces = self._detector.refine(image, boxes)
        kept: list[tuple[identities.Known, detection.Face]] = []
        for known, face in zip(self._followed, faces, strict=True):
            if face.confidence < self._tracking.min_confidence:
                self._lost.append(known)
                self._frames_to_detection = 0
                continue
            for k, (other, face_of_other) in enumerate(kept):
                if identities.overlap(face, face_of_other) > _MERGED:
                    seen = identities.looks(image, face_of_other)
                    hidden = known
                    if known.looks @ seen > other.looks @ seen + _CLEARLY:
                        kept[k], hidden = (known, face), other
                    self._lost.append(hidden)
                    soon = min(self._frames_to_detection, self._tracking.search_every)
                    self._frames_to_detection = soon
                    break
            else:
                kept.append((known, face))
        for known, face in kept:
            known.face, known.seen = face, timestamp
        self._followed = sorted((known for known, _ in kept), key=lambda known: known.face_id)

    def _detect(self, image: np.ndarray, timestamp: float) -> None:
        faces = self._detector.detect([image], self._tracking.min_face_fraction)[0]
        faces = [face for face in faces if face.confidence >= self._tracking.min_confidence]
        patience = 1 if self._max_faces == 1 else _PATIENCE
        for known in list(self._followed):
            if any(identities.overlap(face, known.face) > _SAME_FACE for face in faces):
                known.misses = 0
                known.looks = identities.looks(image, known.face)
            else:
                known.misses += 1
                if known.misses >= patience:
                    self._followed.remove(known)
                    self._lost.append(known)
        new = [
            face
            for face in faces
            if all(identities.overlap(face, known.face) <= _SAME_FACE for known in self._followed)
        ]
        new.sort(key=lambda face: -prominence(face, image.shape))
        self._welcome(image, timestamp, new[: self._room()])

    def _welcome(self, image: np.ndarray, timestamp: float, faces: list[detection.Face]) -> None:
        """Follows faces that were not followed, those that were lost by their numbers."""
        all_looks = [identities.looks(image, face) for face in faces]
        recognised = identities.recognise(self._lost, faces, all_looks, timestamp)
        for face, of_face, known in zip(faces, all_looks, recognised, strict=True):
            if known is None:
                face_id, self._next_id = self._next_id, self._next_id + 1
            else:
                self._lost.remove(known)
                face_id = known.face_id
            self._followed.append(identities.Known(face_id, face, timestamp, of_face))
        self._followed.sort(key=lambda known: known.face_id)

    def _room(self) -> int | None:
        """How many more faces may be followed; None for any number."""
        return None if self._max_faces is None else self._max_faces - len(self._followed)

    def _frames_between_detections(self) -> int:
        searching = self._lost and self._room() != 0
        doubtful = any(known.misses for known in self._followed)
        if not self._followed or searching or doubtful:
            return self._tracking.search_every
        return self._tracking.redetect_every


def prominence(face: detection.Face, shape: tuple[int, ...]) -> float:
    """How much a face is the subject of a picture of shape [H, W, ...]; the largest wins.

    The geometric mean of its width and height, times its confidence, times a centrality that falls from
    1 in the middle of the picture to 1/2 in its corners.
    """
    size = np.array(shape[1::-1], np.float64)
    centre = face.box[:2] + face.box[2:] / 2
    distance = np.linalg.norm(centre - size / 2) / np.linalg.norm(size / 2)
    return float(np.sqrt(np.prod(face.box[2:])) * face.confidence * (1 - 0.5 * distance))


def track_video(
    path: str | os.PathLike,
    tracking: config.Tracking,
    detector: detection.FaceDetector | None = None,
    progress: bool = True,
) -> Track:
    """Follows the most prominent face through a video.

    Args:
      path: the video.
      tracking: when to detect, and what counts as a face.
      detector: one that exists already; by default one is made.
      progress: whether a bar shows how far it is.

    Raises:
      InputError: the video cannot be read.
    """
    tracker = FaceTracker(detector or detection.FaceDetector(), tracking)
    rows: dict[str, list] = {name: [] for name in _LAYOUT}
    nothing = detection.Face(np.zeros(4), 0.0, np.zeros((5, 2)))
    frames = tqdm.tqdm(
        video.read_frames(path),
        f"{pathlib.Path(path).name}: faces",
        video.expected_frames(path),
        unit="frame",
        leave=False,
        disable=not progress,
    )
    for frame in frames:
        faces = tracker.update(frame.image, frame.timestamp)
        found = faces[0].face if faces else nothing
        values = (frame.timestamp, bool(faces), found.confidence, found.box, found.landmarks)
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)
    return Track(**{name: np.array(rows[name], dtype) for name, (dtype, _) in _LAYOUT.items()})


def save_track(path: str | os.PathLike, track: Track) -> None:
    """Writes a track as npz, whole or not at all."""
    with files.whole(pathlib.Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: getattr(track, name) for name in _LAYOUT})


def load_track(path: str | os.PathLike) -> Track:
    """Reads what save_track wrote.

    Raises:
      InputError: the file is missing, damaged or no track.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            track = Track(**{name: stored[name] for name in _LAYOUT})
    # A damaged zip file shows in all these ways: wrong checksum, unknown compression, short array ...
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise errors.InputError(
            f"{path}: no track of a face ({type(error).__name__}: {error}); track the video again"
        ) from error
    for name, (dtype, shape) in _LAYOUT.items():
        array = getattr(track, name)
        expected = (len(track), *shape)
        if array.dtype != dtype or array.shape != expected:
            raise errors.InputError(
                f"{path}: {name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {expected}; "
                "track the video again"
            )
    return track


def cached_track(
    path: str | os.PathLike,
    cache_dir: str | os.PathLike,
    tracking: config.Tracking,
    detector: detection.FaceDetector | None = None,
    progress: bool = True,
) -> Track:
    """The track of a video from the cache, or computed and put there.

    It is found by the video's content, the settings and TRACK_VERSION, not by the video's name. A
    damaged file of the cache is replaced.

    Args:
      path: the video.
      cache_dir: a folder, made if need be.
      tracking, detector, progress: as for track_video.

    Raises:
      InputError: the video cannot be read.
      OSError: the cache cannot be written.
    """
    cached = pathlib.Path(cache_dir) / f"{_cache_key(path, tracking)}.npz"
    if cached.exists():
        try:
            return load_track(cached)
        except errors.InputError as error:
            logging.warning("%s; the faces of %s are tracked again", error, path)
    track = track_video(path, tracking, detector, progress)
    save_track(cached, track)
    return track


def _cache_key(path: str | os.PathLike, tracking: config.Tracking) -> str:
    content = video.content_digest(path)
    parts = [TRACK_VERSION, content, dataclasses.asdict(tracking)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

"""The face of a video, frame by frame: found by MTCNN, followed by its O-Net, kept in a cache."""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile

import numpy as np
import tqdm
from absl import logging

from ast_net import config, errors, files
from ast_net.faces import detection, video

# Part of the cache's key: raise it with every change of this folder's code that moves a landmark.
TRACK_VERSION = 1

# A detected and a followed box are the same face if they share this much of their union.
_SAME_FACE = 0.3


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


class FaceTracker:
    """Follows the most prominent face of a video, one frame after the other, never looking ahead.

    A frame costs one small network: O-Net looks where the face was. MTCNN searches the picture when
    O-Net no longer sees a face, every `search_every` frames while there is none, and every
    `redetect_every` frames to ask whether what is followed is still a face. In the last case the face
    keeps its place, for a jump of the box would move the landmarks; if MTCNN finds only others, the
    most prominent of them is followed from there on.
    """

    def __init__(self, detector: detection.FaceDetector, tracking: config.Tracking) -> None:
        self._detector = detector
        self._tracking = tracking
        self._face: detection.Face | None = None
        self._frames_to_detection = 0

    def update(self, image: np.ndarray) -> detection.Face | None:
        """The face in the next frame, uint8 RGB [H, W, 3]; None if there is none."""
        followed = None
        if self._face is not None:
            followed = self._detector.refine(image, self._face.box[np.newaxis])[0]
            if followed.confidence < self._tracking.min_confidence:
                followed, self._frames_to_detection = None, 0
        if self._frames_to_detection <= 0:
            followed = self._detect(image, followed)
            found = followed is not None
            self._frames_to_detection = (
                self._tracking.redetect_every if found else self._tracking.search_every
            )
        self._frames_to_detection -= 1
        self._face = followed
        return followed

    def _detect(self, image: np.ndarray, followed: detection.Face | None) -> detection.Face | None:
        faces = self._detector.detect([image], self._tracking.min_face_fraction)[0]
        faces = [face for face in faces if face.confidence >= self._tracking.min_confidence]
        if followed is not None and any(_overlap(f.box, followed.box) > _SAME_FACE for f in faces):
            return followed
        return max(faces, key=lambda face: prominence(face, image.shape), default=None)


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
        face = tracker.update(frame.image)
        found = face or nothing
        values = (frame.timestamp, face is not None, found.confidence, found.box, found.landmarks)
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


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    both = np.prod(np.maximum(sides, 0))
    return float(both / (np.prod(a[2:]) + np.prod(b[2:]) - both))

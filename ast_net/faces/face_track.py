"""Tracks one face through a whole video, and saves and caches the track."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
from absl import logging

from ast_net import config, errors, files, screen
from ast_net.faces import detection, tracking, video

# Part of the cache key. Increase it with every change in this folder's code that moves landmarks.
TRACK_VERSION = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One face over the T frames of a video. Frames without the face are kept, filled with zeros.

    Attributes:
      timestamps: seconds, strictly increasing, float64 [T].
      valid: whether the frame shows the face, bool [T].
      confidence: the probability that this is a face, in [0, 1], float32 [T].
      boxes: x, y, width, height in pixels of `video_frame.Frame.image`, float32 [T, 4].
      landmarks: x, y in pixels, as in `detection.Face`, float32 [T, 5, 2].
    """

    timestamps: np.ndarray
    valid: np.ndarray
    confidence: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray

    def __len__(self) -> int:
        return len(self.timestamps)


# Name, type, and shape without [T] of each array of a track.
_LAYOUT = [
    ("timestamps", np.float64, ()),
    ("valid", np.bool_, ()),
    ("confidence", np.float32, ()),
    ("boxes", np.float32, (4,)),
    ("landmarks", np.float32, (5, 2)),
]


def track_video(
    source: video.VideoSource,
    settings: config.Tracking,
    detector: detection.FaceDetector | None = None,
) -> Track:
    """Tracks the most prominent face of a video; damaged frames are not valid.

    Args:
      source: the video.
      settings: when to detect faces, and what counts as a face.
      detector: the face detector to use; None to create one.

    Raises:
      InputError: the video cannot be read.
    """
    tracker = tracking.FaceTracker(detector or detection.FaceDetector(), settings)
    no_face = detection.Face(np.zeros(4), 0.0, np.zeros((5, 2)))
    rows = []
    task = f"tracking the face in {source.path.name}"
    for frame in screen.counted(source.frames(), task, source.frame_count):
        faces = tracker.update(frame.image, frame.timestamp) if frame.usable else []
        face = faces[0].face if faces else no_face
        rows.append((frame.timestamp, bool(faces), face.confidence, face.box, face.landmarks))
    table = np.array(rows, np.dtype(_LAYOUT))
    return Track(*(np.ascontiguousarray(table[name]) for name, _, _ in _LAYOUT))


def save_track(path: pathlib.Path, track: Track) -> None:
    """Writes a track as npz, whole or not at all."""
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **vars(track))


def load_track(path: pathlib.Path) -> Track:
    """Reads a file of `save_track`.

    Raises:
      InputError: the file is missing, damaged or not a track.
    """
    # A damaged zip file raises many kinds of errors: wrong checksum, unknown compression, ...
    with files.reading(path, "a face track", "track the video again"):
        with np.load(path, allow_pickle=False) as stored:
            track = Track(*(stored[name] for name, _, _ in _LAYOUT))
        for name, dtype, shape in _LAYOUT:
            array, expected = getattr(track, name), (len(track), *shape)
            if array.dtype != dtype or array.shape != expected:
                actual = f"{name} is {array.dtype} {array.shape}"
                raise ValueError(f"{actual}, expected {np.dtype(dtype)} {expected}")
        return track


def cached_track(
    source: video.VideoSource,
    cache_dir: pathlib.Path,
    settings: config.Tracking,
    detector: detection.FaceDetector | None = None,
) -> Track:
    """Returns a video's track from the cache; if it is not there, tracks the video and saves it.

    The key consists of the video's content, the settings and TRACK_VERSION, but not the video's
    name. A damaged file in the cache is replaced.

    Args:
      source: the video.
      cache_dir: the folder of the cache, created if necessary.
      settings, detector: as in `track_video`.

    Raises:
      InputError: the video cannot be read.
      OSError: the cache cannot be written.
    """
    key = json.dumps([TRACK_VERSION, source.digest, dataclasses.asdict(settings)], sort_keys=True)
    cached = cache_dir / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    if cached.exists():
        try:
            return load_track(cached)
        except errors.InputError as error:
            logging.warning(f"{error}: doing so now for {source.path}")
    track = track_video(source, settings, detector)
    save_track(cached, track)
    return track

"""One face over a whole video: followed, saved as npz, and cached."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import tqdm
from absl import logging

from ast_net import config, errors, files
from ast_net.faces import detection, tracking, video

# Part of the cache's key: raise it with every change of this folder's code that moves a landmark.
TRACK_VERSION = 2


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


# Name, type, and shape after [T], of each of a track's arrays.
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
    """Follows the most prominent face through a video.

    Args:
      source: the video.
      settings: when to detect, and what counts as a face.
      detector: an existing one; by default one is made.

    Raises:
      InputError: the video cannot be read.
    """
    tracker = tracking.FaceTracker(detector or detection.FaceDetector(), settings)
    nothing = detection.Face(np.zeros(4), 0.0, np.zeros((5, 2)))
    rows = []
    progress = tqdm.tqdm(
        source.frames(), f"{source.path.name}: faces", source.frame_count, unit="frame", leave=False
    )
    for frame in progress:
        faces = tracker.update(frame.image, frame.timestamp)
        face = faces[0].face if faces else nothing
        rows.append((frame.timestamp, bool(faces), face.confidence, face.box, face.landmarks))
    table = np.array(rows, np.dtype(_LAYOUT))
    return Track(*(np.ascontiguousarray(table[name]) for name, _, _ in _LAYOUT))


def save_track(path: pathlib.Path, track: Track) -> None:
    """Writes a track as npz, whole or not at all."""
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **vars(track))


def load_track(path: pathlib.Path) -> Track:
    """Reads what save_track wrote.

    Raises:
      InputError: the file is missing, damaged or not a track.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            track = Track(*(stored[name] for name, _, _ in _LAYOUT))
        for name, dtype, shape in _LAYOUT:
            array, expected = getattr(track, name), (len(track), *shape)
            if array.dtype != dtype or array.shape != expected:
                actual = f"{name} is {array.dtype} {array.shape}"
                raise ValueError(f"{actual}, expected {np.dtype(dtype)} {expected}")
        return track
    # A damaged zip file shows in many ways: wrong checksum, unknown compression, short array ...
    except Exception as error:
        problem = f"{path}: not a readable face track ({type(error).__name__}: {error})"
        raise errors.InputError(f"{problem}; track the video again") from error


def cached_track(
    source: video.VideoSource,
    cache_dir: pathlib.Path,
    settings: config.Tracking,
    detector: detection.FaceDetector | None = None,
) -> Track:
    """Returns the track of a video from the cache, or follows the face and puts the track there.

    The key is the video's content, the settings and TRACK_VERSION; the video's name does not
    matter. A damaged file in the cache is replaced.

    Args:
      source: the video.
      cache_dir: a folder, made if need be.
      settings, detector: as for track_video.

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
            logging.warning(f"{error}; the faces of {source.path} are tracked again")
    track = track_video(source, settings, detector)
    save_track(cached, track)
    return track

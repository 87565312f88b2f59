"""Each recording's records in a file of its own: made whole or not at all, tried twice.

These files become the shards of the data set (`shards`). A preparation that is broken off leaves those that are
finished; the next one makes the others.
"""

import contextlib
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm
from absl import logging

from ast_net import config, errors, files
from ast_net.cnn import backbone, runtime
from ast_net.datasets import annotations
from ast_net.faces import alignment, detection, tracking
from ast_net.records import example_format

ATTEMPTS = 2
# An int8 network is calibrated on so many faces, so many of each recording, and so many frames apart.
CALIBRATION_FACES, CALIBRATION_FACES_EACH, CALIBRATION_STEP = 128, 16, 25
# Ratings this many times as long as the video are not timed in seconds: frames, or milliseconds.
_FAR_TOO_LONG = 10


@dataclasses.dataclass(frozen=True)
class Job:
    """One recording to be made.

    Attributes:
      name: the recording's, P16.
      video: the video file, or a folder of pictures.
      read_gold: the ratings' times float64 [R] in seconds and the gold standard float64 [R, D].
      file: where its records are put, .tfrecord.
    """

    name: str
    video: pathlib.Path
    read_gold: Callable[[], tuple[np.ndarray, np.ndarray]]
    file: pathlib.Path


class Maker:
    """Makes recordings' files; detector and CNN are loaded with the first and kept."""

    def __init__(
        self,
        settings: example_format.RecordsConfig,
        tracks: pathlib.Path,
        videos: Sequence[pathlib.Path],
    ) -> None:
        """Args: settings of the records; the folder where tracks of faces are cached; all videos, in order."""
        self._settings = settings
        self._tracks = tracks
        self._videos = videos

    def make(self, job: Job) -> None:
        """Writes a recording's file, whole or not at all, holding one segment at a time.

        Raises:
          InputError: its video or ratings cannot be read.
          OSError: nothing can be written.
        """
        settings = self._settings
        track = self._track(job.video)
        times, gold = job.read_gold()
        _check_length(job, times, track)
        labels = annotations.resample(times, gold, track.timestamps, settings.max_rating_gap)
        _report(job, times, track, labels)
        faces = alignment.aligned_faces(job.video, track, settings.alignment)
        progress = tqdm.tqdm(
            faces, f"{job.name}: features", len(track.valid), unit="frame", leave=False
        )
        features = runtime.extract(self._extractor, ((face.image, face.valid) for face in progress))
        frames = example_format.Frames(job.name, track.timestamps, track.valid, labels)
        layout = example_format.features_dict(
            backbone.FEATURE_SIZE[settings.backbone], len(settings.targets)
        )
        with files.whole(job.file) as temporary:
            with files.tensorflow_output(job.file):
                writer = tf.io.TFRecordWriter(str(temporary))
            for _, example in example_format.examples(frames, features, settings.overlap):
                with files.tensorflow_output(job.file):
                    writer.write(_serialized(layout, example))
            with files.tensorflow_output(job.file):
                writer.close()

    @functools.cached_property
    def _detector(self):
        return detection.FaceDetector()

    @functools.cached_property
    def _extractor(self) -> runtime.Extractor:
        return self.load_extractor()

    def load_extractor(self) -> runtime.Extractor:
        """The CNN of the settings; an int8 one is calibrated on faces of the first recordings."""
        settings = self._settings
        return runtime.load(
            settings.backbone,
            settings.backbone_weights,
            settings.runtime,
            self._tracks.parent,
            self._calibration_faces,
        )

    def _track(self, video: pathlib.Path) -> tracking.Track:
        return tracking.cached_track(video, self._tracks, self._settings.tracking, self._detector)

    def _calibration_faces(self) -> np.ndarray:
        """Faces of the first recordings, uint8 [n, 224, 224, 3]."""
        size = self._settings.alignment.size
        found: list[np.ndarray] = []
        for video in self._videos:
            # A video that cannot be read is reported when its own turn comes.
            with contextlib.suppress(errors.InputError):
                faces = alignment.aligned_faces(video, self._track(video), self._settings.alignment)
                valid = (face.image for face in faces if face.valid)
                end = CALIBRATION_FACES_EACH * CALIBRATION_STEP
                found.extend(itertools.islice(valid, 0, end, CALIBRATION_STEP))
            if len(found) >= CALIBRATION_FACES:
                break
        return np.array(found[:CALIBRATION_FACES], np.uint8).reshape(-1, size, size, 3)


def attempt(maker: Maker, job: Job) -> str | None:
    """Makes a recording's file and says what stood in the way, if anything did every time.

    Raises:
      OSError: nothing can be written.
    """
    found = ""
    for _ in range(ATTEMPTS):
        try:
            maker.make(job)
            return None
        except errors.InputError as error:
            found = str(error)
        # Whatever it is, the other recordings go on, and the user is told.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in files.DISK_ERRORS:
                raise
            found = f"{job.video}: {type(error).__name__}: {error}"
            logging.debug("%s", job.name, exc_info=True)
        logging.info("%s: %s", job.name, found)
    return found


def make_all(maker: Maker, jobs: Sequence[Job]) -> dict[str, str]:
    """Makes the files one after the other; the errors of those that failed, by their names."""
    found = {job.name: attempt(maker, job) for job in jobs}
    return {name: error for name, error in found.items() if error is not None}


def _serialized(layout: tfds.features.FeaturesDict, example: dict) -> bytes:
    """The same example as the same bytes: TFDS leaves the order of the features to chance."""
    message = tf.train.Example.FromString(layout.serialize_example(example))
    return message.SerializeToString(deterministic=True)


def _check_length(job: Job, times: np.ndarray, track: tracking.Track) -> None:
    """Warns of ratings that go on after the video, and refuses those whose times cannot be its seconds."""
    video, ratings = track.timestamps[-1], times[-1]
    if ratings > _FAR_TOO_LONG * (video + 1):
        raise errors.InputError(
            f"{job.video}: the video ends at {video:.2f} s and its ratings ({job.name}) at {ratings:.2f} s: "
            "expected times in seconds, and a video that is whole"
        )
    if ratings > video + config.MAX_RATING_GAP:
        logging.warning(
            "%s: its ratings go on to %.2f s, but the video ends at %.2f s: is it cut off?",
            job.name,
            ratings,
            video,
        )


def _report(job: Job, times: np.ndarray, track: tracking.Track, labels: np.ndarray) -> None:
    """Says what of a recording cannot be learned from."""
    frames, faces = len(track.valid), int(track.valid.sum())
    if faces == 0:
        logging.warning("%s: no face in any of its %d frames", job.video, frames)
    elif faces < frames:
        logging.info("%s: no face in %d of its %d frames", job.video, frames - faces, frames)
    missing = int(np.isnan(labels).any(axis=1).sum())
    if missing:
        logging.warning(
            "%s: %d of its %d frames have no rating (the ratings run from %.2f s to %.2f s, the video "
            "to %.2f s)",
            job.name,
            missing,
            frames,
            times[0],
            times[-1],
            track.timestamps[-1],
        )

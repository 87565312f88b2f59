"""Each recording's records in a file of its own: made whole or not at all, tried twice.

A preparation that is broken off leaves the files that are finished; the next one makes the others.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import config, errors, files, screen
from ast_net.cnn import backbone, runtime
from ast_net.datasets import annotations, reader
from ast_net.faces import alignment, detection, face_track, video
from ast_net.records import example_format

ATTEMPTS = 2
# Ratings this many times as long as the video are not timed in seconds: frames, or milliseconds.
_FAR_TOO_LONG = 10
# Ratings may go on after the video for so many seconds without a word.
_LATE = 1.0


@dataclasses.dataclass(frozen=True)
class Job:
    """One recording to be made.

    Attributes:
      name: the recording's, P16.
      video: what it is made from: a video file, or a folder of pictures.
      gold: the ratings' times float64 [R] in seconds and the gold standard float64 [R, D]; R = 0
        where there are none.
      file: where its records are put, .tfrecord; .npz beside it has the rest (`write`).
      time_step: seconds between the frames of a clip.
    """

    name: str
    video: pathlib.Path
    gold: reader.Gold
    file: pathlib.Path
    time_step: float


class VideoMaker:
    """Makes recordings' files from videos with one detector and one CNN."""

    def __init__(self, settings: config.Preparation) -> None:
        """Loads detector and CNN.

        Raises:
          InputError: the CNN's weights cannot be used.
        """
        self._settings = settings
        self._detector = detection.FaceDetector()
        self._extractor = runtime.load(
            settings.backbone, settings.backbone_weights, settings.runtime, settings.data_dir
        )

    def make(self, job: Job) -> None:
        """Writes a recording's file, whole or not at all, holding one segment at a time.

        Raises:
          InputError: its video or ratings cannot be read.
          OSError: nothing can be written.
        """
        film = video.open_video(job.video)
        cache = pathlib.Path(self._settings.data_dir) / "tracks"
        faces = face_track.cached_track(film, cache, config.Tracking(), self._detector)
        times, gold = job.gold
        if len(times):
            gap = self._settings.max_rating_gap
            labels = annotations.resample(times, gold, faces.timestamps, gap)
            _check_ratings(job, faces, labels)
        else:
            labels = np.full((len(faces.timestamps), len(self._settings.targets)), np.nan)
        _report_faces(job, faces)
        aligned = alignment.aligned_faces(film, faces, config.Alignment())
        counted = screen.counted(aligned, f"computing features of {job.name}", len(faces.valid))
        features = runtime.extract(self._extractor, ((face.image, face.valid) for face in counted))
        frames = example_format.RecordingFrames(job.name, faces.timestamps, faces.valid, labels)
        write(job, frames, features, self._settings)


def write(
    job: Job,
    frames: example_format.RecordingFrames,
    features: Iterable[np.ndarray],
    settings: config.Preparation,
) -> None:
    """Writes a recording's records, and before them what is looked up without reading features.

    That is NAME.npz: timestamps, valid and labels as of `example_format.RecordingFrames`, and the sums
    over the frames with a face of each feature (total) and of its square (squares).

    Args:
      job: the recording.
      frames: the recording's T frames.
      features: fc6 of each frame in turn, float16 [F].
      settings: backbone, clip and targets of the records.

    Raises:
      OSError: nothing can be written.
    """
    size = backbone.FEATURE_SIZE[settings.backbone]
    layout = example_format.features_dict(size, len(settings.targets))
    total, squares = np.zeros(size), np.zeros(size)

    def summed() -> Iterator[np.ndarray]:
        for valid, row in zip(frames.valid, features):
            if valid:
                total[:] += row
                squares[:] += np.square(row, dtype=np.float64)
            yield row

    overlap = example_format.overlap(frames.timestamps, settings.clip.frames, job.time_step)
    examples = example_format.examples(frames, summed(), overlap)
    file = job.file
    with files.whole(file) as temporary:
        # Only what writes: TensorFlow's errors while the features are computed are other errors.
        with files.tensorflow_output(file):
            writer = tf.io.TFRecordWriter(str(temporary))
        for example in examples:
            with files.tensorflow_output(file):
                message = tf.train.Example.FromString(layout.serialize_example(example))
                # The same example as the same bytes: TFDS leaves the order of the features to chance.
                writer.write(message.SerializeToString(deterministic=True))
        with files.tensorflow_output(file):
            writer.close()
        with files.whole(file.with_suffix(".npz")) as path:
            arrays = {name: getattr(frames, name) for name in ("timestamps", "valid", "labels")}
            np.savez(path, **arrays, total=total, squares=squares)


def attempt(maker: VideoMaker, job: Job) -> str | None:
    """Makes a recording's file and says what stood in the way, if anything did every time.

    Raises:
      OSError: nothing can be written.
    """
    problem = ""
    for number in range(ATTEMPTS):
        if number:
            logging.warning(f"{job.name} failed and is tried again: {problem}")
        try:
            maker.make(job)
            return None
        except errors.InputError as error:
            problem = str(error)
        # Whatever it is, the other recordings go on, and the user is told.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in files.DISK_ERRORS:
                raise
            problem = f"{job.video}: {type(error).__name__}: {error}"
            logging.debug("%s", job.name, exc_info=True)
    return problem


def make_all(make_maker: Callable[[], VideoMaker], jobs: Sequence[Job]) -> dict[str, str]:
    """Makes the files one after the other; returns the errors of those that failed, by their names."""
    maker = make_maker()
    counted = screen.counted(jobs, "preparing recordings", len(jobs), "recordings")
    problems = {job.name: attempt(maker, job) for job in counted}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _check_ratings(job: Job, faces: face_track.Track, labels: np.ndarray) -> None:
    """Refuses ratings whose times cannot be the video's seconds; says what cannot be learned from."""
    end, start, ratings = faces.timestamps[-1], job.gold[0][0], job.gold[0][-1]
    if ratings > _FAR_TOO_LONG * (end + 1):
        raise errors.InputError(
            f"{job.video}: the video ends at {end:.2f} s and its ratings ({job.name}) at {ratings:.2f} s: "
            "expected times in seconds, and a video that is whole"
        )
    if ratings > end + _LATE:
        logging.warning(
            f"{job.name}: its ratings go on to {ratings:.2f} s, but the video ends at {end:.2f} "
            "s: is it cut off?"
        )
    missing = int(np.isnan(labels).any(axis=1).sum())
    if missing:
        logging.warning(
            f"{job.name}: {missing} of its {len(labels)} frames have no rating (the ratings run from "
            f"{start:.2f} s to {ratings:.2f} s, the video to {end:.2f} s)"
        )


def _report_faces(job: Job, faces: face_track.Track) -> None:
    frames, valid = len(faces.valid), int(faces.valid.sum())
    if valid == 0:
        logging.warning(f"{job.video}: no face in any of its {frames} frames")
    elif valid < frames:
        logging.info(f"{job.video}: no face in {frames - valid} of its {frames} frames")

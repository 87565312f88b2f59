"""Makes the records of recordings, each recording in a separate file.

A file appears complete or not at all, and a recording that fails is tried a second time. After an
interruption, the finished files are kept, and the next preparation makes only the others.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import config, devices, errors, files, screen, shared_work
from ast_net.cnn import backbone, runtime
from ast_net.datasets import annotations, reader
from ast_net.faces import alignment, detection, face_track, video
from ast_net.records import example_format, shards

ATTEMPTS = 2
# The folder of face tracks in `data_dir`.
TRACKS = "tracks"
# If the ratings last this many times as long as the video, their times are not seconds but, for
# example, frame numbers or milliseconds.
_MAX_LENGTH_RATIO = 10
# Ratings may end this many seconds after the video without a warning.
_END_TOLERANCE = 1.0


@dataclasses.dataclass(frozen=True)
class Job:
    """A recording whose records are to be made.

    Attributes:
      name: the name of the recording, such as P16.
      video: the video file or folder of pictures that it is made from.
      gold: the times of the ratings, float64 [R] in seconds, and the gold standard, float64 [R, D];
        R = 0 if there are no ratings.
      file: where to put the records, a .tfrecord file; a .npz file is written beside it (`write`).
      time_step: seconds between the frames of a clip.
    """

    name: str
    video: pathlib.Path
    gold: reader.Gold
    file: pathlib.Path
    time_step: float


class VideoMaker:
    """Makes records from videos. The face detector and the CNN are loaded only once."""

    def __init__(self, settings: config.Preparation) -> None:
        """Loads the face detector and the CNN.

        Raises:
          InputError: the CNN's weights cannot be used.
        """
        self._settings = settings
        self._detector = detection.FaceDetector(settings.data_dir)
        # Several GPUs share a batch of faces, unless it took the processor longer to make it.
        large = settings.backbone == "vgg16"
        strategy = devices.strategy() if large else tf.distribute.get_strategy()
        with strategy.scope():
            self._extractor = runtime.load(
                settings.backbone, settings.backbone_weights, settings.runtime, settings.data_dir
            )

    def make(self, job: Job) -> None:
        """Writes the records of a recording, with one segment in memory at a time.

        Raises:
          InputError: the video or the ratings cannot be read, or the memory is full.
          OSError: the file cannot be written.
        """
        film = video.open_video(job.video)
        cache = pathlib.Path(self._settings.data_dir) / TRACKS
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
        with devices.memory_reported("give `device=cpu`"):
            write(job, frames, features, self._settings)


def write(
    job: Job,
    frames: example_format.RecordingFrames,
    features: Iterable[np.ndarray],
    settings: config.Preparation,
) -> None:
    """Writes the records of a recording, and a .npz file beside them.

    The .npz file has what is needed without the features: `timestamps`, `valid` and `labels` as in
    `example_format.RecordingFrames`, and the sum over all frames with a face of each feature
    (`total`) and of its square (`squares`), float64 [F]. It is complete before the records appear.

    Args:
      job: the recording.
      frames: its T frames.
      features: T arrays, float16 [F], the fc6 of each frame.
      settings: the backbone, clip and targets of the records.

    Raises:
      OSError: a file cannot be written.
    """
    size = backbone.FEATURE_SIZE[settings.backbone]
    layout = example_format.features_dict(size, len(settings.targets))
    total, squares = np.zeros(size), np.zeros(size)

    def accumulated() -> Iterator[np.ndarray]:
        for valid, row in zip(frames.valid, features):
            if valid:
                total[:] += row
                squares[:] += np.square(row, dtype=np.float64)
            yield row

    overlap = example_format.overlap(frames.timestamps, settings.clip.frames, job.time_step)
    examples = example_format.examples(frames, accumulated(), overlap)
    file = job.file
    with files.whole(file) as temporary:
        # `tensorflow_output` surrounds only what writes: while the features are computed,
        # TensorFlow's errors have other causes.
        with files.tensorflow_output(file):
            writer = tf.io.TFRecordWriter(str(temporary))
        for example in examples:
            with files.tensorflow_output(file):
                message = tf.train.Example.FromString(layout.serialize_example(example))
                # TFDS writes the features in random order; this makes files reproducible.
                writer.write(message.SerializeToString(deterministic=True))
        with files.tensorflow_output(file):
            writer.close()
        with files.whole(file.with_suffix(".npz")) as path:
            arrays = {name: getattr(frames, name) for name in ("timestamps", "valid", "labels")}
            np.savez(path, **arrays, total=total, squares=squares)


def attempt(maker: VideoMaker, job: Job) -> str | None:
    """Makes the records of a recording, in up to ATTEMPTS attempts.

    Returns:
      The last error, or None if an attempt succeeded.

    Raises:
      OSError: the disk is full or not writable, so that the other recordings would fail as well.
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
        # Any error is reported at the end, so that it does not stop the other recordings.
        except Exception as error:
            if files.is_final(error):
                raise
            problem = f"{job.video}: {type(error).__name__}: {error}"
            logging.debug("%s", job.name, exc_info=True)
    return problem


def read_all_gold(
    sources: Sequence[reader.Source], targets: Sequence[str]
) -> dict[str, reader.Gold]:
    """Reads the gold standard of all recordings, and compares it with the videos' lengths.

    A warning names each target that is never rated below 0, as such ratings are often on another
    scale.

    Returns:
      The times of the ratings and the gold standard of each recording, by name.

    Raises:
      InputError: ratings are malformed, or their times cannot be in seconds; the message has all
        recordings for which this is so.
    """
    gold: dict[str, reader.Gold] = {}
    problems = []
    for source in sources:
        try:
            gold[source.name] = source.read_gold()
            end = _stated_end(source.video)
            if source.ratings and end is not None:
                _check_length(source.video, source.name, gold[source.name][0], end)
        except errors.InputError as error:
            problems.append(str(error))
    if problems:
        raise errors.InputError("\n".join(dict.fromkeys(problems)))
    rated = [values for times, values in gold.values() if len(times)]
    for target, values in zip(targets, np.concatenate(rated).T if rated else ()):
        values = values[~np.isnan(values)]
        if len(values) and values.min() >= 0:
            logging.warning(
                f"none of the ratings of {target} is negative (they are from {values.min():.3g} to "
                f"{values.max():.3g}, in {screen.number(len(rated), 'recording')}), but 0 is "
                "neutral: check the scale on which it was rated. For your own recordings, "
                "`rating_scale=LOWEST,HIGHEST` maps another scale to the range from -1 to 1"
            )
    return gold


def make_all(make_maker: Callable[[], VideoMaker], jobs: Sequence[Job]) -> dict[str, str]:
    """Makes the records of all recordings; returns the errors of those that failed, by name."""
    maker = make_maker()
    counted = screen.counted(jobs, "preparing recordings", len(jobs), "recordings")
    problems = {job.name: attempt(maker, job) for job in counted}
    return {name: problem for name, problem in problems.items() if problem is not None}


def make_all_on_beam(
    make_maker: Callable[[], VideoMaker],
    jobs: Sequence[Job],
    options: str,
    data_dir: str | pathlib.Path,
) -> dict[str, str]:
    """Does the same with Apache Beam; see `shared_work.run_on_beam` for `options`.

    Raises:
      InputError: Beam is not installed, or failed.
      OSError: the disk is full or not writable.
    """
    problems: dict[str, str] = {}
    with screen.Progress("preparing recordings", len(jobs), "recordings") as progress:

        def add(index: int, problem: str | None) -> None:
            if problem is not None:
                problems[jobs[index].name] = problem
            progress.update()

        work = shared_work.Work(make_maker, _attempt_if_missing, jobs)
        lost = shared_work.run_on_beam(work, options, data_dir, add)
    return problems | {jobs[index].name: shared_work.LOST for index in lost}


def _attempt_if_missing(maker: VideoMaker, job: Job) -> str | None:
    return attempt(maker, job) if shards.sizes(job.file) is None else None


def _check_ratings(job: Job, faces: face_track.Track, labels: np.ndarray) -> None:
    """Refuses ratings whose times cannot be in seconds; warns if ratings and video do not match."""
    video_end, first_rating, last_rating = faces.timestamps[-1], job.gold[0][0], job.gold[0][-1]
    _check_length(job.video, job.name, job.gold[0], video_end)
    if last_rating > video_end + _END_TOLERANCE:
        logging.warning(
            f"{job.name}: the ratings end at {last_rating:.2f} s, but the video at {video_end:.2f} "
            "s; check that the video is complete"
        )
    unrated = int(np.isnan(labels).any(axis=1).sum())
    if unrated:
        logging.warning(
            f"{job.name}: {unrated} of {len(labels)} frames lack a rating of at least one target ("
            f"the ratings are from {first_rating:.2f} s to {last_rating:.2f} s, the video ends at "
            f"{video_end:.2f} s)"
        )


def _stated_end(path: pathlib.Path) -> float | None:
    try:
        return video.open_video(path).duration
    except errors.InputError:
        return None  # A video that cannot be read is reported with the others that fail.


def _check_length(film: pathlib.Path, name: str, times: np.ndarray, video_end: float) -> None:
    """Refuses ratings whose times cannot be in seconds, because they last far longer."""
    if times[-1] > _MAX_LENGTH_RATIO * (video_end + 1):
        raise errors.InputError(
            f"{film}: the video ends at {video_end:.2f} s, but the ratings of {name} at "
            f"{times[-1]:.2f} s; expected rating times in seconds, and a complete video. If the "
            "times are milliseconds, call their column time_ms; if they are frame numbers, divide "
            "them by the video's frame rate"
        )


def _report_faces(job: Job, faces: face_track.Track) -> None:
    frames, valid = len(faces.valid), int(faces.valid.sum())
    if valid == 0:
        logging.warning(f"{job.video}: no face in any of its {frames} frames")
    elif valid < frames:
        logging.info(f"{job.video}: no face in {frames - valid} of its {frames} frames")

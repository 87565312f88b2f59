"""The store: from settings to records that are on disk, whole, and made of what they should be.

Each recording's records lie in a file of their own, named by a digest of all that they depend on:
DATA_DIR/segments/DATASET/NAME-DIGEST.tfrecord. A data set is a folder in TFDS's format that links the
files of its recordings, DATA_DIR/DATASET/CONFIGURATION/VERSION. So whatever changes one recording costs
that one, and several studies may share a folder.
"""

import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from ast_net import config, errors, files, screen
from ast_net.cnn import backbone, runtime
from ast_net.datasets import reader
from ast_net.faces import face_track, video
from ast_net.records import catalogue, clips, example_format, making, shards

# Raised whenever the same settings would give other records.
VERSION = "3.0.0"
_DOCUMENT = "store.json"
_DIGITS = 16
# Frames that training may hold at once: segments of the recordings that it reads beside each other.
_HELD_FRAMES = 75_000


class Records:
    """A data set's records on disk.

    Attributes:
      folder: where they lie, in TFDS's format.
      dataset, targets: its name, and the D columns of the labels.
      splits: the names of the recordings of each split.
      frame_rate: usual for the data set, frames a second.
      time_step: seconds between the frames of a clip.
      digest: of all that the records were made of, in hex.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens the records in a folder.

        Raises:
          InputError: they are damaged.
        """
        self.folder = folder
        try:
            document = json.loads((folder / _DOCUMENT).read_text())
            self.dataset: str = document["settings"]["dataset"]
            self.targets = tuple(document["settings"]["targets"])
            self.splits: dict[str, list[str]] = document["splits"]
            self.time_step: float = document["settings"]["time_step"]
            self.frame_rate: float = document["frame_rate"]
            self.digest: str = document["digest"]
            self._files: dict[str, list[str]] = document["files"]
            self._builder = tfds.builder_from_directory(folder)
        except Exception as error:  # whatever damage does to a JSON file or to TFDS's metadata
            raise self._damage(f"{type(error).__name__}: {error}") from error
        for split in self._builder.info.splits.values():
            expected = split.num_bytes + shards.FRAMING * split.num_examples
            paths = [pathlib.Path(path) for path in split.filepaths]
            size = sum(path.stat().st_size for path in paths if path.is_file())
            if size != expected:
                raise self._damage(
                    f"those of {split.name} have {size:,} bytes, expected {expected:,}"
                )

    def segments(self, split: str, recordings: int | None = None) -> tf.data.Dataset:
        """Returns the examples of a split (`example_format.features_dict`), a recording's in order.

        Args:
          split: its name.
          recordings: the number of its recordings, the first ones; None for all.

        Raises:
          InputError: there is no such split.
        """
        if split not in self.splits:
            raise errors.InputError(
                f"{self.dataset} has no split {split}, expected one of {sorted(self.splits)}"
            )
        read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        part = split if recordings is None else f"{split}[:{recordings}shard]"
        return self._builder.as_dataset(split=part, read_config=read)

    def frames(self, split: str) -> Iterator[example_format.RecordingFrames]:
        """Yields what is known of each recording's frames beside their features."""
        for number, name in enumerate(self.splits[split]):
            with np.load(self.folder / _sidecar(split, number)) as stored:
                arrays = [stored[key] for key in ("timestamps", "valid", "labels")]
            yield example_format.RecordingFrames(name, *arrays)

    def sums(self, split: str) -> Iterator[dict[str, np.ndarray]]:
        """Yields of each recording the sums over its frames with a face, float64 [F].

        They are of each feature, `total`, and of its square, `squares`.
        """
        for number in range(len(self.splits[split])):
            with np.load(self.folder / _sidecar(split, number)) as stored:
                yield {key: stored[key] for key in ("total", "squares")}

    def shuffled(self, split: str, seed: Sequence[int]) -> tuple[tf.data.Dataset, int]:
        """Returns the examples of a split in an order for training, and how many to read at a time.

        Args:
          split: its name.
          seed: decides the order (`clips.reading_order`).
        """
        info = self._builder.info.splits[split]
        frames = [len(recording.timestamps) for recording in self.frames(split)]
        longest = max(count / pieces for count, pieces in zip(frames, info.shard_lengths))
        beside = max(8, int(_HELD_FRAMES / longest))
        order = clips.reading_order(info.shard_lengths, beside, np.random.default_rng([*seed]))
        paths = [str(info.filepaths[recording]) for recording, _ in order]

        def read(path: tf.Tensor, segment: tf.Tensor) -> tf.data.Dataset:
            return tf.data.TFRecordDataset(path).skip(segment).take(1)

        segments = np.array([segment for _, segment in order], np.int64)
        places = tf.data.Dataset.from_tensor_slices((paths, segments))
        deserialize = self._builder.info.features.deserialize_example
        return places.flat_map(read).map(deserialize), beside

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and variance of each feature over the training frames with a face, float32 [F].

        A hundredth of the mean variance is added to each: a feature that hardly ever fired in training
        must not outweigh all others when it does.

        Raises:
          InputError: there is no face in any frame.
        """
        frames = sum(int(recording.valid.sum()) for recording in self.frames("train"))
        total, squares = np.zeros(()), np.zeros(())
        for sums in self.sums("train"):
            total, squares = total + sums["total"], squares + sums["squares"]
        if not frames:
            raise errors.InputError(
                "no face was found in any frame of the training recordings: look at the videos, or name "
                "others with `train_recordings`"
            )
        mean = total / frames
        variance = np.maximum(squares / frames - np.square(mean), 0)
        return mean.astype(np.float32), (variance + 0.01 * variance.mean()).astype(np.float32)

    def damage(self, error: tf.errors.DataLossError) -> errors.InputError:
        """Says which records TensorFlow found damaged, which it does not."""
        for split in self._builder.info.splits.values():
            for path, file in zip(split.filepaths, self._files[split.name], strict=True):
                try:
                    for _ in tf.data.TFRecordDataset(str(path)):
                        pass
                except tf.errors.DataLossError:
                    return self._damage(error.message, f" and {file}")
        return self._damage(error.message)

    def _damage(self, problem: str, also: str = "") -> errors.InputError:
        return errors.InputError(
            f"{self.folder}: records are damaged ({problem}). Delete this folder{also} and prepare again "
            "(faces that were found are kept)"
        )


def prepare(settings: config.Preparation, beam_pipeline_options: str | None = None) -> Records:
    """Makes the records of a data set, but for those that are there already.

    Args:
      settings: the data set, and what its records depend on.
      beam_pipeline_options: where Apache Beam shall make them, "runner=...,..."; None to make them here.

    Raises:
      InputError: the source is missing or broken, OpenVINO is asked for and missing, recordings failed, or
        the records are damaged.
    """
    entry = catalogue.data_set(settings)
    source_reader = entry.reader(settings)
    settings = resolved(settings)
    if beam_pipeline_options and not entry.reader.OF_VIDEOS:
        raise errors.InputError(
            f"`beam_pipeline_options`: {settings.dataset} is not made of videos, and is made here; leave it "
            "out"
        )
    if not source_reader.has_folder():
        records = find(settings)
        if records is not None:
            return records
    folder = source_reader.folder()
    sources = source_reader.sources(folder)
    splits = {split: [source.name for source in part] for split, part in sources.items()}
    runtime.check_installed(settings.runtime)  # before hours of finding faces
    weights = backbone.weights_id(settings.backbone, settings.backbone_weights)
    rate = entry.reader.FRAME_RATE or _usual_rate(settings, weights, folder, sources["train"])
    key = _key(settings, weights, settings.clip.stride / rate)
    paths = {
        split: [_file(key, settings, source, folder) for source in part]
        for split, part in sources.items()
    }
    names = {split: [path.name for path in part] for split, part in paths.items()}
    target = _folder(settings, key, _digest([key, names]))
    if target.is_dir():
        return Records(target)
    make_all = _beam(beam_pipeline_options) if beam_pipeline_options else making.make_all
    # All ratings are read before the first video, so that what is wrong with them shows at once.
    jobs = [
        making.Job(source.name, source.video, source.read_gold(), file, key["time_step"])
        for split, part in sources.items()
        for source, file in zip(part, paths[split])
        if shards.sizes(file) is None
    ]
    count = sum(map(len, splits.values()))
    finished = f", {count - len(jobs)} of them finished" if len(jobs) < count else ""
    logging.info(f"preparing {settings.dataset}: {screen.number(count, 'recording')}{finished}")
    problems = make_all(functools.partial(entry.maker, settings), jobs) if jobs else {}
    if problems:
        raise errors.InputError(_failures(problems, splits))
    document = {"settings": key, "frame_rate": rate, "source": str(folder.resolve())}
    _write(target, settings, document | {"splits": splits, "digest": _digest(names)}, paths)
    screen.wrote(target)
    return Records(target)


def find(
    settings: config.Preparation, backbone_digest: str | None = None, digest: str | None = None
) -> Records | None:
    """Opens records that were made with these settings, without a look at the source.

    Args:
      settings: as for `prepare`.
      backbone_digest: of the CNN's weights, where the file is not at hand (`backbone.weights_id`).
      digest: of the records (`Records.digest`), where only these will do.

    Raises:
      InputError: records of several folders fit, or the records are damaged.
    """
    settings = resolved(settings)
    weights = backbone_digest or backbone.weights_id(settings.backbone, settings.backbone_weights)
    candidates = [
        (time, document["source"], path)
        for time, document, path in _made_so(settings, weights)
        if digest in (None, document["digest"])
    ]
    sources = sorted({source for _, source, _ in candidates})
    if len(sources) > 1 and digest is None:
        raise errors.InputError(
            f"{settings.data_dir}: records with these settings were made of several folders: "
            f"{', '.join(sources)}; give one with `manual_dir`"
        )
    return Records(max(candidates)[2]) if candidates else None


def _made_so(
    settings: config.Preparation, backbone_digest: str
) -> Iterator[tuple[int, dict[str, Any], pathlib.Path]]:
    """Yields when each of the records with these settings was made, their document and their folder.

    Where a data set has no usual frame rate of its own they may have any.
    """
    rate = catalogue.data_set(settings).reader.FRAME_RATE
    key = _key(settings, backbone_digest, settings.clip.stride / rate if rate else math.nan)
    for path in (pathlib.Path(settings.data_dir) / str(settings.dataset)).glob(f"*/*/{_DOCUMENT}"):
        try:
            document = json.loads(path.read_text())
            step = {} if rate else {"time_step": document["settings"]["time_step"]}
            if document["settings"] == key | step:
                yield path.stat().st_mtime_ns, document, path.parent
        except (ValueError, LookupError, TypeError):
            continue  # a damaged one is none of those looked for


def _usual_rate(
    settings: config.Preparation,
    backbone_digest: str,
    folder: pathlib.Path,
    train: Sequence[reader.Source],
) -> float:
    """The usual frame rate of somebody's own recordings, frames a second.

    It is found once: a recording that is added later does not change that of the others.
    """
    earlier = [
        (time, document["frame_rate"])
        for time, document, _ in _made_so(settings, backbone_digest)
        if document["source"] == str(folder.resolve())
    ]
    if earlier:
        return max(earlier)[1]
    rates = [video.open_video(source.video).frame_rate for source in train]
    return round(float(np.median(rates)), 3)


def resolved(settings: config.Preparation) -> config.Preparation:
    """Returns the settings with a precision in place of auto: TensorFlow's float32 where that is fast.

    Records should be the same on every machine. With `compact` most of a preparation is spent on finding
    the faces, and a data set of pictures has no faces to be found.

    Raises:
      InputError: the data set cannot be computed so.
    """
    of_videos = catalogue.data_set(settings).reader.OF_VIDEOS
    asked = settings.runtime
    if asked == config.Runtime() and (settings.backbone == "compact" or not of_videos):
        return dataclasses.replace(settings, runtime=config.FLOAT32)
    if not of_videos and asked != config.FLOAT32:
        raise errors.InputError(
            f"`runtime={asked.name}` and `precision={asked.precision}`: {settings.dataset} is not made of "
            "videos, and is computed by tensorflow in float32; leave them out"
        )
    return dataclasses.replace(settings, runtime=runtime.resolve(asked))


def _key(settings: config.Preparation, backbone_digest: str, time_step: float) -> dict[str, Any]:
    """What records depend on beside their sources, as JSON has it."""
    key = {
        "version": VERSION,
        "dataset": settings.dataset,
        "targets": settings.targets,
        "partitions": settings.partitions,
        "video_pattern": settings.video_pattern,
        "max_rating_gap": settings.max_rating_gap,
        "clip_frames": settings.clip.frames,
        "time_step": round(time_step, 6),
        "backbone": settings.backbone,
        "backbone_digest": backbone_digest,
        "runtime": dataclasses.asdict(settings.runtime),
        "alignment": dataclasses.asdict(config.Alignment()),
        "tracking": [face_track.TRACK_VERSION, dataclasses.asdict(config.Tracking())],
    }
    return json.loads(json.dumps(key))


def _file(
    key: dict[str, Any],
    settings: config.Preparation,
    source: reader.Source,
    folder: pathlib.Path,
) -> pathlib.Path:
    """The file of a recording's records, named by all that they depend on, but not by the partitions."""
    content: list = [key | {"partitions": {}}, source.name]
    if settings.runtime.precision == "int8":
        content.append(_int8_digest(settings))
    content.append([_relative(source.video, folder), *video.open_video(source.video).fingerprint])
    for path in source.ratings:
        content.append([_relative(path, folder), hashlib.sha256(path.read_bytes()).hexdigest()])
    place = pathlib.Path(settings.data_dir) / "segments" / str(settings.dataset)
    return place / f"{urllib.parse.quote(source.name, safe='')}-{_digest(content)}.tfrecord"


@functools.lru_cache(maxsize=1)
def _int8_digest(settings: config.Preparation) -> str:
    return runtime.int8_id(settings.backbone, settings.backbone_weights, settings.data_dir)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _relative(path: pathlib.Path, folder: pathlib.Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _folder(settings: config.Preparation, key: Mapping[str, Any], digest: str) -> pathlib.Path:
    """Where a data set lies; the name says what the records are to people, and the digest the rest."""
    clip = f"{key['clip_frames']}x{key['time_step']:g}s"
    name = f"{settings.backbone}-{key['backbone_digest']}-{clip}"
    if settings.runtime != config.FLOAT32:
        name += f"-{settings.runtime.name}-{settings.runtime.precision}"
    return pathlib.Path(settings.data_dir) / str(settings.dataset) / f"{name}-{digest}" / VERSION


def _beam(options: str) -> Callable[..., dict[str, str]]:
    """What makes recordings as `making.make_all` does, by Apache Beam."""
    try:
        from ast_net.records import beam_pipeline  # an extra that few need, slow to import
    except ImportError as error:
        raise errors.InputError(
            f"`beam_pipeline_options={options}`: Apache Beam cannot be imported ({error}): install it "
            "with tools/run -m pip install -e '.[beam]', or leave this out"
        ) from error
    return functools.partial(beam_pipeline.make_all, options=options)


def _write(
    target: pathlib.Path,
    settings: config.Preparation,
    document: dict[str, Any],
    paths: Mapping[str, Sequence[pathlib.Path]],
) -> None:
    """Makes the data set's folder, whole or not at all."""
    document |= {"files": {split: list(map(str, part)) for split, part in paths.items()}}
    size = backbone.FEATURE_SIZE[settings.backbone]
    features = example_format.features_dict(size, len(settings.targets))
    with files.whole_folder(target) as temporary, files.tensorflow_output(target):
        shards.assemble(temporary, str(settings.dataset), VERSION, features, paths)
        for split, part in paths.items():
            for number, path in enumerate(part):
                shards.link(path.with_suffix(".npz"), temporary / _sidecar(split, number))
        (temporary / _DOCUMENT).write_text(json.dumps(document, indent=2) + "\n")


def _sidecar(split: str, number: int) -> str:
    """The file of what is known of a split's recording beside its features."""
    return f"{split}-{number:05}.npz"


def _failures(problems: Mapping[str, str], splits: Mapping[str, Sequence[str]]) -> str:
    """What happened to the recordings that failed, and what to do."""
    count = sum(map(len, splits.values()))
    listed = "\n  ".join(f"{name}: {problem}" for name, problem in problems.items())
    others = {
        split: ",".join(name for name in names if name not in problems)
        for split, names in splits.items()
    }
    without = " ".join(f"`{split}_recordings={names}`" for split, names in others.items() if names)
    return (
        f"recordings that failed, each {making.ATTEMPTS} times: {len(problems)} of {count}\n  {listed}\n"
        f"The others are finished and kept. Repair these, or leave them out with {without}, and start "
        "again: only these are done again"
    )

"""Opens and reads the records of a data set; `store` finds and makes them."""

import contextlib
import json
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ast_net import errors, files
from ast_net.cnn import backbone
from ast_net.records import clips, example_format, shards

# What a folder of records says of itself.
DOCUMENT = "store.json"
# Training may hold about this many frames in memory, in the segments that it interleaves.
_FRAMES_IN_MEMORY = 75_000


class Records:
    """The records of a data set on disk.

    Attributes:
      folder: their folder, in TFDS's format.
      dataset: the name of the data set.
      targets: the names of the D columns of the labels.
      feature_size: the number of features of a frame, F.
      splits: the names of the recordings in each split.
      frame_rate: the usual frame rate of the data set, in frames a second.
      time_step: seconds between the frames of a clip.
      digest: digest of everything that the records were made from, in hex.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens the records in a folder.

        Raises:
          InputError: the records are damaged.
        """
        self.folder = folder
        with files.reading(folder, "records", _remedy(folder)):
            document = json.loads((folder / DOCUMENT).read_text())
            self.dataset = str(document["settings"]["dataset"])
            self.targets = tuple(map(str, document["settings"]["targets"]))
            self.feature_size = backbone.FEATURE_SIZE[document["settings"]["backbone"]]
            self.splits = _names(document["splits"])
            self.time_step = float(document["settings"]["time_step"])
            self.frame_rate = float(document["frame_rate"])
            self.digest = str(document["digest"])
            self._files = _names(document["files"])
            self._builder = tfds.builder_from_directory(folder)
            self._check()

    def _check(self) -> None:
        """Compares the document with TFDS's metadata, and these with the files.

        Raises:
          ValueError: they do not agree, or a number is out of range.
        """
        infos = self._builder.info.splits
        shard_counts = {split.name: len(split.shard_lengths) for split in infos.values()}
        for names in (self.splits, self._files):
            if {split: len(part) for split, part in names.items()} != shard_counts:
                raise ValueError(f"found recordings {names}, expected {shard_counts}")
        if not (0 < self.time_step < math.inf and 0 < self.frame_rate < math.inf):
            raise ValueError(
                f"found the time step {self.time_step} and the frame rate {self.frame_rate}"
            )
        layout = self._builder.info.features
        expected_layout = example_format.features_dict(self.feature_size, len(self.targets))
        if (layout.shape, layout.np_dtype) != (expected_layout.shape, expected_layout.np_dtype):
            raise ValueError(f"found examples of the shapes {layout.shape}")
        for split in infos.values():
            expected = split.num_bytes + shards.FRAMING * split.num_examples
            paths = [pathlib.Path(path) for path in split.filepaths]
            size = sum(path.stat().st_size for path in paths if path.is_file())
            if size != expected:
                raise ValueError(
                    f"the {split.name} split has {size:,} bytes, expected {expected:,}"
                )

    def segments(self, split: str, recordings: int | None = None) -> tf.data.Dataset:
        """Returns the examples of a split (`example_format.features_dict`), in order.

        Args:
          split: name of the split.
          recordings: return only this many recordings, the first ones; None for all.

        Raises:
          InputError: there is no such split.
        """
        if split not in self.splits:
            raise errors.InputError(
                f"{self.dataset} has no split {split}; expected one of "
                f"{', '.join(sorted(self.splits))}"
            )
        read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        part = split if recordings is None else f"{split}[:{recordings}shard]"
        return self._builder.as_dataset(split=part, read_config=read)

    def frames(self, split: str) -> Iterator[example_format.RecordingFrames]:
        """Yields the frames of each recording in a split, without their features."""
        for number, name in enumerate(self.splits[split]):
            stored = self._arrays(split, number)
            arrays = [stored[key] for key in ("timestamps", "valid", "labels")]
            yield example_format.RecordingFrames(name, *arrays)

    def sums(self, split: str) -> Iterator[dict[str, np.ndarray]]:
        """Yields sums over the frames with a face, for each recording in a split.

        These are the sum of each feature, `total`, and of its square, `squares`, float64 [F].
        """
        for number in range(len(self.splits[split])):
            stored = self._arrays(split, number)
            yield {key: stored[key] for key in ("total", "squares")}

    def _arrays(self, split: str, number: int) -> dict[str, np.ndarray]:
        """Reads the .npz file that belongs to a shard (`making.write`).

        Raises:
          InputError: the file is missing or damaged.
        """
        path = self.folder / sidecar(split, number)
        remedy = _remedy(self.folder, self._files[split][number])
        with files.reading(path, "records", remedy), np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
            frames = len(arrays["timestamps"])
            expected: dict[str, tuple[int, ...]] = {"timestamps": (frames,), "valid": (frames,)}
            expected |= {"labels": (frames, len(self.targets))}
            expected |= {"total": (self.feature_size,), "squares": (self.feature_size,)}
            shapes = {key: array.shape for key, array in arrays.items()}
            if shapes != expected or not frames:
                raise ValueError(f"found arrays of the shapes {shapes}, expected {expected}")
        return arrays

    def shuffled(self, split: str, seed: Sequence[int]) -> tuple[tf.data.Dataset, int]:
        """Returns the examples of a split in random order, and how many of them to interleave.

        Args:
          split: name of the split.
          seed: determines the order (`clips.reading_order`).
        """
        info = self._builder.info.splits[split]
        frames = [len(recording.timestamps) for recording in self.frames(split)]
        # A shard has the segments of one recording: frames / segments is their mean length.
        longest = max(count / segments for count, segments in zip(frames, info.shard_lengths))
        cycle_length = max(8, int(_FRAMES_IN_MEMORY / longest))
        rng = np.random.default_rng([*seed])
        order = clips.reading_order(info.shard_lengths, cycle_length, rng)
        paths = [str(info.filepaths[recording]) for recording, _ in order]

        def read(path: tf.Tensor, segment: tf.Tensor) -> tf.data.Dataset:
            return tf.data.TFRecordDataset(path).skip(segment).take(1)

        segments = np.array([segment for _, segment in order], np.int64)
        locations = tf.data.Dataset.from_tensor_slices((paths, segments))
        deserialize = self._builder.info.features.deserialize_example
        return locations.flat_map(read).map(deserialize), cycle_length

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and variance of each feature, over the training frames with a face.

        A hundredth of the mean variance is added to each variance. Otherwise a standardised feature
        that is almost always 0 in training would outweigh all others whenever it is not 0.

        Returns:
          Two arrays, float32 [F].

        Raises:
          InputError: no training frame has a face.
        """
        frames = sum(int(recording.valid.sum()) for recording in self.frames("train"))
        total, squares = np.zeros(()), np.zeros(())
        for sums in self.sums("train"):
            total, squares = total + sums["total"], squares + sums["squares"]
        if not frames:
            raise errors.InputError(
                "no face was found in any frame of the training recordings; check the videos, or "
                "choose other recordings with `train_recordings`"
            )
        mean = total / frames
        variance = np.maximum(squares / frames - np.square(mean), 0)
        return mean.astype(np.float32), (variance + 0.01 * variance.mean()).astype(np.float32)

    @contextlib.contextmanager
    def naming_damage(self) -> Iterator[None]:
        """Turns TensorFlow's error about damaged records into one that names their file.

        Raises:
          InputError: the block found damaged records.
        """
        try:
            yield
        except tf.errors.DataLossError as error:
            raise self._found(error) from error

    def _found(self, error: tf.errors.DataLossError) -> errors.InputError:
        for split in self._builder.info.splits.values():
            for path, file in zip(split.filepaths, self._files[split.name], strict=True):
                try:
                    for _ in tf.data.TFRecordDataset(str(path)):
                        pass
                except tf.errors.DataLossError:
                    return self._damage(error.message, file)
        return self._damage(error.message)

    def _damage(self, problem: str, *paths: str) -> errors.InputError:
        remedy = _remedy(self.folder, *paths)
        return errors.InputError(f"{self.folder}: records are damaged ({problem}); {remedy}")


def _names(document: Any) -> dict[str, list[str]]:
    """Returns a part of the document that has a list of names for each split.

    Raises:
      ValueError: it is something else.
    """
    if not all(isinstance(part, list) for part in document.values()):
        raise ValueError(f"found {document}, expected a list for each split")
    return {split: list(map(str, part)) for split, part in document.items()}


def sidecar(split: str, number: int) -> str:
    """Returns the name of the .npz file that belongs to a shard (`making.write`)."""
    return f"{split}-{number:05}.npz"


def _remedy(folder: pathlib.Path, *paths: str) -> str:
    damaged = " and ".join([str(folder), *paths])
    return f"delete {damaged} and prepare again (the face tracks are kept)"

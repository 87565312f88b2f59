"""RECOLA (Ringeval et al., FG Workshops 2013) as its owners release it."""

import functools
import hashlib
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from absl import logging

from ast_net import config, errors
from ast_net.cnn import backbone
from ast_net.datasets import annotations, gold_standard, records
from ast_net.faces import alignment, detection, tracking

VIDEOS = "RECOLA-Video-recordings"
RATINGS = "RECOLA-Annotation/emotional_behaviour"
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv")


def _names(numbers: str) -> tuple[str, ...]:
    return tuple(f"P{number}" for number in numbers.split())


class Recola(tfds.core.GeneratorBasedBuilder):
    """Segments of RECOLA's recordings: fc6 and gold standard of each frame (`records.features_dict`)."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS: str | None = f"""
    RECOLA is handed out by its owners to those who sign their agreement. Give the folder that holds
      {RATINGS}/{{arousal,valence}}/P16.csv
      {VIDEOS}/P16.mp4
    and the same for the other recordings.
    """
    BUILDER_CONFIGS = [records.RecordsConfig()]

    # The 23 recordings that are shared, each in its part of the literature's split of all 46.
    PARTITIONS = {
        "train": _names("16 17 21 23 25 37 39 41 46 56"),
        "dev": _names("19 26 28 30 34 42 43 45 64 65"),
        "test": _names("48 58 62"),
    }

    def _info(self) -> tfds.core.DatasetInfo:
        size = backbone.FEATURE_SIZE[self.builder_config.backbone]
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=records.features_dict(size, len(config.TARGETS)),
            # Segments stay in the order of the recording, and TFDS holds none of them in memory.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folder = self._folder(dl_manager)
        partitions = self.builder_config.partitions or self.PARTITIONS
        self.info.metadata["sources"] = sources(folder, partitions)
        return {
            split: self._generate_examples([read_recording(folder, name) for name in names])
            for split, names in partitions.items()
        }

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        return pathlib.Path(dl_manager.manual_dir)

    def _generate_examples(
        self, recordings: Sequence[records.Recording]
    ) -> Iterator[tuple[str, dict]]:
        settings: records.RecordsConfig = self.builder_config
        cache = pathlib.Path(self.data_dir).parents[2] / "tracks"
        for recording in recordings:
            track = tracking.cached_track(recording.video, cache, settings.tracking, self._detector)
            _report(recording, track)
            faces = alignment.aligned_faces(recording.video, track, settings.alignment)
            progress = tqdm.tqdm(
                faces, f"{recording.name}: features", len(track.valid), unit="frame", leave=False
            )
            features = backbone.extract(self._cnn, ((face.image, face.valid) for face in progress))
            yield from records.examples(recording, track, features, settings.overlap)

    def check_sources(self, manual_dir: str | None) -> None:
        """Compares prepared records with the files in `manual_dir`, if it is there.

        Raises:
          InputError: the records were made of other files.
        """
        if manual_dir is None or not pathlib.Path(manual_dir).is_dir():
            return
        found = sources(pathlib.Path(manual_dir), self.builder_config.partitions or self.PARTITIONS)
        made_of = self.info.metadata["sources"]
        changed = sorted(name for name in found if found[name] != made_of.get(name))
        if changed:
            raise errors.InputError(
                f"{self.data_dir}: these records were made of other files than those in {manual_dir}: "
                f"{', '.join(changed)}. Give another --data_dir, or delete this folder to prepare again"
            )

    @functools.cached_property
    def _detector(self):
        return detection.FaceDetector()

    @functools.cached_property
    def _cnn(self):
        return backbone.load(self.builder_config.backbone, self.builder_config.backbone_weights)


def read_recording(folder: pathlib.Path, name: str) -> records.Recording:
    """Finds a recording's video, reads its ratings and makes the gold standard of each target.

    Raises:
      InputError: a file is missing or not what it should be, or the targets were rated at other times.
    """
    files = _files(folder, name)
    ratings = [annotations.read_ratings(files[target]) for target in config.TARGETS]
    times = ratings[0].times
    if any(not np.array_equal(times, r.times) for r in ratings):
        raise errors.InputError(
            f"{name}: {', '.join(config.TARGETS)} were rated at different times; expected the same times "
            f"in {' and '.join(str(files[t]) for t in config.TARGETS)}"
        )
    gold = [
        gold_standard.gold_standard(r.values, f"{name}, {target}")
        for r, target in zip(ratings, config.TARGETS, strict=True)
    ]
    return records.Recording(name, files["video"], times, np.stack(gold, axis=1))


def sources(folder: pathlib.Path, partitions: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """What the records are made of: each file with its content's digest, or for a video its size.

    Raises:
      InputError: files are missing, or a recording is in two partitions; all of them are named.
    """
    names = [name for partition in partitions.values() for name in partition]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise errors.InputError(f"recordings in more than one place of the partitions: {twice}")
    for split in ("train", "dev"):
        if not partitions.get(split):
            raise errors.InputError(f"the {split} partition is empty: give --{split}_recordings")
    result = {}
    missing = []
    for name in names:
        for role, path in _files(folder, name).items():
            relative = path.relative_to(folder).as_posix()
            if not path.is_file():
                missing.append(str(path))
            elif role == "video":
                result[relative] = f"{path.stat().st_size} bytes"
            else:
                result[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    if missing:
        listed = "\n  ".join(missing)
        raise errors.InputError(
            f"{folder}: {len(missing)} files are missing:\n  {listed}\nGive the folder of RECOLA's "
            "release with --manual_dir, or name the recordings that you have with --train_recordings, "
            "--dev_recordings and --test_recordings"
        )
    return result


def _files(folder: pathlib.Path, name: str) -> dict[str, pathlib.Path]:
    videos = [folder / VIDEOS / f"{name}{suffix}" for suffix in VIDEO_SUFFIXES]
    video = next((path for path in videos if path.is_file()), videos[0])
    return {"video": video} | {t: folder / RATINGS / t / f"{name}.csv" for t in config.TARGETS}


def _report(recording: records.Recording, track: tracking.Track) -> None:
    """Says what of a recording cannot be learned from."""
    frames, faces = len(track.valid), int(track.valid.sum())
    if faces == 0:
        logging.warning("%s: no face in any of its %d frames", recording.video, frames)
    elif faces < frames:
        logging.info("%s: no face in %d of its %d frames", recording.video, frames - faces, frames)
    rated = annotations.resample(
        recording.times, recording.gold, track.timestamps, records.MAX_RATING_GAP
    )
    missing = int(np.isnan(rated).any(axis=1).sum())
    if missing:
        logging.warning(
            "%s: %d of its %d frames have no rating (the ratings run from %.2f s to %.2f s, the video "
            "to %.2f s)",
            recording.name,
            missing,
            frames,
            recording.times[0],
            recording.times[-1],
            track.timestamps[-1],
        )

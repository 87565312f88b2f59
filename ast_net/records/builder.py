"""What the builders of rated videos share: from recordings on disk to segments."""

import abc
import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net import config, errors
from ast_net.cnn import backbone
from ast_net.datasets import annotations
from ast_net.faces import picture_sequence, tracking
from ast_net.records import example_format, making, shards


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a recording lies on disk.

    Attributes:
      name: as in the data set, P16.
      video: the video file, or a folder of pictures; either may be missing.
      ratings: the files that its gold standard is made of, which may be missing.
      read_gold: reads them: the ratings' times float64 [R] in seconds, strictly increasing, and the gold
        standard float64 [R, D] of the settings' targets, NaN where there is none. Raises InputError.
      read_raters: reads what the single raters said of each target; None where there is a gold standard
        and no more. Raises InputError.
    """

    name: str
    video: pathlib.Path
    ratings: Sequence[pathlib.Path]
    read_gold: Callable[[], tuple[np.ndarray, np.ndarray]]
    read_raters: Callable[[], dict[str, annotations.Ratings]] | None = None


class RecordsBuilder(tfds.core.GeneratorBasedBuilder):
    """A data set of segments (`example_format.features_dict`), whatever they are made of.

    Attributes:
      REACTION_DELAY: seconds by which its raters lag behind the face, where no other number is given.
      TARGETS: what it has ratings of.
      VIDEO_PATTERN: how its video files are called, where that is a setting.
    """

    # Raised whenever the same settings would give other records.
    VERSION = tfds.core.Version("1.1.0")
    BUILDER_CONFIGS = [example_format.RecordsConfig()]
    REACTION_DELAY = 0.0
    TARGETS: tuple[str, ...] = config.TARGETS
    VIDEO_PATTERN: str | None = None

    def _info(self) -> tfds.core.DatasetInfo:
        settings = self.builder_config
        unrated = [target for target in settings.targets if target not in self.TARGETS]
        if unrated:
            raise errors.InputError(
                f"{self.name} has no ratings of {', '.join(unrated)}: give --targets from "
                f"{','.join(self.TARGETS)}"
            )
        if settings.video_pattern is not None and self.VIDEO_PATTERN is None:
            raise errors.InputError(
                f"--video_pattern={settings.video_pattern}: the files of {self.name} have names of their "
                "own; leave it out"
            )
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=example_format.features_dict(
                backbone.FEATURE_SIZE[settings.backbone], len(settings.targets)
            ),
            # Segments stay in the order of the recording, which evaluation needs.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    @abc.abstractmethod
    def made_of(self, folder: pathlib.Path) -> dict[str, str]:
        """What the records are made of: the name of each source and a digest of it."""

    def check_sources(self, manual_dir: str | None) -> None:
        """Compares prepared records with the files in `manual_dir`, if it is there.

        Raises:
          InputError: the records were made of other files.
        """
        if manual_dir is None or not pathlib.Path(manual_dir).is_dir():
            return
        found = self.made_of(pathlib.Path(manual_dir))
        made_of = self.info.metadata["sources"]
        changed = sorted(name for name in found if found[name] != made_of.get(name))
        if changed:
            raise errors.InputError(
                f"{self.data_dir}: these records were made of other files than those in {manual_dir}: "
                f"{', '.join(changed)}. Give another --data_dir, or delete this folder to prepare again"
            )


class SegmentsBuilder(RecordsBuilder):
    """Segments of rated videos.

    A data set's own builder says in `recordings` what lies where; everything else is here.
    """

    _files: Sequence[pathlib.Path] = ()

    @abc.abstractmethod
    def recordings(self, folder: pathlib.Path) -> dict[str, list[Source]]:
        """The recordings of each split (train, dev, ...) below the folder that the owners release.

        Raises:
          InputError: the folder does not hold the data set.
        """

    def source_folder(self, manual_dir: str | None) -> pathlib.Path | None:
        """The folder that `recordings` takes, if it is there."""
        folder = None if manual_dir is None else pathlib.Path(manual_dir)
        return folder if folder is not None and folder.is_dir() else None

    @property
    def tracks(self) -> pathlib.Path:
        """The folder where the faces that were found are kept."""
        return pathlib.Path(self.data_dir).parents[2] / "tracks"

    def download_and_prepare(self, **kwargs) -> None:
        """As TFDS's; when all is done, the recordings' own files are deleted."""
        super().download_and_prepare(**kwargs)
        shards.discard(self._files)

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        """Makes each recording's file; these become the shards as they are.

        TFDS's own writer would hold all examples of a split in memory: it sorts them by their keys.
        """
        if self.info.file_format != tfds.core.FileFormat.TFRECORD:
            raise errors.InputError(
                f"{self.name}: file format {self.info.file_format}; expected tfrecord"
            )
        options, runner = download_config.beam_options, download_config.beam_runner
        beam = (options, runner) if options or runner else None
        splits = self._split_generators(dl_manager, hold_ratings=beam is None)
        jobs = [job for part in splits.values() for job in part]
        self._files = [job.file for job in jobs]
        failed = self._generate_examples(jobs, beam)
        if failed:
            raise errors.InputError(_failures(failed, splits))
        infos = [
            shards.add(self, split, [job.file for job in part])
            for split, part in splits.items()
            if part
        ]
        self.info.set_splits(tfds.core.SplitDict(infos))

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager, hold_ratings: bool = True
    ) -> dict[str, list[making.Job]]:
        """The recordings of each split, and where each one's own file is put.

        Args:
          dl_manager: knows the folder of the data set.
          hold_ratings: in memory, or have each worker read its own again.
        """
        folder = self._folder(dl_manager)
        made_of = self.info.metadata["sources"] = self.made_of(folder)
        # These files are found again whatever the partitions are.
        settings = dataclasses.replace(self.builder_config, name="", partitions={})
        unfinished = (
            self.tracks.parent / "unfinished" / self.name / f"{settings.name}-{self.version}"
        )

        def job_of(source: Source) -> making.Job:
            # All ratings are read before the first video: what is wrong with them shows at once.
            gold = source.read_gold()
            read = functools.partial(_held, gold) if hold_ratings else source.read_gold
            paths = [_relative(path, folder) for path in (source.video, *source.ratings)]
            content = [(path, made_of[path]) for path in paths]
            key = [tracking.TRACK_VERSION, _changed(source.video), content]
            digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
            file = unfinished / shards.file_name(source.name, digest)
            return making.Job(source.name, source.video, read, file)

        recordings = self.recordings(folder)
        return {split: [job_of(source) for source in recordings[split]] for split in recordings}

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        return pathlib.Path(dl_manager.manual_dir)

    def _generate_examples(self, jobs: Sequence[making.Job], beam: tuple | None) -> dict[str, str]:
        """Makes the recordings that are not finished; the errors of those that failed, by name."""
        missing = [job for job in jobs if shards.sizes(job.file) is None]
        if len(missing) < len(jobs):
            logging.info("%d of %d recordings are finished", len(jobs) - len(missing), len(jobs))
        how = self.builder_config, self.tracks
        if beam is None:
            return making.make_all(making.Maker(*how), missing)
        # Beam is an extra that few need, and its import takes seconds.
        from ast_net.records import beam_pipeline

        return beam_pipeline.make_all(how, missing, *beam)

    def made_of(self, folder: pathlib.Path) -> dict[str, str]:
        """What the records are made of: each file with its content's digest, or for a video its size.

        Raises:
          InputError: files are missing, a recording is named twice, or train or dev is empty.
        """
        recordings = self.recordings(folder)
        sources = [source for part in recordings.values() for source in part]
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise errors.InputError(f"recordings in more than one place of the partitions: {twice}")
        for split in ("train", "dev"):
            if not recordings.get(split):
                raise errors.InputError(
                    f"the {split} partition is empty: give --{split}_recordings"
                )
        paths = [path for source in sources for path in (source.video, *source.ratings)]
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            listed = "\n  ".join(missing)
            raise errors.InputError(
                f"{folder}: {len(missing)} files are missing:\n  {listed}\nGive the folder of the data "
                "set's release with --manual_dir, or name the recordings that you have with "
                "--train_recordings, --dev_recordings and --test_recordings"
            )
        result = {}
        for source in sources:
            result[_relative(source.video, folder)] = _size(source.video)
            for path in source.ratings:
                result[_relative(path, folder)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return result


def _size(path: pathlib.Path) -> str:
    """Of a video file, or of a folder of pictures."""
    if not path.is_dir():
        return f"{path.stat().st_size} bytes"
    sizes = [picture.path.stat().st_size for picture in picture_sequence.listing(path)]
    return f"{len(sizes)} pictures, {sum(sizes)} bytes"


def _changed(path: pathlib.Path) -> int:
    """When a video file, or one of a folder of pictures, was last written."""
    paths = (
        [picture.path for picture in picture_sequence.listing(path)] if path.is_dir() else [path]
    )
    return max(path.stat().st_mtime_ns for path in paths)


def _relative(path: pathlib.Path, folder: pathlib.Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _held(gold: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return gold


def _failures(failed: dict[str, str], splits: dict[str, list[making.Job]]) -> str:
    """What happened to the recordings that failed, and what to do."""
    count = sum(len(jobs) for jobs in splits.values())
    listed = "\n  ".join(f"{name}: {error}" for name, error in failed.items())
    others = {
        split: ",".join(job.name for job in jobs if job.name not in failed)
        for split, jobs in splits.items()
    }
    without = " ".join(f"--{split}_recordings={names}" for split, names in others.items() if names)
    return (
        f"{len(failed)} of {count} recordings failed, each {making.ATTEMPTS} times:\n  {listed}\n"
        f"The others are finished and kept. Repair these, or leave them out with {without}, and start "
        "again: only these are done again"
    )

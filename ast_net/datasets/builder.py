"""What the builders of rated videos share: from recordings on disk to segments."""

import abc
import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from absl import logging

from ast_net import config, errors
from ast_net.cnn import backbone
from ast_net.datasets import annotations, records
from ast_net.faces import alignment, detection, pictures, tracking

# Ratings this many times as long as the video are not timed in seconds: frames, or milliseconds.
_FAR_TOO_LONG = 10


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
    """A data set of segments (`records.features_dict`), whatever they are made of.

    Attributes:
      REACTION_DELAY: seconds by which its raters lag behind the face, where no other number is given.
      TARGETS: what it has ratings of.
      VIDEO_PATTERN: how its video files are called, where that is a setting.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [records.RecordsConfig()]
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
            features=records.features_dict(
                backbone.FEATURE_SIZE[settings.backbone], len(settings.targets)
            ),
            # Segments stay in the order of the recording, and TFDS holds none of them in memory.
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

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folder = self._folder(dl_manager)
        self.info.metadata["sources"] = self.made_of(folder)
        # All ratings are read before the first video: what is wrong with them shows at once.
        read = {
            split: [
                records.Recording(source.name, source.video, *source.read_gold())
                for source in sources
            ]
            for split, sources in self.recordings(folder).items()
        }
        return {split: self._generate_examples(recordings) for split, recordings in read.items()}

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        return pathlib.Path(dl_manager.manual_dir)

    def _generate_examples(
        self, recordings: Sequence[records.Recording]
    ) -> Iterator[tuple[str, dict]]:
        settings: records.RecordsConfig = self.builder_config
        for recording in recordings:
            track = tracking.cached_track(
                recording.video, self.tracks, settings.tracking, self._detector
            )
            _check_length(recording, track)
            labels = annotations.resample(
                recording.times, recording.gold, track.timestamps, settings.max_rating_gap
            )
            _report(recording, track, labels)
            faces = alignment.aligned_faces(recording.video, track, settings.alignment)
            progress = tqdm.tqdm(
                faces, f"{recording.name}: features", len(track.valid), unit="frame", leave=False
            )
            features = backbone.extract(self._cnn, ((face.image, face.valid) for face in progress))
            frames = records.Frames(recording.name, track.timestamps, track.valid, labels)
            yield from records.examples(frames, features, settings.overlap)

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

    @functools.cached_property
    def _detector(self):
        return detection.FaceDetector()

    @functools.cached_property
    def _cnn(self):
        return backbone.load(self.builder_config.backbone, self.builder_config.backbone_weights)


def _size(path: pathlib.Path) -> str:
    """Of a video file, or of a folder of pictures."""
    if not path.is_dir():
        return f"{path.stat().st_size} bytes"
    sizes = [picture.path.stat().st_size for picture in pictures.listing(path)]
    return f"{len(sizes)} pictures, {sum(sizes)} bytes"


def _relative(path: pathlib.Path, folder: pathlib.Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _check_length(recording: records.Recording, track: tracking.Track) -> None:
    """Warns of ratings that go on after the video, and refuses those whose times cannot be its seconds."""
    video, ratings = track.timestamps[-1], recording.times[-1]
    if ratings > _FAR_TOO_LONG * (video + 1):
        raise errors.InputError(
            f"{recording.video}: the video ends at {video:.2f} s and its ratings "
            f"({recording.name}) at {ratings:.2f} s: expected times in seconds, and a video that is whole"
        )
    if ratings > video + config.MAX_RATING_GAP:
        logging.warning(
            "%s: its ratings go on to %.2f s, but the video ends at %.2f s: is it cut off?",
            recording.name,
            ratings,
            video,
        )


def _report(recording: records.Recording, track: tracking.Track, labels: np.ndarray) -> None:
    """Says what of a recording cannot be learned from."""
    frames, faces = len(track.valid), int(track.valid.sum())
    if faces == 0:
        logging.warning("%s: no face in any of its %d frames", recording.video, frames)
    elif faces < frames:
        logging.info("%s: no face in %d of its %d frames", recording.video, frames - faces, frames)
    missing = int(np.isnan(labels).any(axis=1).sum())
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

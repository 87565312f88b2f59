"""What all data set readers share: from a folder on disk to recordings and their gold standard."""

import abc
import collections
import dataclasses
import inspect
import itertools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.datasets import annotations, gold_standard

# The times of the ratings, float64 [R] in seconds, and the gold standard, float64 [R, D].
Gold = tuple[np.ndarray, np.ndarray]
# The names of the recordings in each split.
Partitions = dict[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the files of a recording are, and how its ratings are read.

    Attributes:
      name: the recording's name in the data set, such as P16.
      video: the video file, or a folder of pictures. It may not exist.
      ratings: the rating files. They may not exist. Empty if the recording is not rated, or if its
        ratings do not come from files.
      read: reads the ratings of each target: several raters', or one gold standard. Raises
        InputError.
      read_raters: reads the individual raters' ratings of each target; None if the data set has
        only a gold standard. Raises InputError.
      subject: an id of the person in the video, if the data set has one.
      rating_scale: the lowest and the highest rating on the scale from which `read` maps the
        ratings to [-1, 1], if the user named it.
    """

    name: str
    video: pathlib.Path
    ratings: Sequence[pathlib.Path]
    read: Callable[[], dict[str, annotations.Ratings]]
    read_raters: Callable[[], dict[str, annotations.Ratings]] | None = None
    subject: str | None = None
    rating_scale: Sequence[float] = config.RATING_SCALE

    def read_gold(self) -> Gold:
        """Reads the gold standard of all targets.

        Returns:
          The times of the ratings, float64 [R] in seconds, strictly increasing, and the gold
          standard, float64 [R, D], NaN where a target is not rated. R = 0 without rating files.

        Raises:
          InputError: a file is missing or malformed.
        """
        if not self.ratings:
            return np.zeros(0), np.zeros((0, 0))
        return gold_standard.of_targets(self.name, self.read())


class Reader(abc.ABC):
    """A data set on disk: lists its recordings and locates the files of each.

    The docstring of a subclass is shown to users: it says where to get the data set and what its
    folder must contain.

    Attributes:
      TARGETS: the targets that the data set has ratings of.
      REACTION_DELAY: default reaction delay of the raters, in seconds.
      FRAME_RATE: the usual frame rate, in frames a second; it turns the clip stride into a time.
        None if it differs from copy to copy; the training videos then decide.
      VIDEO_PATTERN: default of the setting `video_pattern`; empty if the data set does not use it.
      HAS_OWN_SCALE: whether the ratings' scale is fixed, so that `rating_scale` is not used.
      OF_VIDEOS: whether the recordings are made from videos.
      RATING_STEP: seconds between two released ratings; None if there is one a frame, or if it
        differs between recordings.
      RATING_FILE: path of a rating file, with the fields {recording} and {target}. Predictions
        are written under the same names (`challenge_format`).
      MISSING_REMEDY: what users can do if files are missing.
    """

    TARGETS: tuple[str, ...] = config.TARGETS
    REACTION_DELAY = 0.0
    FRAME_RATE: float | None = None
    VIDEO_PATTERN = ""
    HAS_OWN_SCALE = True
    OF_VIDEOS = True
    RATING_STEP: float | None = None
    RATING_FILE = "{target}/{recording}.csv"
    MISSING_REMEDY = (
        "Give the folder of the whole data set with `manual_dir`, or list the recordings that you "
        "have with `train_recordings`, `dev_recordings` and `test_recordings`"
    )

    def __init__(self, settings: config.Preparation) -> None:
        """Checks the settings against the data set.

        Raises:
          InputError: the data set has no ratings of a target, or does not use `video_pattern` or
            `rating_scale`.
        """
        self.settings = settings
        unrated = [target for target in settings.targets if target not in self.TARGETS]
        if unrated:
            raise errors.InputError(
                f"{settings.dataset} has no ratings of {', '.join(unrated)}; choose `targets` from "
                + ",".join(self.TARGETS)
            )
        if settings.video_pattern is not None and not self.VIDEO_PATTERN:
            raise errors.InputError(
                f"{settings.dataset} has fixed file names and does not use `video_pattern`; leave "
                "it out"
            )
        if settings.rating_scale != config.RATING_SCALE and self.HAS_OWN_SCALE:
            raise errors.InputError(
                f"{settings.dataset} has a fixed scale of ratings and does not use `rating_scale`; "
                "leave it out"
            )
        self.video_pattern = settings.video_pattern or self.VIDEO_PATTERN

    @classmethod
    def instructions(cls) -> str:
        """Returns where to get the data set and what its folder must contain, for users."""
        return inspect.getdoc(cls) or ""

    @abc.abstractmethod
    def partitions(self, folder: pathlib.Path) -> Partitions:
        """Returns the default split: the recordings of train, dev and, if it has one, test.

        Raises:
          InputError: the folder does not contain the data set.
        """

    @abc.abstractmethod
    def source(self, folder: pathlib.Path, name: str) -> Source:
        """Returns where the files of a recording are.

        Raises:
          InputError: the data set has no recording of this name, or the recording is incomplete.
        """

    def folder(self) -> pathlib.Path:
        """Returns the folder of the data set.

        Raises:
          InputError: `manual_dir` is not given, or is not a folder.
        """
        manual_dir = self.settings.manual_dir
        if manual_dir is None or not self.has_folder():
            problem = "not given" if manual_dir is None else f"missing: {manual_dir}"
            raise errors.InputError(
                f"{self.settings.dataset} is not prepared yet, and its source folder is {problem}; "
                f"give `manual_dir=FOLDER`.\n{self.instructions()}"
            )
        return pathlib.Path(manual_dir)

    def has_folder(self) -> bool:
        """Says whether the folder of the data set exists, or can be generated."""
        manual_dir = self.settings.manual_dir
        return manual_dir is not None and pathlib.Path(manual_dir).is_dir()

    def sources(
        self, folder: pathlib.Path, needed: Sequence[str] = ("train", "dev")
    ) -> dict[str, list[Source]]:
        """Returns the recordings of each split, by the settings or else by the default split.

        Challenges withhold the ratings of their test partition. If none of its rating files
        exists, its recordings are returned without ratings, with a warning.

        Args:
          folder: the folder of the data set.
          needed: the splits that must not be empty; other empty ones are left out.

        Raises:
          InputError: there are no recordings, files are missing, a recording is listed twice, two
            recordings share a file, a needed split is empty, or train or dev has recordings without
            ratings.
        """
        partitions = self.settings.partitions or self.partitions(folder)
        partitions = {split: names for split, names in partitions.items() if names}
        for split in needed:
            if split not in partitions:
                filled = ", ".join(f"{len(names)} in {name}" for name, names in partitions.items())
                others = f", or evaluate another `split` (found {filled})" if filled else ""
                raise errors.InputError(
                    f"{folder}: the {split} partition is empty; give `{split}_recordings`"
                    f"{others if len(needed) == 1 else ''}"
                )
        if not partitions:
            raise errors.InputError(f"{folder}: no recordings; expected at least one")
        names = [name for split in partitions.values() for name in split]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise errors.InputError(
                f"recordings listed more than once in train, dev and test: {', '.join(repeated)}; "
                "list each recording once"
            )
        sources = {s: [self.source(folder, name) for name in partitions[s]] for s in partitions}
        if self.OF_VIDEOS:
            if "test" in sources:
                sources["test"] = _without_missing_ratings(sources["test"])
            _refuse_unrated(folder, sources.get("train", []) + sources.get("dev", []))
        all_sources = [source for part in sources.values() for source in part]
        self._refuse_missing(folder, all_sources)
        if self.OF_VIDEOS:
            _refuse_shared_files(all_sources)
        _warn_of_shared_subjects(sources)
        return sources

    def _refuse_missing(self, folder: pathlib.Path, sources: Sequence[Source]) -> None:
        paths = [path for source in sources for path in (source.video, *source.ratings)]
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            listed = "\n  ".join([f"{folder}: missing files: {len(missing)}", *missing])
            raise errors.InputError(f"{listed}\n{self.MISSING_REMEDY}")


def _without_missing_ratings(test: list[Source]) -> list[Source]:
    """Drops the ratings of the test partition if no rating file exists; warns of unrated ones."""
    if not any(path.exists() for source in test for path in source.ratings):
        test = [dataclasses.replace(source, ratings=(), read_raters=None) for source in test]
    unrated = [source.name for source in test if not source.ratings]
    if unrated:
        logging.warning(
            f"test recordings without ratings: {', '.join(unrated)}; evaluate with `split=test` "
            "predicts them and scores only the others"
        )
    return test


def _refuse_unrated(folder: pathlib.Path, sources: Sequence[Source]) -> None:
    unrated = [source.name for source in sources if not source.ratings]
    if unrated:
        raise errors.InputError(
            f"{folder}: recordings in train or dev without ratings: {', '.join(unrated)}; only "
            "test recordings may lack ratings: choose others with `train_recordings` and "
            "`dev_recordings`"
        )


def _refuse_shared_files(sources: Sequence[Source]) -> None:
    names: dict[pathlib.Path, str] = {}
    for source in sources:
        for path in (source.video, *source.ratings):
            other = names.setdefault(path.resolve(), source.name)
            if other != source.name:
                raise errors.InputError(
                    f"{path}: belongs to both {other} and {source.name}; expected a file for each"
                )


def warn_of_count(folder: pathlib.Path, count: int, released: int, items: str) -> None:
    """Warns if a folder does not have as many items (a plural noun) as were released."""
    if count != released:
        logging.warning(
            f"{folder}: {count} {items}, but the release has {released}; your scores cannot be "
            "compared with published ones"
        )


def _warn_of_shared_subjects(sources: dict[str, list[Source]]) -> None:
    subjects = [{source.subject for source in part} - {None} for part in sources.values()]
    counts = collections.Counter(itertools.chain(*subjects))
    shared = sorted(str(subject) for subject, splits in counts.items() if splits > 1)
    if shared:
        logging.warning(
            f"people who are in more than one of train, dev and test: {', '.join(shared)}; the "
            "scores will be too optimistic"
        )

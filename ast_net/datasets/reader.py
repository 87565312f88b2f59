"""What the readers share: from a folder on disk to recordings and their gold standard."""

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

Gold = tuple[np.ndarray, np.ndarray]
Partitions = dict[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a recording lies on disk.

    Attributes:
      name: as in the data set, P16.
      video: the video file, or a folder of pictures; it may be missing.
      ratings: the files that its gold standard is made of, which may be missing; none where it is
        not rated, or its maker knows the ratings.
      read: reads them: of each target what its raters said, or the one gold standard. Raises
        InputError.
      read_raters: reads what the single raters said of each target; None where there is a gold
        standard and no more. Raises InputError.
      subject: who is seen, if the data set says.
    """

    name: str
    video: pathlib.Path
    ratings: Sequence[pathlib.Path]
    read: Callable[[], dict[str, annotations.Ratings]]
    read_raters: Callable[[], dict[str, annotations.Ratings]] | None = None
    subject: str | None = None

    def read_gold(self) -> Gold:
        """Reads the gold standard of all targets.

        Returns:
          The ratings' times float64 [R] in seconds, strictly increasing, and the gold standard
          float64 [R, D] of the targets, NaN where there is none; R = 0 without rating files.

        Raises:
          InputError: a file is missing or not what it should be.
        """
        if not self.ratings:
            return np.zeros(0), np.zeros((0, 0))
        return gold_standard.of_targets(self.name, self.read())


class Reader(abc.ABC):
    """A data set on disk: which recordings there are, and where each one lies.

    Its docstring is for users: where to get the data set, and what its folder holds.

    Attributes:
      TARGETS: what it has ratings of.
      REACTION_DELAY: seconds by which its raters lag behind the face, where no other number is
        given.
      FRAME_RATE: its usual frames a second, which the stride of clips is counted in; None where every
        copy has its own, and the training videos' is taken.
      VIDEO_PATTERN: how its video files are called, where that is a setting.
      OF_VIDEOS: whether its recordings are videos.
      RATING_STEP: seconds between the ratings that it releases; None where there is one a frame, or
        every recording has its own.
      RATING_FILE: where it has the ratings of a {recording} and {target}, in a folder of its own;
        predictions are written so too (`challenge_format`).
    """

    TARGETS: tuple[str, ...] = config.TARGETS
    REACTION_DELAY = 0.0
    FRAME_RATE: float | None = None
    VIDEO_PATTERN = ""
    OF_VIDEOS = True
    RATING_STEP: float | None = None
    RATING_FILE = "{target}/{recording}.csv"

    def __init__(self, settings: config.Preparation) -> None:
        """Takes the data set's settings.

        Raises:
          InputError: the data set has no ratings of a target, or no use for a setting.
        """
        self.settings = settings
        unrated = [target for target in settings.targets if target not in self.TARGETS]
        if unrated:
            raise errors.InputError(
                f"{settings.dataset} has no ratings of {', '.join(unrated)}: give `targets` from "
                + ",".join(self.TARGETS)
            )
        if settings.video_pattern is not None and not self.VIDEO_PATTERN:
            raise errors.InputError(
                f"the files of {settings.dataset} have names of their own: leave out `video_pattern`"
            )
        self.video_pattern = settings.video_pattern or self.VIDEO_PATTERN

    @classmethod
    def instructions(cls) -> str:
        """Returns where to get the data set, and what its folder holds."""
        return inspect.getdoc(cls) or ""

    @abc.abstractmethod
    def partitions(self, folder: pathlib.Path) -> Partitions:
        """Returns the data set's own split: the recordings of train, dev and perhaps test.

        Raises:
          InputError: the folder does not hold the data set.
        """

    @abc.abstractmethod
    def source(self, folder: pathlib.Path, name: str) -> Source:
        """Returns where a recording lies in the folder of the data set.

        Raises:
          InputError: the data set has no recording of this name, or it is incomplete.
        """

    def folder(self) -> pathlib.Path:
        """Returns the folder of the data set.

        Raises:
          InputError: there is none.
        """
        given = self.settings.manual_dir
        if given is None or not self.has_folder():
            problem = "not given" if given is None else f"missing: {given}"
            raise errors.InputError(
                f"{self.settings.dataset} is not prepared yet, and its source folder is {problem}: "
                f"give `manual_dir=FOLDER`.\n{self.instructions()}"
            )
        return pathlib.Path(given)

    def has_folder(self) -> bool:
        """Whether the folder of the data set is there."""
        given = self.settings.manual_dir
        return given is not None and pathlib.Path(given).is_dir()

    def sources(self, folder: pathlib.Path) -> dict[str, list[Source]]:
        """Returns the recordings of each split: the settings' or the data set's own.

        Where no rating file of test is there, as challenges hand it out, its recordings come
        without ratings, and a warning says so.

        Raises:
          InputError: files are missing, a recording is named twice, two recordings have one file,
            or train or dev is empty or has recordings without ratings.
        """
        partitions = self.settings.partitions or self.partitions(folder)
        for split in ("train", "dev"):
            if not partitions.get(split):
                raise errors.InputError(
                    f"{folder}: the {split} partition is empty: give `{split}_recordings`"
                )
        names = [name for split in partitions.values() for name in split]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise errors.InputError(f"recordings in more than one place of the partitions: {twice}")
        sources = {s: [self.source(folder, name) for name in partitions[s]] for s in partitions}
        if self.OF_VIDEOS:
            if "test" in sources:
                sources["test"] = _without_missing_ratings(sources["test"])
            _refuse_unrated(folder, sources["train"] + sources["dev"])
        everything = [source for part in sources.values() for source in part]
        _refuse_missing(folder, everything)
        if self.OF_VIDEOS:
            _refuse_shared_files(everything)
        _warn_of_shared_subjects(sources)
        return sources


def _without_missing_ratings(test: list[Source]) -> list[Source]:
    """Returns test's recordings without ratings if no rating file is there; warns of all such."""
    if not any(path.exists() for source in test for path in source.ratings):
        test = [dataclasses.replace(source, ratings=(), read_raters=None) for source in test]
    unrated = [source.name for source in test if not source.ratings]
    if unrated:
        logging.warning(
            f"test: no ratings of {', '.join(unrated)}: evaluate with `split=test` predicts what "
            "has none, and scores the others"
        )
    return test


def _refuse_unrated(folder: pathlib.Path, sources: Sequence[Source]) -> None:
    unrated = [source.name for source in sources if not source.ratings]
    if unrated:
        raise errors.InputError(
            f"{folder}: recordings of train or dev without ratings: {', '.join(unrated)}; expected "
            "them in test: name others with `train_recordings` and `dev_recordings`"
        )


def _refuse_missing(folder: pathlib.Path, sources: Sequence[Source]) -> None:
    paths = [path for source in sources for path in (source.video, *source.ratings)]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise errors.InputError(
            "\n  ".join([f"{folder}: missing files: {len(missing)}", *missing])
            + "\nGive the whole data set's folder with `manual_dir`, or name the recordings that "
            "you have with `train_recordings`, `dev_recordings` and `test_recordings`"
        )


def _refuse_shared_files(sources: Sequence[Source]) -> None:
    names: dict[pathlib.Path, str] = {}
    for source in sources:
        for path in (source.video, *source.ratings):
            other = names.setdefault(path.resolve(), source.name)
            if other != source.name:
                raise errors.InputError(
                    f"{path}: is a file of both {other} and {source.name}; expected one for each"
                )


def warn_of_count(where: pathlib.Path, count: int, released: int, what: str) -> None:
    """Warns where a folder does not hold all that was released, or more."""
    if count != released:
        logging.warning(
            f"{where}: {count} {what}, but the release has {released}; do not compare your figures "
            "with those of others"
        )


def _warn_of_shared_subjects(sources: dict[str, list[Source]]) -> None:
    subjects = [{source.subject for source in part} - {None} for part in sources.values()]
    counts = collections.Counter(itertools.chain(*subjects))
    shared = sorted(str(subject) for subject, splits in counts.items() if splits > 1)
    if shared:
        logging.warning(
            "people in more than one of the partitions, which makes the figures look better than "
            f"they are: {', '.join(shared)}"
        )

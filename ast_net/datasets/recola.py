"""RECOLA (Ringeval et al., FG Workshops 2013) as its owners release it."""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from ast_net import errors
from ast_net.datasets import annotations, builder, gold_standard

VIDEOS = "RECOLA-Video-recordings"
RATINGS = "RECOLA-Annotation/emotional_behaviour"
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv")


def _names(numbers: str) -> tuple[str, ...]:
    return tuple(f"P{number}" for number in numbers.split())


class Recola(builder.SegmentsBuilder):
    """Segments of RECOLA's recordings: fc6 and gold standard of each frame (`records.features_dict`)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS: str | None = f"""
    RECOLA is handed out by its owners to those who sign their agreement. Give the folder that holds
      {RATINGS}/{{arousal,valence}}/P16.csv
      {VIDEOS}/P16.mp4
    and the same for the other recordings.
    """

    # The 23 recordings that are shared, each in its part of the literature's split of all 46.
    PARTITIONS = {
        "train": _names("16 17 21 23 25 37 39 41 46 56"),
        "dev": _names("19 26 28 30 34 42 43 45 64 65"),
        "test": _names("48 58 62"),
    }

    def recordings(self, folder: pathlib.Path) -> dict[str, list[builder.Source]]:
        partitions = self.builder_config.partitions or self.PARTITIONS
        targets = self.builder_config.targets
        return {
            split: [_source(folder, name, targets) for name in names]
            for split, names in partitions.items()
        }


def _source(folder: pathlib.Path, name: str, targets: Sequence[str]) -> builder.Source:
    videos = [folder / VIDEOS / f"{name}{suffix}" for suffix in VIDEO_SUFFIXES]
    video = next((path for path in videos if path.is_file()), videos[0])
    ratings = {target: folder / RATINGS / target / f"{name}.csv" for target in targets}
    read = functools.partial(read_gold, name, ratings)
    return builder.Source(name, video, list(ratings.values()), read)


def read_gold(name: str, files: dict[str, pathlib.Path]) -> tuple[np.ndarray, np.ndarray]:
    """The times float64 [R] of a recording's ratings and the gold standard [R, D] of each target's file.

    Raises:
      InputError: a file is missing or not what it should be, or the targets were rated at other times.
    """
    ratings = {target: annotations.read_ratings(path) for target, path in files.items()}
    times = next(iter(ratings.values())).times
    if any(not np.array_equal(times, rated.times) for rated in ratings.values()):
        raise errors.InputError(
            f"{name}: {', '.join(files)} were rated at different times; expected the same times in "
            f"{' and '.join(str(path) for path in files.values())}"
        )
    gold = [
        gold_standard.gold_standard(rated.values, f"{name}, {target}")
        for target, rated in ratings.items()
    ]
    return times, np.stack(gold, axis=1)

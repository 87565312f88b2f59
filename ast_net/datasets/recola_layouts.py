"""The four folder layouts in which RECOLA is released; recognises and reads each of them."""

import dataclasses
import pathlib
import re
from collections.abc import Callable

from ast_net import config, errors
from ast_net.datasets import annotations, arff

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv")
_INDIVIDUAL = "individual"
_AVEC_NAME = re.compile(r"(train|dev|test)_\d+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the files are in one of RECOLA's releases. All paths are relative to its folder.

    Attributes:
      name: name of the layout, for messages.
      ratings: the folder with the ratings, which has a folder for each target; `*` matches any
        name.
      videos: folders that may contain the videos, in the order in which they are searched.
      partitions: the rated recordings of each split.
      read: reads a rating file: several raters' ratings, or one gold standard.
      raters: the folder with the individual raters' files; empty if they are not released.
      suffix: suffix of the rating files.
    """

    name: str
    ratings: str
    videos: tuple[str, ...]
    partitions: dict[str, tuple[str, ...]]
    read: Callable[[pathlib.Path], annotations.Ratings]
    raters: str = ""
    suffix: str = ".csv"

    def split(self, folder: pathlib.Path) -> dict[str, tuple[str, ...]]:
        """Returns the recordings of each split, with a challenge's unrated test videos."""
        if "test" in self.partitions:
            return self.partitions
        paths = [path for videos in self.videos for path in (folder / videos).glob("test_*")]
        names = {path.stem for path in paths if path.suffix in VIDEO_SUFFIXES}
        test = sorted(filter(_AVEC_NAME.fullmatch, names), key=lambda name: (len(name), name))
        return self.partitions | ({"test": tuple(test)} if test else {})

    def rating_file(self, folder: pathlib.Path, target: str, recording: str) -> pathlib.Path:
        """Returns the path of a target's rating file."""
        return folder / self.ratings / target / f"{recording}{self.suffix}"

    def video(self, folder: pathlib.Path, recording: str) -> pathlib.Path:
        """Returns the path of the video, or the path where it is expected if there is none."""
        names = [f"{recording}{suffix}" for suffix in VIDEO_SUFFIXES]
        candidates = [folder / videos / name for videos in self.videos for name in names]
        return next((path for path in candidates if path.is_file()), candidates[0])


def recognise(folder: pathlib.Path) -> list[Layout]:
    """Returns the layouts in which a folder has ratings; the first one is to be used.

    AVEC 2018 has several gold standards; the first by name, gs_1, is that of the baseline.

    Raises:
      InputError: the folder has no ratings in any layout.
    """
    layouts = [
        dataclasses.replace(layout, ratings=ratings.relative_to(folder).as_posix())
        for layout in LAYOUTS
        for ratings in sorted(folder.glob(layout.ratings))
        if ratings.name != _INDIVIDUAL
        and any(any((ratings / t).glob(f"*{layout.suffix}")) for t in config.TARGETS)
    ]
    if not layouts:
        raise errors.InputError(
            f"{folder}: has no RECOLA ratings; expected one of these layouts:{EXPECTED}"
        )
    return layouts


def read_gold(path: pathlib.Path) -> annotations.Ratings:
    """Reads the gold standard of a target: two columns, time and value, with or without a header.

    Raises:
      InputError: as `annotations.read_ratings`, or there are more columns.
    """
    table, time = annotations.read_timed(path, headerless=("time", "gold standard"))
    if len(table.names) != 2:
        raise errors.InputError(
            f"{path}: found the columns {', '.join(table.names)}; expected only time and the gold "
            "standard"
        )
    return annotations.from_table(table, time, [1 - time])


def read_arff(path: pathlib.Path) -> annotations.Ratings:
    """Reads the gold standard of a target from AVEC's attributes frameTime and GoldStandard.

    Raises:
      InputError: as `annotations.read_ratings`, or a row belongs to another recording than the file
        name says.
    """
    table = arff.read(path, ("frametime", "goldstandard"))
    if "instance_name" in map(str.lower, table.names):
        column = table.column("instance_name")
        for line, cells in table.rows:
            name = cells[column]
            if _AVEC_NAME.fullmatch(name) and name.lower() != path.stem.lower():
                raise errors.InputError(
                    f"{path}, line {line}: found a rating of {name}, expected {path.stem}; "
                    "check that the file was not renamed or mixed up"
                )
    return annotations.from_table(table, table.column("frametime"), [table.column("goldstandard")])


# The 23 recordings that are released, each in its part of the literature's split of all 46.
SHARED = {
    "train": ("P16", "P17", "P21", "P23", "P25", "P37", "P39", "P41", "P46", "P56"),
    "dev": ("P19", "P26", "P28", "P30", "P34", "P42", "P43", "P45", "P64", "P65"),
    "test": ("P48", "P58", "P62"),
}
# The labels of AVEC's test partition were never released; `Layout.split` adds its videos.
AVEC = {split: tuple(f"{split}_{k}" for k in range(1, 10)) for split in ("train", "dev")}

RELEASE = Layout(
    name="RECOLA's own release",
    ratings="RECOLA-Annotation/emotional_behaviour",
    videos=("RECOLA-Video-recordings", "Video_recordings_MP4"),
    partitions=SHARED,
    read=annotations.read_ratings,
    raters="RECOLA-Annotation/emotional_behaviour",
)
CENTRED = Layout(
    name="RECOLA's CCC-centred ratings",
    ratings="Ratings_affective_behaviour_CCC_centred",
    videos=("Video_recordings_MP4", "RECOLA-Video-recordings"),
    partitions=SHARED,
    read=read_gold,
)
AVEC_2016 = Layout(
    name="AVEC 2015 and 2016",
    ratings="ratings_gold_standard",
    suffix=".arff",
    videos=("recordings_video",),
    partitions=AVEC,
    read=read_arff,
    raters="ratings_individual",
)
AVEC_2018 = dataclasses.replace(
    AVEC_2016,
    name="AVEC 2018",
    ratings="labels/*",
    videos=("recordings_video", "recordings/video"),
    raters=f"labels/{_INDIVIDUAL}",
)
# If a folder has several layouts, the first of these is read. Individual raters come before gold
# standards, as they tell more; of the challenges, the older one has the paper's 9 + 9 recordings.
LAYOUTS = (RELEASE, CENTRED, AVEC_2016, AVEC_2018)
EXPECTED = "".join(
    f"\n  {layout.name}:"
    f"\n    {layout.ratings}/{{arousal,valence}}/{layout.partitions['dev'][0]}{layout.suffix}"
    f"\n    {layout.videos[0]}/{layout.partitions['dev'][0]}{VIDEO_SUFFIXES[0]}"
    for layout in LAYOUTS
)

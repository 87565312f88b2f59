"""The four ways in which RECOLA lies on people's disks, and how each is recognised and read."""

import dataclasses
import pathlib
import re
from collections.abc import Callable

from ast_net import config, errors
from ast_net.datasets import annotations, arff, separated_text

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv")
_INDIVIDUAL = "individual"
_AVEC_NAME = re.compile(r"(train|dev|test)_\d+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where RECOLA's files lie, below the folder that the owners hand out.

    Attributes:
      name: what to call it.
      ratings: the folder that has a folder for each target; a `*` stands for any name.
      videos: folders that may hold the videos, the first that has one.
      partitions: the recordings of each split that are rated.
      read: the ratings of a file, those of several raters or the one gold standard.
      raters: the folder of the single raters' files, if they are handed out.
      suffix: of the rating files.
    """

    name: str
    ratings: str
    videos: tuple[str, ...]
    partitions: dict[str, tuple[str, ...]]
    read: Callable[[pathlib.Path], annotations.Ratings]
    raters: str = ""
    suffix: str = ".csv"

    def split(self, folder: pathlib.Path) -> dict[str, tuple[str, ...]]:
        """The recordings of each split, with a challenge's test videos, which have no ratings."""
        if "test" in self.partitions:
            return self.partitions
        paths = [path for videos in self.videos for path in (folder / videos).glob("test_*")]
        names = {path.stem for path in paths if path.suffix in VIDEO_SUFFIXES}
        test = sorted(filter(_AVEC_NAME.fullmatch, names), key=lambda name: (len(name), name))
        return self.partitions | ({"test": tuple(test)} if test else {})

    def rating_file(self, folder: pathlib.Path, target: str, recording: str) -> pathlib.Path:
        """Where the ratings of a target lie."""
        return folder / self.ratings / target / f"{recording}{self.suffix}"

    def video(self, folder: pathlib.Path, recording: str) -> pathlib.Path:
        """Where the video lies, or where it is expected if there is none."""
        names = [f"{recording}{suffix}" for suffix in VIDEO_SUFFIXES]
        candidates = [folder / videos / name for videos in self.videos for name in names]
        return next((path for path in candidates if path.is_file()), candidates[0])


def recognise(folder: pathlib.Path) -> list[Layout]:
    """Returns the layouts that a folder holds ratings in, the one to read first.

    Of several gold standards of AVEC 2018 the first by name comes first: gs_1, that of the
    baseline.

    Raises:
      InputError: it holds none.
    """
    found = [
        dataclasses.replace(layout, ratings=ratings.relative_to(folder).as_posix())
        for layout in LAYOUTS
        for ratings in sorted(folder.glob(layout.ratings))
        if ratings.name != _INDIVIDUAL
        and any(any((ratings / t).glob(f"*{layout.suffix}")) for t in config.TARGETS)
    ]
    if not found:
        raise errors.InputError(f"{folder}: holds no ratings of RECOLA. Expected one of{EXPECTED}")
    return found


def read_gold(path: pathlib.Path) -> annotations.Ratings:
    """Reads one target's gold standard: two columns, time and value, with a header or without.

    Raises:
      InputError: as `annotations.read_ratings`, and where there are more columns.
    """
    table = separated_text.read(path, ("time",), headerless=("time", "gold standard"))
    if len(table.names) != 2:
        raise errors.InputError(
            f"{path}: found the columns {', '.join(table.names)}; expected time and the gold "
            "standard, and no other"
        )
    time = table.column("time")
    return annotations.from_table(table, time, [1 - time])


def read_arff(path: pathlib.Path) -> annotations.Ratings:
    """Reads one target's gold standard from AVEC's attributes frameTime and GoldStandard.

    Raises:
      InputError: as `annotations.read_ratings`, and where the rows are of another recording than
        the file.
    """
    table = arff.read(path, ("frametime", "goldstandard"))
    if "instance_name" in map(str.lower, table.names):
        column = table.column("instance_name")
        for line, cells in table.rows:
            name = cells[column]
            if _AVEC_NAME.fullmatch(name) and name.lower() != path.stem.lower():
                raise errors.InputError(
                    f"{path}, line {line}: found a rating of {name}, expected {path.stem}; "
                    "the file has another's name or rows"
                )
    return annotations.from_table(table, table.column("frametime"), [table.column("goldstandard")])


# The 23 recordings that are shared, each in its part of the literature's split of all 46.
SHARED = {
    "train": ("P16", "P17", "P21", "P23", "P25", "P37", "P39", "P41", "P46", "P56"),
    "dev": ("P19", "P26", "P28", "P30", "P34", "P42", "P43", "P45", "P64", "P65"),
    "test": ("P48", "P58", "P62"),
}
# The labels of AVEC's test partition were never handed out; `Layout.split` adds its videos.
AVEC = {split: tuple(f"{split}_{k}" for k in range(1, 10)) for split in ("train", "dev")}

OWN = Layout(
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
# Where a folder holds several, the first of these is read: single raters say more than a gold
# standard, and of the challenges' the older has the paper's 9 and 9 recordings.
LAYOUTS = (OWN, CENTRED, AVEC_2016, AVEC_2018)
EXPECTED = "".join(
    f"\n  {layout.name}:"
    f"\n    {layout.ratings}/{{arousal,valence}}/{layout.partitions['dev'][0]}{layout.suffix}"
    f"\n    {layout.videos[0]}/{layout.partitions['dev'][0]}{VIDEO_SUFFIXES[0]}"
    for layout in LAYOUTS
)

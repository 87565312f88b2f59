"""A user's own recordings: a list of videos and rating files."""

import functools
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from ast_net import config, errors
from ast_net.datasets import annotations, reader, separated_text

LIST = "recordings.csv"
_COLUMNS = ("recording", "video", "split", "ratings")
_SCALE_COLUMN = "rating_scale"
# Output files are named after recordings.
_NAME = re.compile(r"\w[\w .+-]{0,99}")


class _Row(NamedTuple):
    """A line of the list; `rating_scale` is None if the line names none."""

    line: int
    video: str
    split: str
    ratings: str
    rating_scale: tuple[float, ...] | None


class RecordingList(reader.Reader):
    """Your own recordings.

    Give the folder that contains recordings.csv, with a line for each recording:
      recording,video,split,ratings
      anna,videos/anna.mp4,train,ratings/anna.csv
      ben,videos/ben.mp4,dev,ratings/ben.csv
    split is train, dev or test; test recordings need no ratings, and test recordings alone are
    enough to evaluate. A rating file has the time in seconds and either a column for each target,
    or a column for each target and rater; the gold standard is then computed from the raters.
    Ratings are in [-1, 1]; name another scale with `rating_scale=1,9`, or with a column
    rating_scale in the list, such as 1 9:
      time,valence,arousal             or   time,valence_kim,valence_lee,arousal_kim,arousal_lee
      0.00,0.12,-0.3                        0.00,0.1,0.2,-0.3,-0.4
    """

    TARGETS = config.ALL_TARGETS
    HAS_OWN_SCALE = False
    MISSING_REMEDY = f"Correct the paths in {LIST}, or delete the lines of these recordings"

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        splits: dict[str, list[str]] = {}
        for name, row in _read_list(folder / LIST).items():
            splits.setdefault(row.split, []).append(name)
        return {split: tuple(splits[split]) for split in config.SPLITS if split in splits}

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        rows = _read_list(folder / LIST)
        if name not in rows:
            raise errors.InputError(
                f"{folder / LIST}: has no recording {name}; expected one of {', '.join(rows)}"
            )
        row = rows[name]
        video, ratings = folder / row.video, folder / row.ratings
        scale = row.rating_scale or self.settings.rating_scale
        read = functools.partial(read_targets, ratings, self.settings.targets, scale)
        if not row.ratings:
            return reader.Source(name, video, [], dict)
        return reader.Source(name, video, [ratings], read, read, rating_scale=scale)


def read_targets(
    path: pathlib.Path, targets: Sequence[str], scale: Sequence[float] = config.RATING_SCALE
) -> dict[str, annotations.Ratings]:
    """Reads the ratings of several targets from one file, which has a column of times.

    A target has one column of its name, `valence`, or one for each rater, `valence_anna`. Other
    columns are ignored.

    Args:
      path: the file.
      targets: the targets to read.
      scale: the lowest and the highest rating that the raters could give.

    Raises:
      InputError: as `annotations.read_ratings`, or a target has no column, or columns of both
        kinds.
    """
    table, time = annotations.read_timed(path)
    lowered = [name.lower() for name in table.names]
    result = {}
    for target in targets:
        gold = [k for k, name in enumerate(lowered) if name == target]
        raters = [k for k, name in enumerate(lowered) if name.startswith(f"{target}_")]
        if len(gold) > 1 or bool(gold) == bool(raters):
            raise errors.InputError(
                f"{path}: found the columns {', '.join(table.names)}; expected either one column "
                f"named {target}, or one for each rater, such as {target}_anna; a column may be "
                "empty"
            )
        result[target] = annotations.from_table(table, time, gold or raters, scale)
    return result


def _read_list(path: pathlib.Path) -> dict[str, _Row]:
    """Reads the list; returns the row of each recording, by name."""
    if not path.is_file():
        raise errors.InputError(f"{path}: no such file.\n{RecordingList.instructions()}")
    table = separated_text.read(path, _COLUMNS)
    columns = {name: table.column(name) for name in _COLUMNS}
    scales = _SCALE_COLUMN in map(str.lower, table.names)
    result: dict[str, _Row] = {}
    for line, cells in table.rows:
        name, video, split, ratings = (cells[columns[column]] for column in _COLUMNS)
        split, place = split.lower(), f"{path}, line {line}"
        if not _NAME.fullmatch(name):
            raise errors.InputError(
                f"{place}: found the recording name {name!r}, expected letters, digits, spaces and "
                ".+-_"
            )
        if split not in config.SPLITS:
            raise errors.InputError(
                f"{place}: found the split {split!r}, expected one of {', '.join(config.SPLITS)}"
            )
        if not video or not (ratings or split == "test"):
            kind = "ratings" if video else "video"
            raise errors.InputError(f"{place}: {kind} is empty; expected the path of a file")
        if name in result:
            raise errors.InputError(
                f"{place}: {name} is already in line {result[name].line}; list it once"
            )
        scale = _read_scale(cells[table.column(_SCALE_COLUMN)], place) if scales else None
        result[name] = _Row(line, video, split, ratings, scale)
    return result


def _read_scale(cell: str, place: str) -> tuple[float, ...] | None:
    if not cell:
        return None
    try:
        scale = tuple(float(number) for number in re.split(r"[\s,;]+", cell))
        return config.DataSource(rating_scale=scale).rating_scale
    except ValueError as error:
        raise errors.InputError(
            f"{place}: found the {_SCALE_COLUMN} {cell!r}, expected the lowest and the highest "
            "rating with a blank between them, such as 1 9"
        ) from error

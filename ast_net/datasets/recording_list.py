"""Anybody's own recordings: a list of videos and rating files."""

import functools
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ast_net import config, errors
from ast_net.datasets import annotations, gold_standard, reader, separated_text

LIST = "recordings.csv"
_COLUMNS = ("recording", "video", "split", "ratings")
# Files are named after recordings.
_NAME = re.compile(r"\w[\w .+-]{0,99}")


class RecordingList(reader.Reader):
    """Anybody's own recordings.

    Give the folder that holds recordings.csv, with a line for each recording:
      recording,video,split,ratings
      anna,videos/anna.mp4,train,ratings/anna.csv
      ben,videos/ben.mp4,dev,ratings/ben.csv
    split is train, dev or test. A rating file has a column of seconds and one for each target, or one
    for each target and rater, of which the gold standard is made; ratings are in [-1, 1]:
      time,valence,arousal             or   time,valence_kim,valence_lee,arousal_kim,arousal_lee
      0.00,0.12,-0.3                        0.00,0.1,0.2,-0.3,-0.4
    """

    TARGETS = config.ALL_TARGETS

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        listed = _read_list(folder / LIST)
        partitions = {
            split: tuple(name for name, row in listed.items() if row["split"] == split)
            for split in config.SPLITS
        }
        empty = [split for split in ("train", "dev") if not partitions[split]]
        if empty:
            raise errors.InputError(
                f"{folder / LIST}: no recording's split is {' or '.join(empty)}; expected some of train "
                "to learn from, and some of dev to choose the best model by"
            )
        return {split: names for split, names in partitions.items() if names}

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        listed = _read_list(folder / LIST)
        if name not in listed:
            raise errors.InputError(
                f"{folder / LIST}: has no recording {name}; expected some of {', '.join(listed)}"
            )
        ratings, targets = folder / listed[name]["ratings"], self.settings.targets
        return reader.Source(
            name,
            folder / listed[name]["video"],
            [ratings],
            functools.partial(read_gold, name, ratings, targets),
            functools.partial(read_targets, ratings, targets),
        )

    def sources(self, folder: pathlib.Path) -> dict[str, list[reader.Source]]:
        """As the base's; what is wrong with the files is said with the lines of the list."""
        partitions = self.settings.partitions or self.partitions(folder)
        listed = _read_list(folder / LIST)
        used = {name for names in partitions.values() for name in names}
        _check_files(folder / LIST, {name: row for name, row in listed.items() if name in used})
        return super().sources(folder)


def read_gold(
    name: str, path: pathlib.Path, targets: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The times float64 [R] of a recording's ratings and the gold standard [R, D] of the targets.

    Raises:
      InputError: the file is missing or not what it should be.
    """
    return gold_standard.of_targets(name, read_targets(path, targets))


def read_targets(path: pathlib.Path, targets: Sequence[str]) -> dict[str, annotations.Ratings]:
    """Reads a rating file, that has a column `time` in seconds.

    A target has one column of its name, `valence`, or one for each rater, `valence_anna`. Other columns
    are left alone.

    Raises:
      InputError: as `annotations.read_ratings`, and where a target has no column, or both kinds.
    """
    table = separated_text.read(path, ("time",))
    lowered = [name.lower() for name in table.names]
    result = {}
    for target in targets:
        own = [k for k, name in enumerate(lowered) if name == target]
        raters = [k for k, name in enumerate(lowered) if name.startswith(f"{target}_")]
        if len(own) > 1 or bool(own) == bool(raters):
            raise errors.InputError(
                f"{path}: found the columns {', '.join(table.names)}; expected either one named {target}, or "
                f"one for each rater such as {target}_anna; left empty where nobody has rated {target}"
            )
        result[target] = annotations.from_table(
            table, separated_text.column(table, "time"), own or raters
        )
    return result


def _read_list(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """Of each recording: its line, video, split and ratings, as the list has them."""
    if not path.is_file():
        raise errors.InputError(f"{path}: no such file.\n{RecordingList.instructions()}")
    table = separated_text.read(path, _COLUMNS)
    columns = {name: separated_text.column(table, name) for name in _COLUMNS}
    result: dict[str, dict[str, str]] = {}
    for line, cells in table.rows:
        row = {name: cells[k] for name, k in columns.items()} | {"line": str(line)}
        name, where = row["recording"], f"{path}, line {line}"
        if not _NAME.fullmatch(name):
            raise errors.InputError(
                f"{where}: found the recording {name!r}, expected a name of letters, digits, blanks and .+-_"
            )
        row["split"] = row["split"].lower()
        if row["split"] not in config.SPLITS:
            raise errors.InputError(
                f"{where}: found the split {row['split']!r}, expected {', '.join(config.SPLITS[:-1])} or {config.SPLITS[-1]}"
            )
        if name in result:
            raise errors.InputError(
                f"{where}: {name} is in line {result[name]['line']} already; expected each recording once"
            )
        result[name] = row
    return result


def _check_files(path: pathlib.Path, listed: dict[str, dict[str, str]]) -> None:
    """Raises InputError where files are missing, or two recordings have one file."""
    missing = [
        f"{path}, line {row['line']}: no {kind} {path.parent / row[kind]}"
        for row in listed.values()
        for kind in ("video", "ratings")
        if not os.path.isfile(path.parent / row[kind])
    ]
    if missing:
        raise errors.InputError(
            "\n".join([f"{len(missing)} files are missing:", *missing])
            + f"\nPaths are expected to be absolute, or to start at {path.parent}"
        )
    for kind in ("video", "ratings"):
        first: dict[str, str] = {}
        for row in listed.values():
            real = os.path.realpath(path.parent / row[kind])
            if real in first:
                raise errors.InputError(
                    f"{path}, line {row['line']}: {row[kind]} is that of line {first[real]}; expected each "
                    f"recording to have its own {kind}"
                )
            first[real] = row["line"]

"""Reads FER+ (Barsoum et al., ICMI 2016): ten people's votes on each picture of FER2013."""

import csv
import pathlib

import numpy as np

from ast_net import errors, files
from ast_net.datasets import fer2013

FILE = "fer2013new.csv"
# A neighbour of FER2013's folder that may hold the file instead.
FOLDER = "ferplus"
# FER2013's expressions, in the same order, and an eighth.
EXPRESSIONS = (*fer2013.EXPRESSIONS, "contempt")
# The file's columns in the order of the votes: those of EXPRESSIONS, then two that name none.
_COLUMNS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
    "contempt",
    "unknown",
    "NF",
)
_PEOPLE = 10
_ERRORS_SHOWN = 5


def find_votes(folder: pathlib.Path) -> pathlib.Path:
    """Finds fer2013new.csv in FER2013's folder, in `ferplus` in it, or in `ferplus` beside it.

    Raises:
      InputError: it is in none of them.
    """
    places = (folder, folder / FOLDER, folder.resolve().parent / FOLDER)
    for place in places:
        if (place / FILE).is_file():
            return place / FILE
    raise errors.InputError(
        f"{folder}: found no {FILE}, here or in {places[1]} or {places[2]}; download it from "
        "https://github.com/microsoft/FERPlus into the folder of fer2013.csv"
    )


def read_votes(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads fer2013new.csv.

    Returns:
      In the order of fer2013.csv's rows the votes, uint8 [n, 10], those for each of EXPRESSIONS,
      then "unknown", then "no face"; and the splits, [n].

    Raises:
      InputError: it is not FER+'s csv file, or rows are malformed (the first ones are listed).
    """
    votes: list[list[int]] = []
    splits: list[str] = []
    wrong: list[str] = []
    with files.reading(path, "a table of votes"), path.open(encoding="ascii", newline="") as file:
        rows = csv.DictReader(file)
        missing = {"Usage", *_COLUMNS} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"line 1: found no columns {', '.join(sorted(missing))}")
        for row in rows:
            try:
                split, counts = parse_row(row)
                splits.append(split)
                votes.append(counts)
            except ValueError as error:
                wrong.append(f"line {rows.line_num}: {error}")
    if wrong:
        listed = "\n  ".join(wrong[:_ERRORS_SHOWN] + ["..."] * (len(wrong) > _ERRORS_SHOWN))
        raise errors.InputError(
            f"{path}: {len(wrong)} rows are malformed:\n  {listed}\nDownload the file again"
        )
    return np.array(votes, np.uint8), np.array(splits)


def parse_row(row: dict[str, str]) -> tuple[str, list[int]]:
    """Parses a row of the csv file: its split and its ten numbers of votes.

    Raises:
      ValueError: the row is malformed.
    """
    if row["Usage"] not in fer2013.SPLITS:
        expected = ", ".join(fer2013.SPLITS)
        raise ValueError(f"found Usage {row['Usage']!r}, expected one of {expected}")
    texts = [row[name] or "" for name in _COLUMNS]
    if not all(text.isdecimal() for text in texts) or sum(map(int, texts)) > _PEOPLE:
        found = ",".join(texts)
        raise ValueError(f"found the votes {found}, expected numbers with a sum of {_PEOPLE}")
    return fer2013.SPLITS[row["Usage"]], [int(text) for text in texts]


def read(folder: pathlib.Path) -> dict[str, fer2013.Split]:
    """Reads the pictures of fer2013.csv and the votes on them.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and votes uint8 [n, 10].

    Raises:
      InputError: a file is missing or damaged, or the two do not have the same rows.
    """
    source, path = fer2013.find_source(folder), find_votes(folder)
    if source.is_dir():
        raise errors.InputError(
            f"{folder}: found folders of pictures, but FER+ has a row for each row of fer2013.csv: "
            "put fer2013.csv or fer2013.csv.gz there"
        )
    images, labels, splits = fer2013.read_rows(source)
    votes, rated = read_votes(path)
    if not np.array_equal(splits, rated):
        same = splits[: len(rated)] == rated[: len(splits)]
        row = len(same) if same.all() else int(np.argmin(same))
        raise errors.InputError(
            f"{path}: found {len(rated)} rows, but {source} has {len(splits)}, and the Usage of "
            f"row {row + 1} differs: expected a row for each picture, in the same order. Download "
            "both files again"
        )
    fer2013.check_counts(source, fer2013.by_split(splits, images, labels))
    return fer2013.by_split(splits, images, votes)


def agreed(votes: np.ndarray) -> np.ndarray:
    """Leaves out the votes that only one person gave, as the FER+ paper does; [n, 10]."""
    return np.where(votes > 1, votes, 0)


def distributions(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes what to train on from votes [n, 10].

    Single votes are left out. A picture is dropped if nothing is left, or if "unknown" and "no
    face" together have more than half. Otherwise these two are left out as well, since they do not
    say which expression it is, and the rest is normalised.

    Returns:
      Which pictures are kept, bool [n], and their probabilities of EXPRESSIONS, float32 [kept, 8].
    """
    counts = agreed(votes)
    named = counts[:, : len(EXPRESSIONS)]
    total = named.sum(axis=1)
    kept = (total > 0) & (2 * total >= counts.sum(axis=1))
    return kept, (named[kept] / total[kept, np.newaxis]).astype(np.float32)


def majorities(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the pictures and labels that the FER+ paper's accuracy counts, from votes [n, 10].

    Single votes are left out; then one of EXPRESSIONS must have more than half of all votes,
    "unknown" and "no face" included.

    Returns:
      Which pictures are counted, bool [n], and their labels, int64 [counted].
    """
    counts = agreed(votes).astype(np.int64)
    winner = counts.argmax(axis=1)
    counted = (2 * counts.max(axis=1) > counts.sum(axis=1)) & (winner < len(EXPRESSIONS))
    return counted, winner[counted]

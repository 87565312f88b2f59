"""Reads FER+ (Barsoum et al., ICMI 2016): ten people's votes on each picture of FER2013."""

import csv
import pathlib

import numpy as np

from ast_net import errors, files
from ast_net.datasets import fer2013

FILE = "fer2013new.csv"
# The file may lie in a folder of this name instead of in FER2013's folder.
FOLDER = "ferplus"
# FER2013's expressions in the same order, and an eighth.
EXPRESSIONS = (*fer2013.EXPRESSIONS, "contempt")
# The columns of the votes: those for EXPRESSIONS, in their order, then two for no expression.
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
# Valence and arousal of "happy", "surprised" and so on, as students rated these terms (Russell and
# Mehrabian 1977, "Evidence for a three-factor theory of emotions", Table 1). A neutral face is the
# origin.
CIRCUMPLEX = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
    "neutral": (0.0, 0.0),
    "contempt": (-0.23, 0.31),
}
_ERRORS_SHOWN = 5


def find_votes(folder: pathlib.Path) -> pathlib.Path:
    """Finds fer2013new.csv in FER2013's folder, or in a folder `ferplus` inside or beside it.

    Raises:
      InputError: none of these folders has the file.
    """
    places = (folder, folder / FOLDER, folder.resolve().parent / FOLDER)
    for place in places:
        if (place / FILE).is_file():
            return place / FILE
    raise errors.InputError(
        f"{folder}: found no {FILE}, neither there nor in {places[1]} or {places[2]}: download it "
        "from https://github.com/microsoft/FERPlus into the folder that holds fer2013.csv"
    )


def read_votes(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads fer2013new.csv.

    Returns:
      Votes uint8 [n, 10] and splits [n], in the order of fer2013.csv's rows. The votes are those
      for each of EXPRESSIONS, then those for "unknown" and "no face".

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
            raise ValueError(f"line 1: missing columns: {', '.join(sorted(missing))}")
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
    """Returns the split of a row of the csv file, and its ten numbers of votes.

    Raises:
      ValueError: the row is malformed.
    """
    if row["Usage"] not in fer2013.SPLITS:
        expected = ", ".join(fer2013.SPLITS)
        raise ValueError(f"found Usage {row['Usage']!r}, expected one of {expected}")
    texts = [row[name] or "" for name in _COLUMNS]
    if not all(text.isdecimal() for text in texts) or sum(map(int, texts)) > _PEOPLE:
        found = ",".join(texts)
        raise ValueError(
            f"found the votes {found}, expected counts with a sum of at most {_PEOPLE}"
        )
    return fer2013.SPLITS[row["Usage"]], [int(text) for text in texts]


def read(folder: pathlib.Path) -> dict[str, fer2013.Split]:
    """Reads the pictures of fer2013.csv and the votes of fer2013new.csv.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and votes uint8 [n, 10].

    Raises:
      InputError: a file is missing or damaged, or the files have different rows.
    """
    source, path = fer2013.find_source(folder), find_votes(folder)
    if source.is_dir():
        raise errors.InputError(
            f"{folder}: found folders of pictures, but FER+ rates the rows of fer2013.csv: put "
            "fer2013.csv or fer2013.csv.gz there"
        )
    images, labels, splits = fer2013.read_rows(source)
    votes, splits_of_votes = read_votes(path)
    if not np.array_equal(splits, splits_of_votes):
        same = splits[: len(splits_of_votes)] == splits_of_votes[: len(splits)]
        row = len(same) if same.all() else int(np.argmin(same))
        raise errors.InputError(
            f"{path}: found {len(splits_of_votes)} rows, but {source} has {len(splits)}, and the "
            f"Usage of row {row + 1} differs: expected a row for each picture, in the same order. "
            "Download both files again"
        )
    fer2013.check_counts(source, fer2013.by_split(splits, images, labels))
    return fer2013.by_split(splits, images, votes)


def agreed(votes: np.ndarray) -> np.ndarray:
    """Sets votes [n, 10] that only one person gave to 0, as the FER+ paper does."""
    return np.where(votes > 1, votes, 0)


def distributions(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the probabilities to train on from votes [n, 10].

    Single votes are not counted. A picture is dropped if it has no other votes, or if more than
    half of them are "unknown" or "no face". Otherwise these two are not counted either, as they do
    not say which expression it is, and the votes for the expressions are normalised.

    Returns:
      Which pictures are kept, bool [n], and the probabilities of EXPRESSIONS in each of them,
      float32 [kept, 8].
    """
    counts = agreed(votes)
    shown = counts[:, : len(EXPRESSIONS)]
    total = shown.sum(axis=1)
    kept = (total > 0) & (2 * total >= counts.sum(axis=1))
    return kept, (shown[kept] / total[kept, np.newaxis]).astype(np.float32)


def majorities(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pictures and labels that the FER+ paper measures accuracy on.

    Single votes are not counted. A picture is included if one of EXPRESSIONS has more than half of
    the remaining votes, which include those for "unknown" and "no face".

    Args:
      votes: uint8 [n, 10].

    Returns:
      Which pictures are included, bool [n], and their labels, int64 [included].
    """
    counts = agreed(votes).astype(np.int64)
    winner = counts.argmax(axis=1)
    included = (2 * counts.max(axis=1) > counts.sum(axis=1)) & (winner < len(EXPRESSIONS))
    return included, winner[included]


def places(probabilities: np.ndarray) -> np.ndarray:
    """Computes places on the circumplex: the mean of the expressions' valence and arousal, [n, 2].

    Args:
      probabilities: of EXPRESSIONS, [n, 8], such as those of `distributions`.
    """
    return probabilities @ np.array([CIRCUMPLEX[name] for name in EXPRESSIONS])

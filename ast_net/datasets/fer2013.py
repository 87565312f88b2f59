"""Reads FER2013 (Goodfellow et al., ICONIP 2013): fer2013.csv, or folders of pictures."""

import csv
import gzip
import hashlib
import io
import pathlib
import re

import cv2
import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.faces import pictures

SIZE = 48
# In the order of the csv file's codes.
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CSV_NAMES = ("fer2013.csv", "fer2013.csv.gz")
HEADER = "emotion,pixels,Usage"
SPLITS = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
FOLDER_SPLITS = ("train", "test")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
# The sizes of the release.
COUNTS = {"train": 28_709, "public_test": 3_589, "private_test": 3_589}
_IN_CLASSES = (4_953, 547, 5_121, 8_989, 6_077, 4_002, 6_198)
CLASS_COUNTS = dict(zip(EXPRESSIONS, _IN_CLASSES, strict=True))
# In some copies single labels differ from the release.
_CLASS_TOLERANCE = 10
_ERRORS_SHOWN = 5

Split = tuple[np.ndarray, np.ndarray]


def find_source(folder: pathlib.Path) -> pathlib.Path:
    """Finds the csv file in a folder; a folder of pictures is returned itself.

    Raises:
      InputError: the folder holds neither.
    """
    for name in CSV_NAMES:
        if (folder / name).is_file():
            return folder / name
    if all((folder / split).is_dir() for split in FOLDER_SPLITS):
        return folder
    raise errors.InputError(
        f"{folder}: found neither {' nor '.join(CSV_NAMES)}, nor the folders "
        f"{' and '.join(FOLDER_SPLITS)}; give the folder that holds FER2013: `manual_dir=FOLDER`"
    )


def source_id(source: pathlib.Path) -> str:
    """Computes a digest of the csv file, or of the names and sizes of the pictures."""
    if source.is_dir():
        listed = "".join(
            f"{path.relative_to(source).as_posix()} {path.stat().st_size}\n"
            for split in FOLDER_SPLITS
            for path in sorted((source / split).rglob("*"))
            if path.is_file()
        )
        return f"pictures {hashlib.sha256(listed.encode()).hexdigest()[:16]}"
    with source.open("rb") as file:
        return f"csv {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def read_csv(path: pathlib.Path) -> dict[str, Split]:
    """Reads fer2013.csv: for each split pictures, uint8 [n, 48, 48, 1], and labels, int64 [n].

    Raises:
      InputError: see `read_rows`.
    """
    images, labels, splits = read_rows(path)
    return by_split(splits, images, labels)


def by_split(splits: np.ndarray, images: np.ndarray, values: np.ndarray) -> dict[str, Split]:
    """Groups pictures and their labels or votes, [n, ...], by the names of their splits, [n]."""
    rows = {name: splits == name for name in SPLITS.values()}
    return {name: (images[mask], values[mask]) for name, mask in rows.items() if mask.any()}


def read_rows(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads fer2013.csv, plain or compressed with gzip, whatever its name says.

    Returns:
      Pictures uint8 [n, 48, 48, 1], labels int64 [n] and splits [n], in the order of the rows.

    Raises:
      InputError: it is not FER2013's csv file, or rows are malformed (the first ones are listed).
    """
    rows: list[tuple[int, np.ndarray, str]] = []
    wrong: list[str] = []
    with files.reading(path, "a table of pictures"), path.open("rb") as file:
        content = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        lines = csv.reader(io.TextIOWrapper(content, encoding="ascii", newline=""))
        header = ",".join(next(lines, []))
        if header != HEADER:
            raise ValueError(f"line 1: found {header[:80]!r}, expected the header {HEADER!r}")
        for row in lines:
            try:
                rows.append(parse_row(row))
            except ValueError as error:
                wrong.append(f"line {lines.line_num}: {error}")
    if wrong:
        listed = "\n  ".join(wrong[:_ERRORS_SHOWN] + ["..."] * (len(wrong) > _ERRORS_SHOWN))
        raise errors.InputError(
            f"{path}: {len(wrong)} rows are malformed:\n  {listed}\n"
            "Fix or delete these rows, or download the file again"
        )
    labels, images, splits = zip(*rows, strict=True) if rows else ([], [], [])
    return np.array(images, np.uint8), np.array(labels, np.int64), np.array(splits)


def read(folder: pathlib.Path) -> dict[str, Split]:
    """Reads FER2013 from a folder that holds the csv file or folders of pictures.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and labels int64 [n].

    Raises:
      InputError: the folder has neither of them, or it is damaged.
    """
    source = find_source(folder)
    if source.is_dir():
        return read_folders(source)
    splits = read_csv(source)
    check_counts(source, splits)
    return splits


def _stack(pairs: list[tuple[np.ndarray, int]]) -> Split:
    images, labels = zip(*pairs, strict=True)
    return np.stack(images), np.array(labels)


def parse_row(row: list[str]) -> tuple[int, np.ndarray, str]:
    """Parses a row of the csv file: its label, picture uint8 [48, 48, 1] and split.

    Raises:
      ValueError: the row is malformed.
    """
    if len(row) != 3:
        raise ValueError(f"found {len(row)} columns, expected 3")
    code, pixels, usage = row
    if not re.fullmatch("[0-6]", code):
        raise ValueError(f"found emotion {code!r}, expected 0 to 6")
    if usage not in SPLITS:
        raise ValueError(f"found Usage {usage!r}, expected one of {', '.join(SPLITS)}")
    try:
        values = np.array(pixels.split(), np.uint8)
    except (ValueError, OverflowError):
        raise ValueError("the pixels are not whole numbers from 0 to 255") from None
    if len(values) != SIZE * SIZE:
        raise ValueError(f"found {len(values)} pixels, expected {SIZE * SIZE}")
    return int(code), values.reshape(SIZE, SIZE, 1), SPLITS[usage]


def check_counts(path: pathlib.Path, splits: dict[str, Split]) -> None:
    """Warns if the splits or classes differ in size from the release."""
    counts = {split: len(labels) for split, (_, labels) in splits.items()}
    if counts != COUNTS:
        logging.warning(f"{path}: found {counts} pictures, but the release has {COUNTS}")
        return
    labels = np.concatenate([labels for _, labels in splits.values()])
    classes = dict(
        zip(CLASS_COUNTS, np.bincount(labels, minlength=len(EXPRESSIONS)).tolist(), strict=True)
    )
    if any(abs(classes[name] - CLASS_COUNTS[name]) > _CLASS_TOLERANCE for name in classes):
        logging.warning(
            f"{path}: found {classes} pictures of each class, but the release has {CLASS_COUNTS}: "
            "is the order of the codes different?"
        )


def read_folders(folder: pathlib.Path) -> dict[str, Split]:
    """Reads {train,test}/{angry,...}/*.jpg or *.png, converted to grey and resized to 48x48.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and labels int64 [n].

    Raises:
      InputError: a class has no folder or no picture, or a picture cannot be read.
    """
    splits = {}
    for split in FOLDER_SPLITS:
        pairs = []
        for label, name in enumerate(EXPRESSIONS):
            entries = (folder / split / name).glob("*")
            paths = sorted(p for p in entries if p.suffix.lower() in PICTURE_SUFFIXES)
            if not paths:
                raise errors.InputError(
                    f"{folder / split / name}: found no pictures ({', '.join(PICTURE_SUFFIXES)}), "
                    f"expected some of each of {', '.join(EXPRESSIONS)}"
                )
            pairs += [(_read_picture(path), label) for path in paths]
        splits[split] = _stack(pairs)
    return splits


def _read_picture(path: pathlib.Path) -> np.ndarray:
    image = pictures.read(path, cv2.IMREAD_GRAYSCALE)
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)[:, :, np.newaxis]

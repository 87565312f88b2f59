"""Reads FER2013 (Goodfellow et al., ICONIP 2013): fer2013.csv, or folders of pictures."""

import contextlib
import csv
import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.cnn import expression_head

SIZE = 48
CSV_NAMES = ("fer2013.csv", "fer2013.csv.gz")
HEADER = ["emotion", "pixels", "Usage"]
SPLITS = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
FOLDER_SPLITS = ("train", "test")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
# The sizes of the release.
COUNTS = {"train": 28_709, "public_test": 3_589, "private_test": 3_589}
CLASS_COUNTS = dict(
    zip(expression_head.EXPRESSIONS, (4_953, 547, 5_121, 8_989, 6_077, 4_002, 6_198), strict=True)
)
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
    """Reads fer2013.csv, plain or compressed with gzip, whatever its name says.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and labels int64 [n].

    Raises:
      InputError: it is not FER2013's csv file, or rows are malformed (the first ones are listed).
    """
    images: dict[str, list] = {split: [] for split in SPLITS.values()}
    labels: dict[str, list] = {split: [] for split in SPLITS.values()}
    wrong: list[str] = []
    with _broken_file(path), _open(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if header != HEADER:
            raise errors.InputError(
                f"{path}, line 1: found {','.join(header)[:80]!r}, expected the header "
                f"{','.join(HEADER)!r}"
            )
        for row in rows:
            try:
                label, image, split = parse_row(row)
            except ValueError as error:
                wrong.append(f"line {rows.line_num}: {error}")
                continue
            images[split].append(image)
            labels[split].append(label)
    if wrong:
        shown = wrong[:_ERRORS_SHOWN] + ["..."] * (len(wrong) > _ERRORS_SHOWN)
        listed = "".join(f"\n  {line}" for line in shown)
        raise errors.InputError(
            f"{path}: {len(wrong)} rows are malformed:{listed}\n"
            "Fix or delete these rows, or download the file again"
        )
    return {
        split: (np.array(images[split], np.uint8), np.array(labels[split]))
        for split in images
        if images[split]
    }


def parse_row(row: list[str]) -> tuple[int, np.ndarray, str]:
    """Parses a row of the csv file: its label, picture uint8 [48, 48, 1] and split.

    Raises:
      ValueError: the row is malformed.
    """
    if len(row) != len(HEADER):
        raise ValueError(f"found {len(row)} columns, expected {len(HEADER)}")
    code, pixels, usage = row
    if code not in map(str, range(len(expression_head.EXPRESSIONS))):
        raise ValueError(
            f"found emotion {code!r}, expected 0 to {len(expression_head.EXPRESSIONS) - 1}"
        )
    if usage not in SPLITS:
        raise ValueError(f"found Usage {usage!r}, expected one of {', '.join(SPLITS)}")
    try:
        values = np.array(pixels.split(), np.int64)
    except ValueError:
        raise ValueError("the pixels are not whole numbers") from None
    if len(values) != SIZE * SIZE:
        raise ValueError(f"found {len(values)} pixels, expected {SIZE * SIZE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"found pixels from {values.min()} to {values.max()}, expected 0 to 255")
    return int(code), values.astype(np.uint8).reshape(SIZE, SIZE, 1), SPLITS[usage]


@contextlib.contextmanager
def _broken_file(path: pathlib.Path) -> Iterator[None]:
    """Reports a file that is damaged or cut off as an InputError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError, csv.Error) as error:
        raise errors.InputError(
            f"{path}: the file is damaged or cut off ({error}); download it again"
        ) from error


def _open(path: pathlib.Path):
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="ascii", newline="")
    return path.open("rt", encoding="ascii", newline="")


def check_counts(path: pathlib.Path, splits: dict[str, Split]) -> None:
    """Warns if the splits or classes differ in size from the release."""
    found = {split: len(labels) for split, (_, labels) in splits.items()}
    if found != COUNTS:
        logging.warning("%s: found %s pictures, but the release has %s", path, found, COUNTS)
        return
    every = np.concatenate([labels for _, labels in splits.values()])
    classes = dict(
        zip(expression_head.EXPRESSIONS, np.bincount(every, minlength=7).tolist(), strict=True)
    )
    if any(abs(classes[name] - CLASS_COUNTS[name]) > _CLASS_TOLERANCE for name in classes):
        logging.warning(
            "%s: found %s pictures of each class, but the release has %s: is the order of the "
            "codes different?",
            path,
            classes,
            CLASS_COUNTS,
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
        images, labels = [], []
        for label, name in enumerate(expression_head.EXPRESSIONS):
            paths = sorted(
                path
                for path in (folder / split / name).glob("*")
                if path.suffix.lower() in PICTURE_SUFFIXES
            )
            if not paths:
                raise errors.InputError(
                    f"{folder / split / name}: found no pictures, expected some "
                    f"({', '.join(PICTURE_SUFFIXES)}) of each of "
                    f"{', '.join(expression_head.EXPRESSIONS)}"
                )
            images += [_read_picture(path) for path in paths]
            labels += [label] * len(paths)
        splits[split] = np.stack(images), np.array(labels)
    return splits


def _read_picture(path: pathlib.Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise errors.InputError(f"{path}: cannot be read as a picture; fix or delete it")
    if image.shape != (SIZE, SIZE):
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return image[:, :, np.newaxis]

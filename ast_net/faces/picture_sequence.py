"""A folder of numbered pictures as a video: how AFEW-VA is released."""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from absl import logging

from ast_net import errors

# Frames a second: pictures carry no time. That of the films that AFEW-VA is taken from.
FRAME_RATE = 25.0
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class Picture(NamedTuple):
    """A file, and the number that its name ends with."""

    number: int
    path: pathlib.Path


def is_pattern(path: str | os.PathLike) -> bool:
    """Whether a path stands for several pictures, as frames/*.png and frames/face_%05d.png do."""
    path = pathlib.Path(path)
    several = re.search(r"[*?[]|%0?[0-9]*d", path.name) is not None
    return several and path.suffix.lower() in SUFFIXES and not path.exists()


def listing(folder: str | os.PathLike) -> list[Picture]:
    """The pictures of a folder, or of a pattern, in the order of their numbers: 2.png before 10.png.

    Other files, hidden ones and subfolders do not matter.

    Raises:
      InputError: there is no picture, one without a number, or a number twice.
    """
    found: dict[int, pathlib.Path] = {}
    folder = pathlib.Path(folder)
    if is_pattern(folder):
        paths = folder.parent.glob(re.sub(r"%0?[0-9]*d", "*", folder.name))
    else:
        paths = folder.iterdir()
    for path in sorted(paths):
        hidden = path.name.startswith(".")
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        number = re.search(r"[0-9]{1,15}$", path.stem)
        if number is None:
            raise errors.InputError(
                f"{path}: no number at the end of its name; expected names such as 00012.png: remove it, "
                "or give it its number"
            )
        other = found.setdefault(int(number[0]), path)
        if other != path:
            raise errors.InputError(
                f"{path}: has the number of {other.name}; expected each number once: remove one of them"
            )
    if not found:
        raise errors.InputError(
            f"{folder}: no pictures in this folder; expected {', '.join(SUFFIXES)} with numbers for names"
        )
    return [Picture(number, found[number]) for number in sorted(found)]


def times(numbers: list[int]) -> np.ndarray:
    """Seconds, float64 [T], from the first picture's number on; a gap in the numbers is one in time."""
    return (np.array(numbers) - numbers[0]) / FRAME_RATE


def read(folder: str | os.PathLike) -> Iterator[tuple[float, np.ndarray]]:
    """Yields the time in seconds and the picture, uint8 RGB [H, W, 3], one by one.

    A gap in the numbers is left out and reported; the pictures after it keep their times.

    Raises:
      InputError: as `listing`; or a picture cannot be read, or has another size than the first.
    """
    found = listing(folder)
    numbers = [picture.number for picture in found]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        logging.warning(
            "%s: %d pictures are missing between numbers %d and %d; the others keep their times",
            folder,
            missing,
            numbers[0],
            numbers[-1],
        )
    first = None
    for timestamp, picture in zip(times(numbers), found, strict=True):
        image = _decode(picture.path)
        first = first or image.shape
        if image.shape != first:
            raise errors.InputError(
                f"{picture.path}: {image.shape[1]}x{image.shape[0]} pixels, the first of its folder "
                f"{first[1]}x{first[0]}; expected one size: these are pictures of different videos"
            )
        yield float(timestamp), image


def digest(folder: str | os.PathLike) -> str:
    """SHA-256 over the pictures' contents in order, and their numbers from the first on, as hex."""
    found = listing(folder)
    result = hashlib.sha256()
    for picture in found:
        content = hashlib.sha256(picture.path.read_bytes()).hexdigest()
        result.update(f"{picture.number - found[0].number} {content}\n".encode())
    return result.hexdigest()


def _decode(path: pathlib.Path) -> np.ndarray:
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read ({error.strerror})") from error
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise errors.InputError(
            f"{path}: no picture that can be read ({len(content)} bytes): it is something else, or was "
            "cut off; copy it again"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

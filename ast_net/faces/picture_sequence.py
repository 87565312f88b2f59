"""A folder of numbered pictures as a video, as AFEW-VA is released."""

import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Iterator

import cv2
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import video_frame

# Frames a second. Pictures carry no time; the films that AFEW-VA is taken from have this rate.
FRAME_RATE = 25.0
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class PictureSequence:
    """The pictures of a folder or of a pattern, in the order of their numbers: 2.png before 10.png.

    It has the attributes and methods of `video.Video`. The folder is listed when the object is
    made; other files, hidden files and subfolders are ignored.

    Attributes:
      path: the folder, or a pattern such as frames/*.png.
      numbers: the T numbers that the file names end with.
      timestamps: seconds from the first picture on, float64 [T]; a gap in the numbers is a gap in
        time.
      frame_count: T.
      frame_rate: FRAME_RATE.
      duration: when the last picture ends, in seconds.

    Raises:
      InputError: there are no pictures, one has no number, or two have the same.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = pathlib.Path(path)
        pictures = _pictures(self.path)
        self.numbers = sorted(pictures)
        self._files = [pictures[number] for number in self.numbers]
        self.timestamps = (np.array(self.numbers) - self.numbers[0]) / FRAME_RATE
        self.frame_count = len(self.numbers)
        self.frame_rate = FRAME_RATE
        self.duration = float(self.timestamps[-1] + 1 / FRAME_RATE)

    def frames(self) -> Iterator[video_frame.Frame]:
        """Yields the frames one by one. A gap in the numbers is reported with a warning.

        Raises:
          InputError: a picture cannot be read, or its size differs from the first one's.
        """
        first, last = self.numbers[0], self.numbers[-1]
        missing = last - first + 1 - self.frame_count
        if missing:
            logging.warning(
                "%s: %d pictures are missing between numbers %d and %d; the others keep their "
                "times",
                self.path,
                missing,
                first,
                last,
            )
        shape = None
        for index, (timestamp, file) in enumerate(zip(self.timestamps, self._files, strict=True)):
            image = _decode(file)
            shape = shape or image.shape
            if image.shape != shape:
                raise errors.InputError(
                    f"{file}: {image.shape[1]}x{image.shape[0]} pixels, the first of its folder "
                    f"{shape[1]}x{shape[0]}; expected one size: these are different videos"
                )
            yield video_frame.Frame(index, float(timestamp), image)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the pictures' contents and of their numbers, counted from the first, as hex.

        Raises:
          InputError: a picture cannot be read.
        """
        result = hashlib.sha256()
        for number, file in zip(self.numbers, self._files, strict=True):
            content = hashlib.sha256(_content(file)).hexdigest()
            result.update(f"{number - self.numbers[0]} {content}\n".encode())
        return result.hexdigest()

    @property
    def fingerprint(self) -> video_frame.Fingerprint:
        """The number of pictures, their size together, and when one was last written.

        Raises:
          InputError: a picture is gone.
        """
        with video_frame.reading(self.path):
            status = [file.stat() for file in self._files]
        size = sum(file.st_size for file in status)
        modified = max(file.st_mtime_ns for file in status)
        return video_frame.Fingerprint(f"{len(status)} pictures, {size} bytes", modified)


def is_pattern(path: str | os.PathLike) -> bool:
    """Whether a path stands for several pictures, as frames/*.png and frames/face_%05d.png do."""
    path = pathlib.Path(path)
    several = re.search(r"[*?[]|%0?[0-9]*d", path.name) is not None
    return several and path.suffix.lower() in SUFFIXES and not path.exists()


def _pictures(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The picture files of a folder or a pattern by their numbers."""
    with video_frame.reading(folder):
        if is_pattern(folder):
            paths = sorted(folder.parent.glob(re.sub(r"%0?[0-9]*d", "*", folder.name)))
        else:
            paths = sorted(folder.iterdir())
    pictures: dict[int, pathlib.Path] = {}
    for path in paths:
        hidden = path.name.startswith(".")
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        number = re.search(r"[0-9]{1,15}$", path.stem)
        if number is None:
            raise errors.InputError(
                f"{path}: no number at the end of its name; expected names such as 00012.png: "
                "remove it, or give it its number"
            )
        other = pictures.setdefault(int(number[0]), path)
        if other != path:
            raise errors.InputError(
                f"{path}: has the same number as {other.name}; expected each number once: "
                "remove one of them"
            )
    if not pictures:
        raise errors.InputError(
            f"{folder}: no pictures in this folder; expected {', '.join(SUFFIXES)} with numbers "
            "for names"
        )
    return pictures


def _content(path: pathlib.Path) -> bytes:
    with video_frame.reading(path):
        return path.read_bytes()


def _decode(path: pathlib.Path) -> np.ndarray:
    content = np.frombuffer(_content(path), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise errors.InputError(
            f"{path}: not a readable picture ({len(content)} bytes): it is something else, or was "
            "cut off; copy it again"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

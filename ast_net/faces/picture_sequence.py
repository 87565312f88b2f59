"""Reads a folder of numbered pictures as a video. AFEW-VA is distributed like this."""

import functools
import hashlib
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.faces import pictures, video_frame

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class PictureSequence:
    """The pictures of a folder or a pattern, sorted by number: 2.png comes before 10.png.

    The class has the same attributes and methods as `video.Video`. The folder is listed when the
    object is created. Other files, hidden files and subfolders are ignored.

    Attributes:
      path: the folder, or a pattern such as frames/*.png.
      numbers: the T numbers at the end of the file names.
      timestamps: seconds since the first picture, float64 [T]; a gap in the numbers is a gap in
        time.
      frame_count: T.
      frame_rate: frames per second.
      duration: end of the last picture, in seconds.

    Raises:
      InputError: there are no pictures, one has no number, or two have the same number.
    """

    # Pictures carry no times. This is the frame rate of the films in AFEW-VA.
    frame_rate = 25.0

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)
        numbered = _numbered(self.path)
        self.numbers = sorted(numbered)
        self._files = [numbered[number] for number in self.numbers]
        self.timestamps = (np.array(self.numbers) - self.numbers[0]) / self.frame_rate
        self.frame_count = len(self.numbers)
        self.duration = float(self.timestamps[-1] + 1 / self.frame_rate)

    def frames(self) -> Iterator[video_frame.Frame]:
        """Yields the frames one by one. Logs a warning if there is a gap in the numbers.

        Raises:
          InputError: a picture cannot be read, has more than 64 million pixels, or has another size
            than the first one.
        """
        first, last = self.numbers[0], self.numbers[-1]
        missing = last - first + 1 - self.frame_count
        if missing:
            logging.warning(
                f"{self.path}: pictures missing between numbers {first} and {last}: {missing}; the "
                "others keep their times"
            )
        shape = None
        for index, (timestamp, file) in enumerate(zip(self.timestamps, self._files, strict=True)):
            image = pictures.read(file)
            shape = shape or image.shape
            if image.shape != shape:
                size, expected = (f"{width}x{height}" for height, width, _ in (image.shape, shape))
                raise errors.InputError(
                    f"{file}: found {size} pixels, expected {expected} as in the first picture; "
                    "put different videos in different folders"
                )
            yield video_frame.Frame(index, float(timestamp), image)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the pictures' contents and of their numbers relative to the first, as hex.

        Raises:
          InputError: a picture cannot be read.
        """
        result = hashlib.sha256()
        for number, file in zip(self.numbers, self._files, strict=True):
            content = hashlib.sha256(pictures.read_bytes(file)).hexdigest()
            result.update(f"{number - self.numbers[0]} {content}\n".encode())
        return result.hexdigest()

    @property
    def fingerprint(self) -> tuple[str, int]:
        """The pictures' number and total size as text, and the latest time of writing, in ns.

        Raises:
          InputError: a picture no longer exists.
        """
        return fingerprint(self.path, self._files)


def fingerprint(path: pathlib.Path, picture_files: Sequence[pathlib.Path]) -> tuple[str, int]:
    """Returns `PictureSequence.fingerprint` of some pictures, which lie in `path`."""
    with files.reading(path, "pictures"):
        status = [file.stat() for file in picture_files]
    size = sum(file.st_size for file in status)
    modified = max(file.st_mtime_ns for file in status)
    return f"{len(status)} pictures, {size} bytes", modified


def has_running_numbers(picture_files: Sequence[pathlib.Path]) -> bool:
    """Whether the names of pictures differ only in a number that runs, as those of a film do.

    Up to half of the numbers may be missing. A single picture is not a film.
    """
    parts = [re.fullmatch(r"(.*?)([0-9]{1,15})", file.stem) for file in picture_files]
    prefixes = {part and part[1] for part in parts}
    numbers = {int(part[2]) for part in parts if part}
    if len(prefixes) > 1 or not 1 < len(numbers) == len(picture_files):
        return False
    return max(numbers) - min(numbers) + 1 <= 2 * len(numbers)


def is_pattern(path: str | pathlib.Path) -> bool:
    """Whether a path stands for several pictures, such as frames/*.png or frames/face_%05d.png."""
    path = pathlib.Path(path)
    has_wildcard = re.search(r"[*?[]|%0?[0-9]*d", path.name) is not None
    return has_wildcard and path.suffix.lower() in SUFFIXES and not path.exists()


def list_pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the picture files of a folder or a pattern, sorted by name; hidden ones do not count.

    Raises:
      InputError: the folder cannot be read, or there are none.
    """
    pattern = re.sub(r"%0?[0-9]*d", "*", folder.name)
    with files.reading(folder, "pictures"):
        paths = sorted(folder.parent.glob(pattern) if is_pattern(folder) else folder.iterdir())
    visible = [path for path in paths if not path.name.startswith(".") and path.is_file()]
    listed = [path for path in visible if path.suffix.lower() in SUFFIXES]
    if not listed:
        expected = f"files such as 00012.png ({', '.join(SUFFIXES)})"
        raise errors.InputError(
            f"{folder}: no pictures in this folder, expected {expected}; check the path"
        )
    return listed


def _numbered(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the picture files of a folder or a pattern by number."""
    numbered: dict[int, pathlib.Path] = {}
    for path in list_pictures(folder):
        number = re.search(r"[0-9]{1,15}$", path.stem)
        if number is None:
            problem = "no number at the end of its name, expected one, as in 00012.png"
            raise errors.InputError(f"{path}: {problem}; rename or remove it")
        other = numbered.setdefault(int(number[0]), path)
        if other != path:
            problem = f"has the same number as {other.name}, expected each number once"
            raise errors.InputError(f"{path}: {problem}; rename or remove one of them")
    return numbered

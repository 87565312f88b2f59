"""Reads photographs: pictures that have nothing to do with each other, unlike those of a film."""

import pathlib
from collections.abc import Iterator

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import picture_sequence, pictures, video_frame

# The picture of a photograph that cannot be read.
_UNREADABLE = np.zeros((0, 0, 3), np.uint8)


class Photographs:
    """The photographs of a folder or a pattern, sorted by name, or a single one.

    Attributes:
      path: the folder, the pattern, or the file.
      files: the picture files.
      problems: why photographs cannot be read, by their index in `files`; filled in by `frames`.

    Raises:
      InputError: there are no pictures.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)
        several = self.path.is_dir() or picture_sequence.is_pattern(self.path)
        self.files = picture_sequence.list_pictures(self.path) if several else [self.path]
        self.frame_count = len(self.files)
        self.problems: dict[int, str] = {}

    def frames(self) -> Iterator[video_frame.Frame]:
        """Yields a frame for each photograph, at time 0.

        A photograph that cannot be read is reported; its frame is damaged and has no picture.

        Raises:
          InputError: none of the photographs can be read.
        """
        self.problems.clear()
        for index, file in enumerate(self.files):
            try:
                image, damaged = pictures.read(file), False
            except errors.InputError as error:
                if self.frame_count == 1:
                    raise
                image, damaged = _UNREADABLE, True
                self.problems[index] = str(error)
                logging.warning(error)
            yield video_frame.Frame(index, 0.0, image, damaged)
        if len(self.problems) == self.frame_count:
            raise errors.InputError(f"{self.path}: none of its pictures can be read; copy it again")

    @property
    def fingerprint(self) -> tuple[str, int]:
        """The photographs' number and total size as text, and the latest time of writing, in ns.

        Raises:
          InputError: a picture no longer exists.
        """
        return picture_sequence.fingerprint(self.path, self.files)

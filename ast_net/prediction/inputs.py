"""What a user names as input: video files, folders of them, patterns, sequences of pictures."""

import dataclasses
import glob
import pathlib
from collections.abc import Iterable

from ast_net import errors
from ast_net.faces import picture_sequence

# What is taken for a video in a folder; a file that is named may be called anything.
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")


@dataclasses.dataclass(frozen=True)
class Input:
    """One recording to predict.

    Attributes:
      name: of its results, different for each input.
      path: a file, a folder of pictures, or a pattern that pictures match.
    """

    name: str
    path: pathlib.Path


def find(named: Iterable[str]) -> list[Input]:
    """The recordings that are meant, each once, in the order they are named.

    A folder means the videos in it, or if there are none the sequence of its numbered pictures. A pattern with
    *, ? or [] means each file it matches, unless it asks for pictures (frames/*.png, frames/%05d.png),
    which are one sequence. A file that does not exist stays in the list, to be reported beside the others.

    Raises:
      InputError: nothing is named, or a folder or pattern stands for nothing.
    """
    paths: dict[pathlib.Path, None] = {}
    for each in named:
        paths.update(dict.fromkeys(_meant(each)))
    if not paths:
        raise errors.InputError(
            "no input: give --video=FILE (a folder or a pattern will do, too), or --camera=0"
        )
    names: dict[str, pathlib.Path] = {}
    for path in paths:
        stem = _stem(path)
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}_{number}", number + 1
        names[name] = path
    return [Input(name, path) for name, path in names.items()]


def _meant(named: str) -> list[pathlib.Path]:
    path = pathlib.Path(named)
    if picture_sequence.is_pattern(path):
        return [path]
    if path.is_dir():
        videos = [p for p in sorted(path.iterdir()) if p.suffix.lower() in VIDEO_SUFFIXES]
        videos = [p for p in videos if p.is_file() and not p.name.startswith(".")]
        if videos:
            return videos
        if any(p.suffix.lower() in picture_sequence.SUFFIXES for p in path.iterdir()):
            return [path]
        raise errors.InputError(
            f"{named}: neither videos ({', '.join(VIDEO_SUFFIXES)}) nor pictures "
            f"({', '.join(picture_sequence.SUFFIXES)}) in this folder; name the files"
        )
    if not path.exists() and glob.has_magic(named):
        matches = [pathlib.Path(match) for match in sorted(glob.glob(named, recursive=True))]
        if not matches:
            raise errors.InputError(f"{named}: no file matches this pattern; check the path")
        return [match for match in matches if match.is_file()]
    return [path]


def _stem(path: pathlib.Path) -> str:
    """What the results of a path are called."""
    if picture_sequence.is_pattern(path):
        return path.parent.resolve().name or "pictures"
    return path.resolve().name if path.is_dir() else path.stem

"""Finds the inputs that a user names: video files, folders, patterns, sequences of pictures."""

import glob
import pathlib
import re
import textwrap
from collections.abc import Iterable, Iterator

from absl import logging

from ast_net import config, errors, files
from ast_net.faces import picture_sequence

# Files of a folder that are taken for videos. A file given by its own name may have any suffix.
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".mts", ".m2ts", ".ts", ".3gp", ".ogv", ".gif", ".vob", ".mxf"),
)


def find(arguments: Iterable[str]) -> dict[str, pathlib.Path]:
    """Finds the inputs that the arguments name, each once, in the order of the arguments.

    A folder stands for the videos in it or, if it has none, for the sequence of its numbered
    pictures. A pattern with *, ? or [] stands for the files that it matches, except that a pattern
    of pictures (frames/*.png, frames/%05d.png) is one sequence. A file that does not exist stays in
    the list, so that it is reported beside the others.

    Returns:
      The path of each input (a file, a folder of pictures, or a pattern of pictures) by a unique,
      safe name, which its output folder gets.

    Raises:
      InputError: there are no arguments, a folder or a pattern holds neither videos nor pictures,
        or none of the named files exists.
    """
    paths = dict.fromkeys(path for argument in arguments for path in _paths(argument))
    if not paths:
        raise errors.InputError(
            "there is no input: give `video=FILE` (or a folder, or a pattern), or `camera=0`"
        )
    if not any(path.exists() or picture_sequence.is_pattern(path) for path in paths):
        raise errors.InputError(f"{', '.join(map(str, paths))}: no such file; check the path")
    return dict(zip(files.safe_names(map(_name, paths), taken=[config.SUMMARY]), paths))


def _paths(argument: str) -> list[pathlib.Path]:
    path = pathlib.Path(argument)
    if picture_sequence.is_pattern(path):
        return [path]
    if path.is_dir():
        visible = [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
        videos = [p for p in visible if p.suffix.lower() in VIDEO_SUFFIXES]
        if videos:
            skipped = [p.name for p in visible if p.suffix.lower() not in VIDEO_SUFFIXES]
            if skipped:
                names = textwrap.shorten(", ".join(skipped), 200, placeholder=" ...")
                logging.info(f"{argument}: skipped files that are not videos: {names}")
            return videos
        if any(p.suffix.lower() in picture_sequence.SUFFIXES for p in visible):
            return [path]
        raise errors.InputError(
            f"{argument}: found neither videos ({', '.join(VIDEO_SUFFIXES)}) nor pictures "
            f"({', '.join(picture_sequence.SUFFIXES)}) in this folder; give the files themselves"
        )
    if not path.exists() and glob.has_magic(argument):
        matches = sorted(_matches(path))
        if not matches:
            raise errors.InputError(f"{argument}: no file matches this pattern; check the path")
        return matches
    return [path]


def _matches(pattern: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the files that match a pattern, as a shell does.

    ** stands for any number of folders, but does not follow links to folders: one of them may lead
    back. Hidden files and folders match only where the pattern has their dot.
    """
    count = next(k for k, part in enumerate(pattern.parts) if glob.has_magic(part))
    folder, parts = pathlib.Path(*pattern.parts[:count]), list(pattern.parts[count:])
    # Within a name, ** is the same as *; at the end, pathlib takes ** for folders only.
    parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts]
    parts += ["*"] if parts[-1] == "**" else []
    dots = any(part.startswith(".") for part in parts)
    for path in folder.glob("/".join(parts)):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and (dots or not hidden):
            yield path


def _name(path: pathlib.Path) -> str:
    """Returns the name of an input's output folder."""
    if picture_sequence.is_pattern(path):
        return path.parent.resolve().name or "pictures"
    return path.resolve().name if path.is_dir() else path.stem

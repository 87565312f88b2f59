"""Finds the inputs that a user names: video files, folders, patterns, pictures."""

import glob
import os
import pathlib
import re
import textwrap
from collections.abc import Iterable, Iterator

from absl import logging

from ast_net import config, errors, files
from ast_net.faces import photographs, picture_sequence, video

# Files of a folder that are taken for videos. A file given by its own name may have any suffix.
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".mts", ".m2ts", ".ts", ".3gp", ".ogv", ".gif", ".vob", ".mxf"),
)


# What frames are read from.
FrameSource = video.VideoSource | photographs.Photographs


def find(
    arguments: Iterable[str], pictures: str | None = None, recursive: bool = False
) -> dict[str, pathlib.Path]:
    """Finds the inputs that the arguments name, each once, in the order of the arguments.

    A folder stands for the videos in it or, if it has none, for its pictures. A pattern with *, ?
    or [] stands for the files that it matches, except that a pattern of pictures (frames/*.png,
    frames/%05d.png) is one input. A file that does not exist stays in the list, so that it is
    reported beside the others.

    Args:
      arguments: files, folders and patterns.
      pictures: what pictures are (`config.Inputs`). If it is given, a folder that has pictures
        stands for these, even if it has videos, too.
      recursive: whether a folder stands for the videos in its folders, too. A video there has the
        names of its folders in its own: anna/talk.mp4 becomes anna_talk.

    Returns:
      The path of each input (a file, a folder of pictures, or a pattern of pictures) by a unique,
      safe name, which its output folder gets.

    Raises:
      InputError: there are no arguments, a folder or a pattern holds neither videos nor pictures,
        or none of the named files exists.
    """
    names: dict[pathlib.Path, str] = {}
    for argument in arguments:
        folder = pathlib.Path(argument)
        if recursive and folder.is_dir() and not picture_sequence.is_pattern(folder):
            for path in _below(folder):
                names.setdefault(path, "_".join(path.relative_to(folder).with_suffix("").parts))
        else:
            for path in _paths(argument, pictures):
                names.setdefault(path, _name(path))
    paths = list(names)
    if not paths:
        raise errors.InputError(
            "there is no input: give `video=FILE` (or a folder, or a pattern), or `camera=0`"
        )
    single = [path for path in paths if _is_one_picture(path)]
    if len(single) > 1:
        logging.warning(
            f"{len(single)} pictures are named one by one, and each gets a table of its own; for "
            f"one table, give their folder, or a pattern in quotes: '{single[0].parent}/*"
            f"{single[0].suffix}'"
        )
    if not any(path.exists() or picture_sequence.is_pattern(path) for path in paths):
        raise errors.InputError(f"{', '.join(map(str, paths))}: no such file; check the path")
    return dict(zip(files.safe_names(names.values(), taken=[config.SUMMARY]), paths))


def opened(path: pathlib.Path, pictures: str | None = None) -> FrameSource:
    """Opens an input: a video, or pictures as a film or as photographs.

    A single picture is a photograph. Several are a film if their names say so, unless `pictures` is
    given; a warning says what they were taken for.

    Raises:
      InputError: a folder or a pattern holds no pictures; as a film, they are not numbered.
    """
    if not (path.is_dir() or picture_sequence.is_pattern(path)):
        is_film = not _is_one_picture(path) or pictures == "sequence"
    elif pictures is None and "%" not in path.name:
        is_film = _looks_like_a_film(path)
    else:
        is_film = pictures != "separate"
    return video.open_video(path) if is_film else photographs.Photographs(path)


def _is_one_picture(path: pathlib.Path) -> bool:
    several = path.is_dir() or picture_sequence.is_pattern(path)
    return path.suffix.lower() in picture_sequence.SUFFIXES and not several


def _looks_like_a_film(path: pathlib.Path) -> bool:
    listed = picture_sequence.list_pictures(path)
    if picture_sequence.has_running_numbers(listed):
        logging.warning(
            f"{path}: taken for one film of {len(listed)} frames, because the names differ only in "
            "a running number; give `pictures=separate` if each is a photograph of its own"
        )
        return True
    if len(listed) > 1:
        logging.warning(
            f"{path}: taken for {len(listed)} photographs, because the names are not a prefix and "
            "a running number; give `pictures=sequence` if they are the frames of a film"
        )
    return False


def _below(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the videos in a folder and in those below it.

    Hidden and linked folders are left out, and those that hold the results of an input.

    Raises:
      InputError: there are none.
    """
    videos = []
    for place, folders, names in os.walk(folder):
        if config.RECORD in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = (pathlib.Path(place, name) for name in sorted(names) if name[0] != ".")
        videos += [path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise errors.InputError(
            f"{folder}: found no videos ({', '.join(VIDEO_SUFFIXES)}) in this folder and those "
            "below it; check the path"
        )
    return videos


def _paths(argument: str, pictures: str | None) -> list[pathlib.Path]:
    path = pathlib.Path(argument)
    if picture_sequence.is_pattern(path):
        return [path]
    if path.is_dir():
        visible = [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
        kinds = {"videos": VIDEO_SUFFIXES, "pictures": picture_sequence.SUFFIXES}
        for kind in kinds if pictures is None else reversed(kinds):
            chosen = [p for p in visible if p.suffix.lower() in kinds[kind]]
            if chosen:
                skipped = [p.name for p in visible if p.suffix.lower() not in kinds[kind]]
                if skipped:
                    names = textwrap.shorten(", ".join(skipped), 200, placeholder=" ...")
                    logging.info(f"{argument}: skipped files that are not {kind}: {names}")
                return chosen if kind == "videos" else [path]
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

"""Finds videos by a pattern, and splits recordings so that each person is in only one part."""

import pathlib
from collections.abc import Mapping

from ast_net import errors

# The share of the recordings that each part should get.
SHARES = {"train": 0.6, "dev": 0.2, "test": 0.2}


def matches(
    folder: pathlib.Path, pattern: str, fields: Mapping[str, str]
) -> tuple[str, list[pathlib.Path]]:
    """Finds the files in a folder that match a pattern.

    Args:
      folder: where to look.
      pattern: a path relative to the folder, with * for any characters except a slash, ** for any
        folders, and fields in braces, as in videos/**/{split}*{number}.avi.
      fields: the value of each field.

    Returns:
      The pattern with its fields filled in, and the files, sorted.

    Raises:
      InputError: the pattern has other fields, or is not valid.
    """
    try:
        filled = pattern.format_map(fields)
        return filled, sorted(path for path in folder.glob(filled) if path.is_file())
    except (ValueError, NotImplementedError, LookupError, AttributeError) as error:
        raise errors.InputError(
            f"`video_pattern={pattern}` cannot be used ({error!r}); expected a path relative to "
            f"{folder}, with * and **" + "".join(f" and {{{name}}}" for name in fields)
        ) from error


def find_video(folder: pathlib.Path, pattern: str, fields: Mapping[str, str]) -> pathlib.Path:
    """Returns the only file that matches a pattern; the arguments are those of `matches`.

    Raises:
      InputError: as `matches`, or the pattern matches no file, or several.
    """
    filled, paths = matches(folder, pattern, fields)
    if len(paths) != 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:5])
        raise errors.InputError(
            f"{folder}: {len(paths) or 'no'} files match {filled}{': ' if paths else ''}{names}; "
            "expected one video: give a pattern for your file names with `video_pattern`"
        )
    return paths[0]


def split_by_subject(subjects: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Splits recordings into train, dev and test, with all recordings of a subject in one part.

    Subjects are assigned one by one, those with the most recordings first, each to the part that is
    furthest below its share. The split depends only on the recordings, not on their order.

    Args:
      subjects: the subject of each recording.

    Returns:
      The names of the recordings in each part, sorted; parts without recordings are left out.
    """
    recordings: dict[str, list[str]] = {}
    for name, subject in subjects.items():
        recordings.setdefault(subject, []).append(name)
    parts: dict[str, list[str]] = {split: [] for split in SHARES}
    for subject in sorted(recordings, key=lambda s: (-len(recordings[s]), len(s), s)):
        neediest = min(SHARES, key=lambda split: len(parts[split]) / SHARES[split])
        parts[neediest].extend(recordings[subject])
    return {
        split: tuple(sorted(names, key=lambda name: (len(name), name)))
        for split, names in parts.items()
        if names
    }

"""Finding videos by a pattern, and splitting recordings so that nobody is in two parts."""

import pathlib
from collections.abc import Mapping

from ast_net import errors

# The share of the recordings that each part is to have.
SHARES = {"train": 0.6, "dev": 0.2, "test": 0.2}


def matches(
    folder: pathlib.Path, pattern: str, fields: Mapping[str, str]
) -> tuple[str, list[pathlib.Path]]:
    """A pattern with its fields filled in, and the files below a folder that it fits, sorted.

    Args:
      folder: where to look.
      pattern: a path relative to the folder, with * for anything but a slash, ** for any folders,
        and fields in braces, as in videos/**/{split}*{number}.avi.
      fields: what takes the place of the fields.

    Raises:
      InputError: the pattern has other fields, or is none.
    """
    try:
        filled = pattern.format_map(fields)
        return filled, sorted(path for path in folder.glob(filled) if path.is_file())
    except (ValueError, NotImplementedError, LookupError, AttributeError) as error:
        raise errors.InputError(
            f"`video_pattern={pattern}`: cannot be used ({error!r}); expected a path "
            f"relative to {folder}, with * and **" + "".join(f" and {{{name}}}" for name in fields)
        ) from error


def find_video(folder: pathlib.Path, pattern: str, fields: Mapping[str, str]) -> pathlib.Path:
    """The one file below a folder that a pattern fits (`matches`).

    Raises:
      InputError: as `matches`, or the pattern fits no file, or several.
    """
    filled, found = matches(folder, pattern, fields)
    if len(found) != 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found[:5])
        raise errors.InputError(
            f"{folder}: {len(found) or 'no'} files fit {filled}{': ' if found else ''}{names}; "
            "expected one video: say with `video_pattern` how the files are called"
        )
    return found[0]


def by_subject(subjects: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Splits recordings into train, dev and test, all those of a subject into one of them.

    Subjects are dealt out one by one, those with the most recordings first, each to the part that
    has least of its share. So the split is the same for the same recordings, whatever their order.

    Args:
      subjects: the subject of each recording.

    Returns:
      The recordings' names of each part that has some, sorted.
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

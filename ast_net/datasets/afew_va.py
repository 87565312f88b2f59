"""AFEW-VA (Kossaifi et al., Image and Vision Computing 2017): film clips rated frame by frame."""

import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.datasets import annotations, folders, reader, separated_text
from ast_net.faces import picture_sequence

CLIPS = 600
# Ratings are whole numbers from -SCALE to SCALE.
SCALE = 10


class AfewVa(reader.Reader):
    """AFEW-VA, 600 short clips from films.

    AFEW-VA is available for research at
    https://ibug.doc.ic.ac.uk/resources/afew-va-database/. Unpack it, and give the folder that
    contains the folders 001 to 600. Each of these has
      001/00000.png and so on: numbered pictures, 25 a second
      001/001.json: valence and arousal of each picture, from -10 to 10
    The five folds of the paper are not published. By default, the clips are split 60 : 20 : 20
    into train, dev and test, with all clips of an actor (as named in the JSON file) in the same
    part. For another split, give `train_recordings=001,002` and so on. The clips have 10 to 145
    frames, so train on short sequences: `clip_frames=10` and `clip_stride=2`.
    """

    FRAME_RATE = 25.0

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        names = sorted(p.name for p in folder.glob("[0-9]*") if re.fullmatch("[0-9]{3}", p.name))
        if not names:
            raise errors.InputError(
                f"{folder}: has no folders named 001 to {CLIPS}; give the folder that contains "
                "them with `manual_dir`"
            )
        reader.warn_of_count(folder, len(names), CLIPS, "clips")
        return folders.split_by_subject(
            {name: _actor(folder / name / f"{name}.json") or name for name in names}
        )

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        pictures, path = folder / name, folder / name / f"{name}.json"
        read = functools.partial(read_ratings, pictures, path, self.settings.targets)
        return reader.Source(name, pictures, [path], read, subject=_actor(path))


def _actor(path: pathlib.Path) -> str | None:
    """Returns the actor in a clip, if the JSON file names one."""
    actor = _read_json(path).get("actor") if path.exists() else None
    return f"actor {actor}" if actor else None


def read_ratings(
    folder: pathlib.Path, path: pathlib.Path, targets: Sequence[str]
) -> dict[str, annotations.Ratings]:
    """Reads the ratings of a clip's pictures, rescaled to [-1, 1].

    A picture without a rating gets NaN; a rating without a picture is ignored. A warning counts
    both.

    Args:
      folder: the pictures.
      path: the JSON file.
      targets: the targets to read.

    Raises:
      InputError: the JSON file is missing or malformed, or there are no pictures.
    """
    pictures = picture_sequence.PictureSequence(folder)
    numbers = pictures.numbers
    frames: dict[int, dict] = {}
    for name, frame in _read_json(path)["frames"].items():
        if not re.fullmatch("[0-9]{1,15}", name) or int(name) in frames:
            raise errors.InputError(
                f"{path}, frame {name!r}: expected the number of a picture, such as 00012, and "
                "each number once"
            )
        frames[int(name)] = {t: _rating(path, name, frame, t) for t in targets}
    unrated = sum(number not in frames for number in numbers)
    unused = len(frames.keys() - set(numbers))
    if unrated or unused:
        logging.warning(
            f"{path}: {unrated} of {len(numbers)} pictures have no rating, and {unused} ratings "
            "are ignored because their pictures are missing"
        )
    result = {}
    for target in targets:
        values = [[frames[number][target] if number in frames else np.nan] for number in numbers]
        result[target] = annotations.Ratings(pictures.timestamps, np.array(values), (target,))
    return result


def _rating(path: pathlib.Path, name: str, frame: object, target: str) -> float:
    value: Any = frame.get(target) if isinstance(frame, dict) else str(frame)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    rating = value / SCALE if is_number else np.nan
    if not -1 <= rating <= 1:
        raise errors.InputError(
            f"{path}, frame {name!r}, {target}: found {json.dumps(value)[:40]}, expected a number "
            f"from -{SCALE} to {SCALE}"
        )
    return rating


def _read_json(path: pathlib.Path) -> dict:
    """Reads a clip's JSON file, an object that has "frames"."""
    text = separated_text.read_text(path)
    with files.reading(path, "JSON"):
        content = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, dict) or not frames:
        raise errors.InputError(
            f'{path}: no "frames" with ratings; expected {{"frames": {{"00000": {{...}}, ...}}}}'
        )
    return content


def _refuse_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)!r} occurs more than once")
    return result

"""AFEW-VA (Kossaifi et al., Image and Vision Computing 2017): pictures of films, each rated."""

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
    """AFEW-VA's clips of films.

    AFEW-VA is handed out at https://ibug.doc.ic.ac.uk/resources/afew-va-database/ for research.
    Unpack it, and give the folder that holds 001 to 600, each with
      001/00000.png and so on, numbered pictures, 25 a second
      001/001.json, with valence and arousal of each, from -10 to 10
    The five folds of its paper are not published. By default, clips go to train, dev and test
    60 : 20 : 20, all those of an actor (as the json names him or her) into one of them. Split
    otherwise with `train_recordings=001,002` and so on. Clips last 10 to 145 frames, so train on
    short ones: `clip_frames=10` and `clip_stride=2`.
    """

    FRAME_RATE = 25.0

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        names = sorted(p.name for p in folder.glob("[0-9]*") if re.fullmatch("[0-9]{3}", p.name))
        if not names:
            raise errors.InputError(
                f"{folder}: no folders 001 to {CLIPS}; give the one that has them with `manual_dir`"
            )
        reader.warn_of_count(folder, len(names), CLIPS, "clips")
        return folders.by_subject(
            {name: _actor(folder / name / f"{name}.json") or name for name in names}
        )

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        pictures, path = folder / name, folder / name / f"{name}.json"
        read = functools.partial(read_ratings, pictures, path, self.settings.targets)
        return reader.Source(name, pictures, [path], read, subject=_actor(path))


def _actor(path: pathlib.Path) -> str | None:
    """Who is seen in a clip, if its json says."""
    actor = _read_json(path).get("actor") if path.exists() else None
    return f"actor {actor}" if actor else None


def read_ratings(
    folder: pathlib.Path, path: pathlib.Path, targets: Sequence[str]
) -> dict[str, annotations.Ratings]:
    """Reads the ratings of a clip's pictures, from -1 to 1.

    A picture that the json does not name has no rating, NaN, and a rating without its picture is
    not used; a warning counts both.

    Args:
      folder: the pictures.
      path: the json.
      targets: what to read.

    Raises:
      InputError: the json is missing or not what it should be, or there are no pictures.
    """
    pictures = picture_sequence.PictureSequence(folder)
    numbers = pictures.numbers
    frames: dict[int, dict] = {}
    for name, frame in _read_json(path)["frames"].items():
        if not re.fullmatch("[0-9]{1,15}", name) or int(name) in frames:
            raise errors.InputError(
                f"{path}, frame {name!r}: expected the number of a picture such as 00012, each once"
            )
        frames[int(name)] = {t: _rating(path, name, frame, t) for t in targets}
    unrated = sum(number not in frames for number in numbers)
    unseen = len(frames.keys() - set(numbers))
    if unrated or unseen:
        logging.warning(
            f"{path}: of {len(numbers)} pictures {unrated} have no rating; {unseen} ratings "
            "have no picture, and are not used"
        )
    result = {}
    for target in targets:
        values = [[frames[number][target] if number in frames else np.nan] for number in numbers]
        result[target] = annotations.Ratings(pictures.timestamps, np.array(values), (target,))
    return result


def _rating(path: pathlib.Path, name: str, frame: object, target: str) -> float:
    found: Any = frame.get(target) if isinstance(frame, dict) else str(frame)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    rating = found / SCALE if number else np.nan
    if not -1 <= rating <= 1:
        raise errors.InputError(
            f"{path}, frame {name!r}, {target}: found {json.dumps(found)[:40]}, expected a number "
            f"from -{SCALE} to {SCALE}"
        )
    return rating


def _read_json(path: pathlib.Path) -> dict:
    """Reads a clip's json, which has "frames"."""
    text = separated_text.read_text(path)
    with files.reading(path, "JSON"):
        content = json.loads(text, object_pairs_hook=_each_once)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, dict) or not frames:
        raise errors.InputError(
            f'{path}: no "frames" with ratings; expected {{"frames": {{"00000": {{...}}, ...}}}}'
        )
    return content


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)!r} is there twice")
    return result

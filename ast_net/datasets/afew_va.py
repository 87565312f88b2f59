"""AFEW-VA (Kossaifi et al., Image and Vision Computing 2017): pictures of films, each rated."""

import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import folders, reader
from ast_net.faces import picture_sequence

CLIPS = 600
# Ratings are whole numbers from -SCALE to SCALE.
SCALE = 10


class AfewVa(reader.Reader):
    """AFEW-VA's clips of films.

    AFEW-VA is handed out at https://ibug.doc.ic.ac.uk/resources/afew-va-database/ for research. Unpack
    it, and give the folder that holds 001 to 600, each with
      001/00000.png and so on, numbered pictures, 25 a second
      001/001.json, with valence and arousal of each, from -10 to 10
    The five folds of its paper are not published. By default, clips go to train, dev and test
    60 : 20 : 20, all those of an actor (as the json names him or her) into one of them. Split otherwise
    with `train_recordings=001,002` and so on. Clips last 10 to 145 frames, so train on short ones:
    `clip_frames=10` and `clip_stride=2`.
    """

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        names = sorted(p.name for p in folder.glob("[0-9]*") if re.fullmatch("[0-9]{3}", p.name))
        if not names:
            raise errors.InputError(
                f"{folder}: no folders 001 to {CLIPS}; give the folder that holds them with `manual_dir`"
            )
        if len(names) != CLIPS:
            logging.warning(
                f"{folder}: {len(names)} clips, AFEW-VA has {CLIPS}; figures do not compare with "
                "those of others"
            )
        return folders.by_subject({name: _actor(folder, name) or name for name in names})

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        read = functools.partial(
            read_gold, folder / name, _annotation(folder, name), self.settings.targets
        )
        return reader.Source(
            name,
            folder / name,
            [_annotation(folder, name)],
            read,
            subject=_actor(folder, name),
        )


def _actor(folder: pathlib.Path, name: str) -> str | None:
    """Who is seen in a clip, if its json says."""
    path = _annotation(folder, name)
    actor = _read_json(path).get("actor") if path.exists() else None
    return f"actor {actor}" if actor else None


def _annotation(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / name / f"{name}.json"


def read_gold(
    folder: pathlib.Path, path: pathlib.Path, targets: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The times float64 [T] of a clip's pictures, and their ratings [T, D] from -1 to 1.

    A picture that the json does not name has no rating, NaN, and a rating without its picture is not
    used; a warning counts both.

    Args:
      folder: the pictures.
      path: the json.
      targets: the D columns.

    Raises:
      InputError: the json is missing or not what it should be, or there are no pictures.
    """
    pictures = picture_sequence.PictureSequence(folder)
    numbers = pictures.numbers
    ratings = _read_ratings(path, targets)
    unrated = sum(number not in ratings for number in numbers)
    unseen = len(ratings.keys() - set(numbers))
    if unrated or unseen:
        logging.warning(
            f"{path}: of {len(numbers)} pictures {unrated} have no rating; {unseen} ratings "
            "have no picture, and are not used"
        )
    nothing = [np.nan] * len(targets)
    gold = np.array([ratings.get(number, nothing) for number in numbers])
    return pictures.timestamps, gold


def _read_ratings(path: pathlib.Path, targets: Sequence[str]) -> dict[int, list[float]]:
    """The D ratings of each picture's number, from -1 to 1."""
    frames = _read_json(path).get("frames")
    if not isinstance(frames, dict) or not frames:
        raise errors.InputError(
            f'{path}: no "frames" with ratings; expected {{"frames": {{"00000": {{"valence": 1, ...}}}}}}'
        )
    result: dict[int, list[float]] = {}
    for name, frame in frames.items():
        if not re.fullmatch("[0-9]{1,15}", name) or int(name) in result:
            raise errors.InputError(
                f"{path}, frame {name!r}: expected the number of a picture such as 00012, each once"
            )
        result[int(name)] = [_rating(path, name, frame, target) for target in targets]
    return result


def _rating(path: pathlib.Path, name: str, frame: object, target: str) -> float:
    found: Any = frame.get(target) if isinstance(frame, dict) else str(frame)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    rating = found / SCALE if number else np.nan
    if not -1 <= rating <= 1:
        raise errors.InputError(
            f"{path}, frame {name!r}, {target}: found {json.dumps(found)[:40]}, expected a number from "
            f"-{SCALE} to {SCALE}"
        )
    return rating


def _read_json(path: pathlib.Path) -> dict:
    def each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"{max(names, key=names.count)!r} is there twice")
        return result

    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_once)
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise errors.InputError(
            f"{path}: no JSON that can be read ({error}); copy it again"
        ) from error
    if not isinstance(content, dict):
        raise errors.InputError(f'{path}: no object; expected {{"frames": ...}}')
    return content

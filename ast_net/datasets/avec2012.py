"""AVEC2012 (Schuller et al., ICMI 2012), the fully continuous sub-challenge, on SEMAINE."""

import functools
import pathlib
import re

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.datasets import annotations, feeltrace, folders, reader
from ast_net.faces import video

# Numbers a second in the label files, by those who published readers of them. The paper (section
# 4.1) prints 49.479 for the videos.
LABEL_RATE = 49.979
# A video whose own rate is this close to LABEL_RATE has the frames that were labelled one by one.
_SAME_RATE = 0.02
# Seconds by which labels and video may differ in length without a word.
_LENGTH_TOLERANCE = 1.0

# The name on disk of each split, and how many sessions it has.
_SPLITS = {"train": ("train", 31), "dev": ("devel", 32), "test": ("test", 32)}


class Avec2012(reader.Reader):
    """AVEC2012's sessions.

    AVEC2012 is handed out by the owners of SEMAINE (semaine-db.eu) to those who sign their
    agreement. Give the folder that holds, for train, devel and test,
      emotion labels/train/FC_train_labels/labels_continuous_train001_valence.dat
    and the same for arousal (and for expectancy and power, with
    `targets=valence,arousal,expectancy,power`), one number a line, and the sessions' videos. These
    are looked for as **/{split}*{number}.avi, such as
      video/train_video001.avi
    If yours have other names, say which with `video_pattern`: a path in that folder, with * for
    anything, ** for any folders, {split} for train, devel or test, and {number} for 001. It must
    fit one file a session. Where test has videos and no labels, it is predicted, a number for each
    frame of the video. Choose sessions with `train_recordings=train001,train002` and so on.
    """

    FRAME_RATE = 49.979

    TARGETS = config.ALL_TARGETS
    VIDEO_PATTERN = "**/{split}*{number}.avi"
    RATING_FILE = "{target}/labels_continuous_{recording}_{target}.dat"

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        """Returns the sessions that have labels; of test those with videos, if it has no labels."""
        result = {}
        for split, (on_disk, sessions) in _SPLITS.items():
            below = _labels(folder, on_disk)
            labels = below.glob(f"labels_continuous_{on_disk}???_*.dat")
            names = sorted({path.name.split("_")[2] for path in labels})
            if names:
                reader.warn_of_count(below, len(names), sessions, "sessions with labels")
                result[split] = tuple(names)
            elif split != "test":
                raise errors.InputError(
                    f"{below}: no labels_continuous_{on_disk}001_valence.dat or the like; give the "
                    'folder that holds "emotion labels" with `manual_dir`'
                )
            else:
                numbers = [f"{number:03}" for number in range(1, sessions + 1)]
                videos = [n for n in numbers if self._videos(folder, on_disk, n)]
                if videos:
                    result[split] = tuple(f"{on_disk}{number}" for number in videos)
        return result

    def _videos(self, folder: pathlib.Path, split: str, number: str) -> list[pathlib.Path]:
        fields = {"split": split, "number": number}
        return folders.matches(folder, self.video_pattern, fields)[1]

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        parts = re.fullmatch(r"(?P<split>train|devel|test)(?P<number>[0-9]{3})", name)
        if parts is None:
            raise errors.InputError(
                f"{name}: AVEC2012 has no session of this name; expected one such as train001"
            )
        video_file = folders.find_video(folder, self.video_pattern, parts.groupdict())
        files = {
            target: _labels(folder, parts["split"]) / f"labels_continuous_{name}_{target}.dat"
            for target in self.settings.targets
        }
        read = functools.partial(read_labels, name, video_file, files)
        return reader.Source(name, video_file, list(files.values()), read)


def _labels(folder: pathlib.Path, split: str) -> pathlib.Path:
    return folder / "emotion labels" / split / f"FC_{split}_labels"


def read_labels(
    name: str, video_file: pathlib.Path, files: dict[str, pathlib.Path]
) -> dict[str, annotations.Ratings]:
    """Reads the labels of a session: a file for each target, and in it a number for each frame.

    Raises:
      InputError: a file is missing or not what it should be, or one is longer than another.
    """
    labels = {}
    for target, path in files.items():
        # A blank line would move all labels after it by a frame.
        _, values = feeltrace.read_numbers(path, 1, blank_lines=False)
        labels[target] = feeltrace.to_unit_range(path, target, values)
    lengths = {target: len(values) for target, values in labels.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{count} in {files[target]}" for target, count in lengths.items())
        raise errors.InputError(
            f"{name}: labels of different length: {found}; expected one a frame: copy them again"
        )
    count = max(lengths.values())
    times = np.arange(count) / label_rate(name, count, video_file)
    return {target: annotations.Ratings(times, labels[target], (target,)) for target in files}


def label_rate(name: str, labels: int, video_file: pathlib.Path) -> float:
    """Returns the labels a second of a session: its video's frame rate, if that was labelled.

    There is one label a frame, so in a video that still has its frames (as many as there are
    labels, or about LABEL_RATE a second) each label has its frame's time, be that 49.979 or 49.479
    frames a second. In one that was brought to another rate labels lie by time, LABEL_RATE a
    second.

    If labels and video then differ by more than a second in length, a warning says so.
    """
    source = video.Video(video_file)
    frames, seconds = source.frame_count, source.duration
    if not frames or not seconds:
        logging.warning(
            f"{video_file}: its length is unknown; labels are taken as {LABEL_RATE:g} a second"
        )
        return LABEL_RATE
    own = frames / seconds
    rate = own if frames == labels or abs(own / LABEL_RATE - 1) <= _SAME_RATE else LABEL_RATE
    if abs(labels / rate - seconds) > _LENGTH_TOLERANCE:
        logging.warning(
            f"{name}: {labels} labels, at {rate:.3f} a second {labels / rate:.2f} s, but "
            f"{video_file} has {frames} frames in {seconds:.2f} s: frames without a label are "
            "not used; check that the video is this session's, and whole"
        )
    return rate

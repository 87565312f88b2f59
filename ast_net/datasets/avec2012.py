"""AVEC2012 (Schuller et al., ICMI 2012): the fully continuous sub-challenge, on SEMAINE."""

import functools
import pathlib
import re

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.datasets import annotations, feeltrace, folders, reader
from ast_net.faces import video

# Labels a second in the label files, according to published readers of them. The AST-Net paper
# (section 4.1) prints 49.479 for the videos.
LABEL_RATE = 49.979
# A video whose frame rate is this close to LABEL_RATE, relatively, still has the labelled frames.
_SAME_RATE = 0.02
# Labels and video may differ in length by this many seconds without a warning.
_LENGTH_TOLERANCE = 1.0

# The name on disk of each split, and the number of its sessions.
_SPLITS = {"train": ("train", 31), "dev": ("devel", 32), "test": ("test", 32)}


class Avec2012(reader.Reader):
    """AVEC2012, sessions of SEMAINE.

    AVEC2012 is available from the owners of SEMAINE (semaine-db.eu) to those who sign their
    agreement. Give the folder that contains, for train, devel and test, the label files
      emotion labels/train/FC_train_labels/labels_continuous_train001_valence.dat
    and the same for arousal (and for expectancy and power, with
    `targets=valence,arousal,expectancy,power`), one number a line; and the videos. Their default
    names are **/{split}*{number}.avi, such as
      video/train_video001.avi
    If yours have other names, give `video_pattern`: a path relative to that folder, with * for
    any characters, ** for any folders, {split} for train, devel or test, and {number} for 001. It
    must match exactly one file for each session. If test has videos but no labels, it is predicted,
    with a number for each frame of the video. Choose sessions with
    `train_recordings=train001,train002` and so on.
    """

    FRAME_RATE = 49.979

    TARGETS = config.ALL_TARGETS
    VIDEO_PATTERN = "**/{split}*{number}.avi"
    RATING_FILE = "{target}/labels_continuous_{recording}_{target}.dat"

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        """Returns the sessions that have labels; if test has none, its sessions that have a video.

        Raises:
          InputError: there are no labels of train or of devel.
        """
        result = {}
        for split, (on_disk, sessions) in _SPLITS.items():
            label_folder = _label_folder(folder, on_disk)
            labels = label_folder.glob(f"labels_continuous_{on_disk}???_*.dat")
            names = sorted({path.name.split("_")[2] for path in labels})
            if names:
                reader.warn_of_count(label_folder, len(names), sessions, "sessions with labels")
                result[split] = tuple(names)
            elif split != "test":
                raise errors.InputError(
                    f"{label_folder}: no files such as labels_continuous_{on_disk}001_valence.dat; "
                    'give the folder that contains "emotion labels" with `manual_dir`'
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
                f"{name}: AVEC2012 has no session of this name; expected a name such as train001"
            )
        video_file = folders.find_video(folder, self.video_pattern, parts.groupdict())
        files = {
            target: _label_folder(folder, parts["split"]) / f"labels_continuous_{name}_{target}.dat"
            for target in self.settings.targets
        }
        read = functools.partial(read_labels, name, video_file, files)
        return reader.Source(name, video_file, list(files.values()), read)


def _label_folder(folder: pathlib.Path, split: str) -> pathlib.Path:
    return folder / "emotion labels" / split / f"FC_{split}_labels"


def read_labels(
    name: str, video_file: pathlib.Path, files: dict[str, pathlib.Path]
) -> dict[str, annotations.Ratings]:
    """Reads the labels of a session: one file for each target, with one number for each frame.

    Args:
      name: name of the session.
      video_file: its video.
      files: the label file of each target.

    Raises:
      InputError: a file is missing or malformed, or the files differ in length.
    """
    labels = {}
    for target, path in files.items():
        # Skipping a blank line would shift all labels after it by a frame.
        _, values = feeltrace.read_numbers(path, 1, blank_lines=False)
        labels[target] = feeltrace.to_unit_range(path, target, values)
    lengths = {target: len(values) for target, values in labels.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{count} in {files[target]}" for target, count in lengths.items())
        raise errors.InputError(
            f"{name}: the numbers of labels differ: {listed}; expected one label for each frame: "
            "copy the files again"
        )
    count = max(lengths.values())
    times = np.arange(count) / label_rate(name, count, video_file)
    return {target: annotations.Ratings(times, labels[target], (target,)) for target in files}


def label_rate(name: str, labels: int, video_file: pathlib.Path) -> float:
    """Returns the number of labels a second in a session.

    Every original frame has one label. If the video still has these frames (as many as there are
    labels, or about LABEL_RATE a second), the label rate is the video's frame rate, be that 49.979
    or 49.479. If the video was converted to another frame rate, it is LABEL_RATE.

    A warning is logged if labels and video then differ by more than a second in length.

    Args:
      name: name of the session.
      labels: the number of labels.
      video_file: its video.
    """
    source = video.Video(video_file)
    frames, seconds = source.frame_count, source.duration
    if not frames or not seconds:
        logging.warning(
            f"{video_file}: the video's length is unknown; assuming {LABEL_RATE:g} labels a second"
        )
        return LABEL_RATE
    frame_rate = frames / seconds
    has_labelled_frames = frames == labels or abs(frame_rate / LABEL_RATE - 1) <= _SAME_RATE
    rate = frame_rate if has_labelled_frames else LABEL_RATE
    if abs(labels / rate - seconds) > _LENGTH_TOLERANCE:
        logging.warning(
            f"{name}: {labels} labels at {rate:.3f} a second last {labels / rate:.2f} s, but "
            f"{video_file} has {frames} frames in {seconds:.2f} s; frames without a label are "
            "ignored: check that the video belongs to this session and is complete"
        )
    return rate

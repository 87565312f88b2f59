"""Checks records before training."""

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.records import example_format, record_files
from ast_net.temporal import scoring


def check(records: record_files.Records, experiment: config.Experiment) -> None:
    """Refuses records that a model cannot be trained on, or whose scores would be misleading.

    Logs a warning if a recording is in a partition twice, or if its gold standard is constant.

    Args:
      records: the records of the run.
      experiment: the run; its reaction delay must be in seconds.

    Raises:
      InputError: two partitions contain the same recording; or the frames of train or dev that have
        a face and a rating, after the reaction delay, last for less than one clip; or no recording
        of dev can have a CC, because its ratings are constant or last for less than one clip.
    """
    _check_duplicates(records)
    delays = experiment.reaction_delay.per_target(len(records.targets))
    clip_seconds = experiment.clip.seconds(records.time_step)
    for split in ("train", "dev"):
        seconds, deviation = _usable_frames(records, split, delays, clip_seconds)
        for column, target in enumerate(records.targets):
            total = seconds[:, column].sum()
            if total < clip_seconds:
                delay = delays[column]
                later = f" {delay:g} s later" if delay else ""
                raise errors.InputError(
                    f"{split}: only {total:.1f} s have a face and a rating of {target}{later}, but "
                    f"one clip lasts {clip_seconds:.1f} s: use longer videos or fewer "
                    f"`clip_frames`{', or a shorter `reaction_delay`' if delay else ''}; describe "
                    "shows where faces and ratings are"
                )
            constant = np.flatnonzero(deviation[:, column] < scoring.CONSTANT)
            if len(constant):
                names = ", ".join(records.splits[split][number] for number in constant)
                logging.warning(
                    f"{split}: the ratings of {target} are constant in {names}, so it has no CC"
                )
        if split == "dev" and not (deviation >= scoring.CONSTANT).any():
            raise errors.InputError(
                f"dev: no recording has ratings that change and last for one clip, "
                f"{clip_seconds:.1f} s, so no epoch can be chosen by its CC: give other recordings "
                "as `dev_recordings`, or fewer `clip_frames`"
            )


def _usable_frames(
    records: record_files.Records, split: str, delays: tuple[float, ...], clip_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the frames that training uses: those with a face and a rating.

    Returns:
      For R recordings and D targets, the total duration of these frames, seconds [R, D], and the
      standard deviation of their ratings [R, D], NaN where there are none, or where the rated
      frames last for less than one clip.
    """
    seconds, deviation = [], []
    for frames in records.frames(split):
        step = example_format.duration(frames.timestamps) / len(frames.timestamps)
        # Only the ratings are needed here, so they are passed as predictions, too.
        recording = scoring.RecordingPrediction(
            frames.recording, frames.timestamps, frames.valid, frames.labels, frames.labels
        )
        ratings = [pairs.labels for pairs in scoring.pairs(recording, delays, "seen")]
        scored = scoring.pairs(recording, delays, "rated", clip_seconds)
        seconds.append([step * len(labels) for labels in ratings])
        deviation.append(
            [
                labels.std() if len(labels) and pairs.enough else np.nan
                for labels, pairs in zip(ratings, scored, strict=True)
            ]
        )
    return np.array(seconds), np.array(deviation)


def _check_duplicates(records: record_files.Records) -> None:
    """Finds duplicate recordings: sums over their features are equal only if all frames are."""
    seen: dict[bytes, tuple[str, str]] = {}
    for split, names in records.splits.items():
        for name, sums in zip(names, records.sums(split), strict=True):
            if not sums["total"].any():
                continue  # All sums are 0 in a recording without a face.
            content = sums["total"].tobytes() + sums["squares"].tobytes()
            other_split, other = seen.setdefault(content, (split, name))
            if other_split != split:
                raise errors.InputError(
                    f"{other} in {other_split} and {name} in {split} show the same video, but "
                    "partitions must not overlap: leave one of them out with `train_recordings`, "
                    "`dev_recordings` and `test_recordings`"
                )
            if other != name:
                logging.warning(f"{split}: {other} and {name} show the same video")

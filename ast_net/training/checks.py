"""What must hold of records before anything is trained on them."""

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.records import example_format, store
from ast_net.temporal import scoring


def check(records: store.Records, experiment: config.Experiment) -> None:
    """Refuses records that nothing, or something else than meant, would be learned from.

    Warns of a recording that is twice in one partition, and of constant gold standards.

    Args:
      records: of the run.
      experiment: its clip and its reaction delay, which is given in seconds.

    Raises:
      InputError: two partitions have the same recording; or train or dev has fewer rated frames
        with a face, after the reaction delay, than one clip lasts; or the gold standard of dev is
        constant in all recordings and targets.
    """
    _check_repetitions(records)
    delays = experiment.reaction_delay.per_target(len(records.targets))
    clip_seconds = (experiment.clip.frames - 1) * records.time_step
    for split in ("train", "dev"):
        seconds, spread = _seen(records, split, delays)
        for column, target in enumerate(records.targets):
            total = seconds[:, column].sum()
            if total < clip_seconds:
                raise errors.InputError(
                    f"{split}: {total:.1f} s of frames have a face and a rating of {target} "
                    f"{delays[column]:g} s later, but one clip lasts {clip_seconds:.1f} s: look at "
                    "the ratings (describe shows them), give a shorter `reaction_delay`, or "
                    "shorter clips with `clip_frames`"
                )
            constant = np.flatnonzero(spread[:, column] < scoring.CONSTANT)
            if len(constant):
                names = ", ".join(records.splits[split][number] for number in constant)
                logging.warning(
                    f"{split}: the ratings of {target} are constant in {names}: no CC there"
                )
        if split == "dev" and not (spread >= scoring.CONSTANT).any():
            raise errors.InputError(
                "dev: all ratings are constant, so that no epoch can be chosen by its CC: name "
                "other recordings with `dev_recordings`"
            )


def _seen(
    records: store.Records, split: str, delays: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the rated frames with a face: what training sees.

    Returns:
      For R recordings and D targets how long such frames last, seconds [R, D], and the standard
      deviation of their ratings [R, D], NaN where there are none.
    """
    seconds, spread = [], []
    for frames in records.frames(split):
        step = example_format.duration(frames.timestamps) / len(frames.timestamps)
        # Only ratings are looked at, so they stand in for the predictions.
        recording = scoring.RecordingPrediction(
            frames.recording, frames.timestamps, frames.valid, frames.labels, frames.labels
        )
        seen = [pairs.labels for pairs in scoring.pairs(recording, delays, "seen")]
        seconds.append([step * len(labels) for labels in seen])
        spread.append([labels.std() if len(labels) else np.nan for labels in seen])
    return np.array(seconds), np.array(spread)


def _check_repetitions(records: store.Records) -> None:
    """Compares the recordings' features: their sums are the same only if all pictures are."""
    places: dict[bytes, tuple[str, str]] = {}
    for split, names in records.splits.items():
        for name, sums in zip(names, records.sums(split), strict=True):
            if not sums["total"].any():
                continue  # no face
            content = sums["total"].tobytes() + sums["squares"].tobytes()
            other_split, other = places.setdefault(content, (split, name))
            if other_split != split:
                raise errors.InputError(
                    f"{other} in {other_split} and {name} in {split} are the same recording: "
                    "scores would be of what was trained on. Leave one out, with `train_recordings`, "
                    "`dev_recordings` and `test_recordings`"
                )
            if other != name:
                logging.warning(f"{split}: {other} and {name} are the same recording")

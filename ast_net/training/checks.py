"""What must hold of records before anything is trained on them."""

import hashlib
import itertools
from collections import defaultdict

import numpy as np
from absl import logging

from ast_net import config, errors
from ast_net.records import example_format, store
from ast_net.temporal import scoring

# A gold standard whose standard deviation is below this says nothing of who agrees with it.
_CONSTANT = 1e-5


def check(records: store.Records, experiment: config.Experiment) -> None:
    """Refuses records that nothing, or something else than meant, would be learned from.

    Warns of a recording that is twice in one partition, and of constant gold standards.

    Args:
      records: of the run.
      experiment: its targets, clip and reaction delay, in seconds.

    Raises:
      InputError: two partitions have the same recording; or train or dev has fewer rated frames with a face,
        after the reaction delay, than one clip lasts; or the gold standard of dev is constant.
    """
    _refuse_repetitions(records)
    delays = experiment.reaction_delay.each(len(records.targets))
    needed = (experiment.clip.frames - 1) * records.time_step
    for split in ("train", "dev"):
        varies = False
        for target, delay in enumerate(delays):
            name, seconds = records.targets[target], 0.0
            constant = []
            for frames in records.frames(split):
                prediction = scoring.RecordingPrediction(
                    frames.recording, frames.timestamps, frames.valid, frames.labels, frames.labels
                )
                seen = scoring.pairs(prediction, delays, "seen")[target]
                step = example_format.duration(frames.timestamps) / len(frames.timestamps)
                seconds += len(seen.frames) * step
                if len(seen.frames) and np.std(seen.labels) < _CONSTANT:
                    constant.append(frames.recording)
                varies |= len(seen.frames) > 0 and np.std(seen.labels) >= _CONSTANT
            if seconds < needed:
                raise errors.InputError(
                    f"{split}: {seconds:.1f} s of frames have a face and a rating of {name} {delay:g} s "
                    f"later, but one clip lasts {needed:.1f} s: look at the ratings (describe shows them), "
                    "give a shorter `reaction_delay`, or shorter clips with `clip_frames`"
                )
            if constant:
                logging.warning(
                    f"{split}: the ratings of {name} are constant in {', '.join(constant)}: no CC there"
                )
        if split == "dev" and not varies:
            raise errors.InputError(
                "dev: all ratings are constant, so that no epoch can be chosen by its CC: name other "
                "recordings with `dev_recordings`"
            )


def _refuse_repetitions(records: store.Records) -> None:
    """Compares the recordings' features: their sums are the same only if all pictures are."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for split in records.splits:
        for name, sums in zip(records.splits[split], records.sums(split), strict=True):
            if sums["total"].any():
                content = hashlib.sha256(b"".join(sums[k].tobytes() for k in ("total", "squares")))
                places[content.hexdigest()].append((split, name))
    for same in places.values():
        for (split, name), (other_split, other) in itertools.combinations(same, 2):
            if split != other_split:
                raise errors.InputError(
                    f"{name} in {split} and {other} in {other_split} are the same recording: scores would "
                    "be of what was trained on. Leave one out, with "
                    "`train_recordings`, `dev_recordings` and `test_recordings`"
                )
            logging.warning(f"{split}: {name} and {other} are the same recording")

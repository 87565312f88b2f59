"""Loads the pictures that the CNN is trained and evaluated on, with their expressions."""

from typing import NamedTuple

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import fer2013, ferplus
from ast_net.records import expression_pictures

# Fraction of the training pictures that chooses the best epoch if there is no public_test.
HELD_OUT = 0.1


class Examples(NamedTuple):
    """The pictures of a data set, uint8 [n, 48, 48, 1], with their expressions.

    Attributes:
      expressions: names of the K expressions.
      train: training pictures, and the probabilities of their expressions, float32 [n, K].
      splits: for each other split pictures and labels, int64 [n].
      dev, test: names of the split that chooses the best epoch, and of the one that evaluates it.
    """

    expressions: tuple[str, ...]
    train: fer2013.Split
    splits: dict[str, fer2013.Split]
    dev: str
    test: str


def load(dataset: str, data_dir: str, manual_dir: str | None) -> Examples:
    """Prepares a data set, unless that is already done, and loads it.

    The arguments are those of `expression_pictures.load`.

    Raises:
      InputError: see `expression_pictures.load`; or a split of the release has no pictures.
    """
    splits = expression_pictures.load(dataset, data_dir, manual_dir)
    has_folders = dataset == "fer2013" and "test" in splits
    expected = fer2013.FOLDER_SPLITS if has_folders else tuple(fer2013.SPLITS.values())
    if set(splits) != set(expected):
        raise errors.InputError(
            f"{dataset}: found pictures of {' and '.join(sorted(splits))}, expected some of each "
            f"of {', '.join(expected)}: give the whole release, and a new `data_dir`"
        )
    return from_votes(splits) if dataset == "ferplus" else from_labels(splits)


def from_labels(splits: dict[str, fer2013.Split]) -> Examples:
    """Makes examples of FER2013: the probability of an expression is 1 or 0.

    Args:
      splits: for each split pictures and labels, int64 [n]. The splits are train, public_test and
        private_test, or train and test.
    """
    splits = dict(splits)
    images, labels = splits.pop("train")
    dev, test = "public_test", "private_test"
    if dev not in splits:
        dev, test = "held_out", "test"
        held_out = np.random.default_rng(0).permutation(len(labels)) < HELD_OUT * len(labels)
        logging.info(f"no public_test: {held_out.sum()} training pictures choose the best epoch")
        splits[dev] = images[held_out], labels[held_out]
        images, labels = images[~held_out], labels[~held_out]
    targets = np.eye(len(fer2013.EXPRESSIONS), dtype=np.float32)[labels]
    return Examples(fer2013.EXPRESSIONS, (images, targets), splits, dev, test)


def from_votes(splits: dict[str, fer2013.Split]) -> Examples:
    """Makes examples of FER+: train has the distribution of the votes, the others the majority.

    Args:
      splits: for each split pictures and votes, uint8 [n, 10].
    """
    images, votes = splits["train"]
    kept, targets = ferplus.distributions(votes)
    logging.info(f"{kept.sum()} of {len(kept)} training pictures show an expression")
    train, dev, test = (images[kept], targets), "public_test", "private_test"
    evaluated = {}
    for name in (dev, test):
        pictures, votes = splits[name]
        included, labels = ferplus.majorities(votes)
        evaluated[name] = pictures[included], labels
    return Examples(ferplus.EXPRESSIONS, train, evaluated, dev, test)

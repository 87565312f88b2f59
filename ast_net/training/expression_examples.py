"""What the CNN is trained on, chosen by and measured on: pictures with the expressions in them."""

from typing import NamedTuple

import numpy as np
from absl import logging

from ast_net import errors
from ast_net.datasets import fer2013, ferplus
from ast_net.records import expression_pictures

# Without a split to choose the best epoch by, this part of the training pictures is kept for that.
HELD_OUT = 0.1


class Examples(NamedTuple):
    """The pictures of a data set, uint8 [n, 48, 48, 1] with targets or labels each.

    Attributes:
      expressions: the names of the K expressions.
      train: pictures and probabilities of the expressions, float32 [n, K].
      splits: pictures and labels, int64 [n], by the split's name.
      dev, test: the names of the splits that choose the best epoch and that measure it.
    """

    expressions: tuple[str, ...]
    train: fer2013.Split
    splits: dict[str, fer2013.Split]
    dev: str
    test: str


def load(dataset: str, data_dir: str, manual_dir: str | None) -> Examples:
    """Loads a data set, and prepares it unless that is already done.

    Args: as of `expression_pictures.load`.

    Raises:
      InputError: as there, or a split of the release has no picture.
    """
    splits = expression_pictures.load(dataset, data_dir, manual_dir)
    is_folders = dataset == "fer2013" and "test" in splits
    expected = fer2013.FOLDER_SPLITS if is_folders else tuple(fer2013.SPLITS.values())
    if set(splits) != set(expected):
        raise errors.InputError(
            f"{dataset}: found pictures of {' and '.join(sorted(splits))}, expected some of each "
            f"of {', '.join(expected)}: give the whole release, and a new `data_dir`"
        )
    return from_votes(splits) if dataset == "ferplus" else from_labels(splits)


def from_labels(splits: dict[str, fer2013.Split]) -> Examples:
    """Makes examples of FER2013's splits: an expression's probability is 1 or 0.

    Args:
      splits: pictures and labels int64 [n]; train, with public_test and private_test or with test.
    """
    splits = dict(splits)
    images, labels = splits.pop("train")
    dev, test = "public_test", "private_test"
    if dev not in splits:
        dev, test = "held_out", "test"
        held = np.random.default_rng(0).permutation(len(labels)) < HELD_OUT * len(labels)
        logging.info(f"no public_test here: {held.sum()} training pictures choose the best epoch")
        splits[dev] = images[held], labels[held]
        images, labels = images[~held], labels[~held]
    targets = np.eye(len(fer2013.EXPRESSIONS), dtype=np.float32)[labels]
    return Examples(fer2013.EXPRESSIONS, (images, targets), splits, dev, test)


def from_votes(splits: dict[str, fer2013.Split]) -> Examples:
    """Makes examples of FER+'s splits: train has the votes' shares, the others their majorities.

    Args:
      splits: pictures and votes uint8 [n, 10].
    """
    images, votes = splits["train"]
    kept, targets = ferplus.distributions(votes)
    logging.info(f"{kept.sum()} of {len(kept)} training pictures show an expression")
    counted = {}
    for name in ("public_test", "private_test"):
        pictures, votes = splits[name]
        clear, labels = ferplus.majorities(votes)
        counted[name] = pictures[clear], labels
    return Examples(
        ferplus.EXPRESSIONS, (images[kept], targets), counted, "public_test", "private_test"
    )

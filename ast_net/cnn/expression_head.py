"""Classifies discrete expressions from the CNN's features (section 3.2)."""

import dataclasses
import pathlib

import h5py
import keras
import numpy as np

from ast_net import files, shipped
from ast_net.cnn import compact, weight_files

FILE = "head.weights.h5"
# The attribute of the file that holds the names of the logits.
_NAMES = "expressions"


@dataclasses.dataclass(frozen=True, eq=False)
class ExpressionHead:
    """A dense layer on fc6 with the names of its outputs.

    Attributes:
      network: fc6 [B, F] -> logits [B, K], in float32 whatever the policy.
      expressions: names of the K logits.
    """

    network: keras.Model
    expressions: tuple[str, ...]

    def __call__(self, features):
        """Computes fc6 [B, F] -> logits [B, K]."""
        return self.network(features)


def build(feature_size: int, expressions: tuple[str, ...]) -> ExpressionHead:
    """Builds a head whose weights are zeros.

    All expressions are equally likely at first, and the first gradients do not disturb the CNN.

    Args:
      feature_size: number of the CNN's features, F.
      expressions: names of the K logits.
    """
    features = keras.Input((feature_size,), name="fc6")
    logits = keras.layers.Dense(
        len(expressions), kernel_initializer="zeros", dtype="float32", name="logits"
    )(features)
    return ExpressionHead(keras.Model(features, logits, name="head"), tuple(expressions))


def save(head: ExpressionHead, path: pathlib.Path) -> None:
    """Writes the head's weights and the names of its expressions to a .weights.h5 file."""
    with files.whole(path) as temporary:
        head.network.save_weights(temporary)
        with h5py.File(temporary, "a") as file:
            # Strings of a fixed length: HDF5 can loop forever in a damaged heap of variable ones.
            file.attrs[_NAMES] = np.array([name.encode() for name in head.expressions])


def load(
    feature_size: int = compact.FEATURES, weights: str | pathlib.Path = shipped.COMPACT_HEAD
) -> ExpressionHead:
    """Loads a fine-tuned head, by default that of the package's `compact`.

    Args:
      feature_size: number of features of the CNN that it was fine-tuned with, F.
      weights: the head.weights.h5 that `finetune` wrote; it has the expressions' names.

    Raises:
      InputError: the file is missing or damaged, or has other weights.
    """
    expected = f"the {FILE} that finetune writes, for {feature_size} features"
    with files.reading(weights, "the weights of head", f"expected {expected}"):
        with h5py.File(weights) as file:
            names = np.atleast_1d(file.attrs[_NAMES])
        # Older files have strings of variable length, which are not bytes.
        expressions = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names)
        words = set(filter(str.isidentifier, expressions))
        if not words or len(words) < len(expressions):
            raise ValueError(f"found {_NAMES} {expressions}, expected distinct words")
    head = build(feature_size, expressions)
    weight_files.load(head.network, weights, expected)
    return head


def file_beside(backbone_weights: str | pathlib.Path | None) -> pathlib.Path:
    """Finds the head's place beside its CNN's weights; None stands for the package's `compact`."""
    if backbone_weights is None:
        return shipped.COMPACT_HEAD
    return pathlib.Path(backbone_weights).with_name(FILE)

"""The discrete expressions that the CNN learns to tell apart (section 3.2)."""

import dataclasses
import pathlib

import h5py
import keras
import numpy as np

from ast_net import files, shipped
from ast_net.cnn import compact, weight_files

FILE = "head.weights.h5"
# The names of the logits, an attribute of the file.
_NAMES = "expressions"


@dataclasses.dataclass(frozen=True, eq=False)
class ExpressionHead:
    """A dense layer on fc6, and the names of its outputs.

    Attributes:
      network: fc6 [B, F] -> logits [B, K], in float32 whatever the policy.
      expressions: the names of the K logits.
    """

    network: keras.Model
    expressions: tuple[str, ...]

    def __call__(self, features):
        """Computes fc6 [B, F] -> logits [B, K]."""
        return self.network(features)


def build(feature_size: int, expressions: tuple[str, ...]) -> ExpressionHead:
    """Builds a head that starts from zeros.

    So all expressions are equally likely at first, and the first gradients do not shake the
    features.

    Args:
      feature_size: F, of the CNN below it.
      expressions: the names of the K logits.
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
            file.attrs[_NAMES] = list(head.expressions)


def load(
    feature_size: int = compact.FEATURES, weights: str | pathlib.Path = shipped.COMPACT_HEAD
) -> ExpressionHead:
    """Loads a fine-tuned head, by default that of the package's `compact`.

    Args:
      feature_size: F, of the CNN that it was fine-tuned with.
      weights: the head.weights.h5 that `finetune` left; it holds the expressions' names.

    Raises:
      InputError: the file is missing, damaged, or not the weights of such a head.
    """
    expected = f"the {FILE} that finetune leaves, for {feature_size} features"
    with files.reading(weights, "the weights of head", f"expected {expected}"):
        with h5py.File(weights) as file:
            names = np.atleast_1d(file.attrs[_NAMES])
        expressions = tuple(str(name) for name in names)
        words = {name for name in expressions if name.isidentifier()}
        if not words or len(words) != len(expressions):
            raise ValueError(f"found {_NAMES} {expressions}, expected different words")
    head = build(feature_size, expressions)
    weight_files.load(head.network, weights, expected)
    return head


def file_beside(backbone_weights: str | pathlib.Path | None) -> pathlib.Path:
    """Finds the head's place beside its CNN's weights; None stands for the package's `compact`."""
    if backbone_weights is None:
        return shipped.COMPACT_HEAD
    return pathlib.Path(backbone_weights).with_name(FILE)

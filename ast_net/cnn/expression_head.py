"""The seven discrete expressions that the CNN learns to tell apart (section 3.2)."""

import pathlib

import keras

from ast_net import shipped
from ast_net.cnn import compact, weight_files

# In the order of FER2013's codes.
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FILE = "head.weights.h5"


def build_head(feature_size: int) -> keras.Model:
    """Builds fc6 [B, F] -> logits of EXPRESSIONS [B, 7], in float32 whatever the policy.

    It starts from zeros: all classes are equally likely, and the first gradients do not shake the
    features.
    """
    features = keras.Input((feature_size,), name="fc6")
    logits = keras.layers.Dense(
        len(EXPRESSIONS), kernel_initializer="zeros", dtype="float32", name="logits"
    )(features)
    return keras.Model(features, logits, name="head")


def load_head(
    feature_size: int = compact.FEATURES, weights: str | pathlib.Path = shipped.COMPACT_HEAD
) -> keras.Model:
    """Loads a fine-tuned head, by default that of the package's `compact`.

    Args:
      feature_size: F, of the CNN that it was fine-tuned with.
      weights: the head.weights.h5 that `finetune` left.

    Raises:
      InputError: the file is missing, damaged, or not the weights of such a head.
    """
    head = build_head(feature_size)
    expected = f"the {FILE} that finetune leaves, for {feature_size} features"
    weight_files.load(head, weights, expected)
    return head


def file_beside(backbone_weights: str | pathlib.Path | None) -> pathlib.Path:
    """Finds the head's place beside its CNN's weights; None stands for the package's `compact`."""
    if backbone_weights is None:
        return shipped.COMPACT_HEAD
    return pathlib.Path(backbone_weights).with_name(FILE)

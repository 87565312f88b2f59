"""The seven discrete expressions that the CNN is trained to tell apart (section 3.2)."""

import pathlib

import keras

from ast_net import errors, shipped
from ast_net.cnn import compact

# In the order of FER2013's codes.
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def build_head(feature_size: int) -> keras.Model:
    """fc6 [B, F] -> logits of EXPRESSIONS [B, 7], in float32 whatever the policy.

    It starts from zeros: all classes are as likely, and no large first gradients shake the features.
    """
    features = keras.Input((feature_size,), name="fc6")
    logits = keras.layers.Dense(
        len(EXPRESSIONS), kernel_initializer="zeros", dtype="float32", name="logits"
    )(features)
    return keras.Model(features, logits, name="head")


def load_head(
    feature_size: int = compact.FEATURES, weights: str | pathlib.Path = shipped.COMPACT_HEAD
) -> keras.Model:
    """The head with trained weights; by default that of the package's own `compact`.

    Args:
      feature_size: F, of the CNN it was trained with.
      weights: the head.weights.h5 that `finetune` left.

    Raises:
      InputError: the file is missing or not the weights of such a head.
    """
    head = build_head(feature_size)
    try:
        head.load_weights(weights)
    except (ValueError, KeyError, OSError) as error:
        raise errors.InputError(
            f"{weights}: not the weights of a head on {feature_size} features: {error}; expected the "
            "head.weights.h5 that finetune left beside its backbone.weights.h5"
        ) from error
    return head

"""The CNN that a data set's features come from: which one, with which weights, and running it."""

import hashlib
import pathlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from ast_net import errors
from ast_net.cnn import compact, vgg16

FEATURE_SIZE = {"compact": compact.FEATURES, "vgg16": 4096}


def weights_id(name: str, weights: str | None) -> str:
    """A short name of the weights, so that features of two CNNs never mix: 8 digits of the file's SHA-256.

    Raises:
      InputError: as `load`.
    """
    _check(name, weights)
    if weights is None:
        return "seed0"
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def load(name: str, weights: str | None) -> keras.Model:
    """The CNN [B, 224, 224, 3] uint8 RGB -> fc6 [B, F], ready to use.

    Args:
      name: compact or vgg16.
      weights: a Keras weights file (.weights.h5) of this CNN; None gives compact its seeded weights.

    Raises:
      InputError: the name is unknown, vgg16 has no weights, or the file is missing or another CNN's.
    """
    _check(name, weights)
    model = {"compact": compact.build_compact, "vgg16": vgg16.build_vgg16}[name]()
    if weights is not None:
        try:
            model.load_weights(weights)
        except (ValueError, KeyError, OSError) as error:
            raise errors.InputError(
                f"{weights}: not the weights of {name}: {error}; expected a .weights.h5 file that Keras "
                f"saved from {name}"
            ) from error
    return model


def extract(
    model: keras.Model, faces: Iterable[tuple[np.ndarray, bool]], batch_size: int = 32
) -> Iterator[np.ndarray]:
    """fc6 of each frame, float16 [F]; zeros where there is no face.

    Args:
      model: from `load`.
      faces: for each frame the aligned face [224, 224, 3] uint8 RGB, and whether there is one.
      batch_size: faces that pass through the CNN at once, and frames held in memory.
    """
    fc6 = tf.function(model, input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.uint8)])
    batch: list[tuple[np.ndarray, bool]] = []
    for frame in faces:
        batch.append(frame)
        if len(batch) == batch_size:
            yield from _extract_batch(fc6, batch, model.output.shape[-1])
            batch = []
    yield from _extract_batch(fc6, batch, model.output.shape[-1])


def _extract_batch(fc6, batch: list[tuple[np.ndarray, bool]], feature_size: int) -> np.ndarray:
    features = np.zeros((len(batch), feature_size), np.float16)
    valid = np.array([is_face for _, is_face in batch], bool)
    if valid.any():
        faces = np.stack([face for face, is_face in batch if is_face])
        limit = np.finfo(np.float16).max
        features[valid] = np.minimum(fc6(tf.constant(faces)).numpy(), limit)
    return features


def _check(name: str, weights: str | None) -> None:
    if name not in FEATURE_SIZE:
        raise errors.InputError(f"backbone {name!r} is unknown, expected one of {sorted(FEATURE_SIZE)}")
    if weights is None and name != "compact":
        raise errors.InputError(
            f"backbone {name} has no weights of its own: give --backbone_weights=PATH, a .weights.h5 file "
            "that Keras saved from it, or use --backbone=compact"
        )
    if weights is not None and not pathlib.Path(weights).is_file():
        raise errors.InputError(f"{weights}: no such file; expected the weights of {name}")

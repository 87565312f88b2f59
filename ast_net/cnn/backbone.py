"""The CNN that a data set's features come from: which one, and with which weights."""

import hashlib
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ast_net import errors, shipped
from ast_net.cnn import compact, vgg16, vgg_face, weight_files

FEATURE_SIZE = {"compact": compact.FEATURES, "vgg16": vgg16.FEATURES}


def weights_id(name: str, weights: str | None) -> str:
    """Names the weights by 8 digits of the file's SHA-256, so that features of two CNNs never mix.

    Args:
      name, weights: as of `load`.

    Raises:
      InputError: as `load`.
    """
    with _weights_file(name, weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def load(name: str, weights: str | None, dtype_policy: str = "float32") -> keras.Model:
    """Loads the CNN, [B, 224, 224, 3] uint8 RGB -> fc6 [B, F].

    Args:
      name: compact or vgg16.
      weights: a .weights.h5 file that Keras saved from this CNN, or for vgg16 one of VGG-Face's
        files (`vgg_face`); None gives compact those that come with the package.
      dtype_policy: of the arithmetic, such as mixed_bfloat16 for training; `runtime` is for
        inference.

    Raises:
      InputError: the name is unknown, vgg16 has no weights, or the file is missing, damaged or
        another CNN's.
    """
    path = _weights_file(name, weights)
    if name == "vgg16":
        model = vgg16.build_vgg16(dtype_policy, draw_weights=False)
        vgg_face.load_into(model, path)
        return model
    model = compact.build_compact(None, dtype_policy)
    weight_files.load(model, path, "a .weights.h5 file that Keras saved from it")
    return model


def on_pictures(model: keras.Model) -> keras.Model:
    """Adapts the CNN to FER2013's pictures: grey values in [0, 1], [B, 48, 48, 1] -> fc6 [B, F].

    A picture is what the middle 192 pixels of a face show. `compact` averages these to 48x48 and is
    given the picture itself; `vgg16` is given it enlarged and with a mirrored margin.

    Args:
      model: from `load`; its weights are shared.
    """
    if model.name == "compact":
        return model.get_layer("trunk")
    pictures = keras.Input((compact.PICTURE_SIZE, compact.PICTURE_SIZE, 1), name="pictures")
    return keras.Model(pictures, model(enlarge(pictures)))


def enlarge(pictures):
    """Turns pictures as `on_pictures` takes them into faces, uint8 [B, 224, 224, 3]."""
    middle = keras.ops.image.resize(pictures, (192, 192), interpolation="bilinear")
    faces = keras.ops.pad(middle, ((0, 0), (16, 16), (16, 16), (0, 0)), mode="symmetric")
    return keras.ops.cast(keras.ops.round(255 * keras.ops.repeat(faces, 3, axis=3)), "uint8")


def first_stages(model: keras.Model, number: int) -> list[keras.layers.Layer]:
    """Returns the layers with weights of the first stages; each stage ends with a pooling layer."""
    layers = model.get_layer("trunk").layers if model.name == "compact" else model.layers
    names = tuple(f"{kind}{stage}_" for stage in range(1, number + 1) for kind in ("conv", "norm"))
    return [layer for layer in layers if layer.name.startswith(names)] if names else []


def in_batches(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Builds a call of the network on any number of pictures as FER2013 has them.

    It is traced once, and uses the weights of the moment.

    Args:
      network: grey values in [0, 1], [B, 48, 48, 1] -> [B, F].

    Returns:
      A function of pictures, uint8 [n, 48, 48, 1] -> [n, F].
    """
    graph = tf.function(network, input_signature=[tf.TensorSpec(network.input.shape, tf.float32)])

    def call(pictures: np.ndarray) -> np.ndarray:
        batches = (pictures[first : first + 64] for first in range(0, len(pictures), 64))
        return np.concatenate([graph(batch.astype(np.float32) / 255) for batch in batches])

    return call


def extract_pictures(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Computes fc6 of pictures as FER2013 has them, uint8 [n, 48, 48, 1] -> float16 [n, F]."""
    fc6 = in_batches(on_pictures(model))(pictures)
    return np.minimum(fc6, np.finfo(np.float16).max).astype(np.float16)


def _weights_file(name: str, weights: str | None) -> pathlib.Path:
    if name not in FEATURE_SIZE:
        known = " or ".join(FEATURE_SIZE)
        raise errors.InputError(f"backbone {name!r} is unknown, expected {known}")
    if weights is None and name == "compact":
        return shipped.COMPACT
    if weights is None:
        raise errors.InputError(
            f"backbone {name} has no weights of its own: give `backbone_weights=PATH`, VGG-Face's "
            "(tools/fetch_vgg_face.py) or those that finetune left, or use `backbone=compact`"
        )
    path = pathlib.Path(weights)
    if not path.is_file():
        raise errors.InputError(f"{path}: no such file; expected the weights of {name}")
    return path

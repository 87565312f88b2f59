"""Files that somebody else made, such as weights, and that may be damaged."""

import contextlib
import pathlib
import textwrap
from collections.abc import Iterator

import h5py
import keras
import numpy as np
import tensorflow as tf

from ast_net import errors


@contextlib.contextmanager
def reading(path: str | pathlib.Path, content: str, expected: str) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into an error that names it.

    h5py, Keras and SciPy raise almost any exception for a damaged file, others in every version.

    Args:
      path: the file.
      content: what it should hold, such as "the weights of vgg16".
      expected: which file would do.

    Raises:
      InputError: in place of every exception, except when memory is used up.
    """
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        # Keras adds lines of numbers and layers.
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 400)
        raise errors.InputError(
            f"{path}: not {content}, or damaged ({reason}); expected {expected}"
        ) from error


def load(model: keras.Model, path: str | pathlib.Path, expected: str) -> None:
    """Reads the weights that Keras saved from the same model, one array at a time.

    Args:
      model: gets the weights.
      path: the .weights.h5 file.
      expected: which file would do, for the error.

    Raises:
      InputError: the file is missing, damaged or another model's, or a value is not finite.
    """
    with reading(path, f"the weights of {model.name}", expected):
        items: list = []
        with h5py.File(path) as file:
            file.visititems(lambda _, item: items.append(item))
            arrays = sum(isinstance(item, h5py.Dataset) for item in items)
        # Keras does not mind layers that it has no use for.
        if arrays != len(model.weights):
            raise ValueError(f"found {arrays} arrays, expected {len(model.weights)}")
        model.load_weights(path)
        for layer in model.layers:
            for variable in layer.weights:
                finite(variable, layer.name)


def finite(values, layer: str) -> np.ndarray:
    """Returns the values as a float32 array.

    Raises:
      ValueError: a value is infinite or not a number.
    """
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{layer}: found values that are not finite, expected finite weights")
    return array

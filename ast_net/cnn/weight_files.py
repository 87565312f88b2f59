"""Weights read from files that somebody else made, and that may be damaged."""

import contextlib
import os
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from ast_net import errors


@contextlib.contextmanager
def reading(path: str | os.PathLike, content: str, expected: str) -> Iterator[None]:
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
    except (errors.InputError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        raise errors.InputError(
            f"{path}: not {content}, or cut off ({type(error).__name__}: {error}); expected "
            f"{expected}"
        ) from error


def load(model: keras.Model, path: str | os.PathLike, expected: str) -> None:
    """Reads the weights that Keras saved from the same model, one array at a time.

    Args:
      model: gets the weights.
      path: the .weights.h5 file.
      expected: which file would do, for the error.

    Raises:
      InputError: the file is missing, damaged or another model's, or a value is not finite.
    """
    with reading(path, f"the weights of {model.name}", expected):
        model.load_weights(path)
    for layer in model.layers:
        for variable in layer.weights:
            finite(variable, path, layer.name)


def finite(values, path: str | os.PathLike, layer: str) -> np.ndarray:
    """Returns the values as a float32 array.

    Raises:
      InputError: a value is infinite or not a number.
    """
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise errors.InputError(
            f"{path}, {layer}: found values that are not finite, expected finite weights: the file "
            "is damaged, fetch it again"
        )
    return array

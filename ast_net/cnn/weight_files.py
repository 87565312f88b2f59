"""Weights from files that somebody else made, which may be damaged or of another model."""

import pathlib

import h5py
import keras
import numpy as np

from ast_net import files


def load(model: keras.Model, path: str | pathlib.Path, expected: str) -> None:
    """Reads the weights that Keras saved from the same model, one array at a time.

    Args:
      model: gets the weights.
      path: the .weights.h5 file.
      expected: which file would do, for the error.

    Raises:
      InputError: the file is missing, damaged or another model's, or a value is not finite.
    """
    with files.reading(path, f"the weights of {model.name}", f"expected {expected}"):
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

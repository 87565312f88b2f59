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
        # Keras does not mind layers that it has no use for, and reads arrays of any size.
        shapes = sorted(_shapes(path))
        if len(shapes) != len(model.weights):
            raise ValueError(f"found {len(shapes)} arrays, expected {len(model.weights)}")
        expected_shapes = sorted(tuple(weights.shape) for weights in model.weights)
        if shapes != expected_shapes:
            raise ValueError(f"found arrays of the shapes {shapes}, expected {expected_shapes}")
        model.load_weights(path)
        for layer in model.layers:
            for variable in layer.weights:
                finite(variable, layer.name)


def _shapes(path: str | pathlib.Path) -> list[tuple[int, ...]]:
    """Returns the shapes of all arrays in an HDF5 file.

    Raises:
      ValueError: an array's numbers are in another file.
    """
    items: list = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: items.append(item))
        arrays = [item for item in items if isinstance(item, h5py.Dataset)]
        if any(array.external or array.is_virtual for array in arrays):
            raise ValueError("found arrays that are stored in other files")
        return [array.shape for array in arrays]


def finite(values, layer: str) -> np.ndarray:
    """Returns the values as a float32 array.

    Raises:
      ValueError: a value is infinite or not a number.
    """
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{layer}: found values that are not finite, expected finite weights")
    return array

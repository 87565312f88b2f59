"""VGG-Face's weights (Parkhi et al., BMVC 2015) as they are passed around, read into `vgg16`.

The content of a file tells which one it is, whatever its name (a .weights.h5 must be called so):
- Oxford's vgg-face.mat, of MatConvNet: RGB; read in whole by SciPy, then spooled to disk.
- keras-vggface's rcmalli_vggface_tf_vgg16.h5: BGR; fc6 is a dense layer.
- DeepFace's vgg_face_weights.h5: BGR; layers without telling names; fc6 is a 7x7 convolution.
- a .weights.h5 that Keras saved from `vgg16`: RGB.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras
import numpy as np
import scipy.io

from ast_net import errors
from ast_net.cnn import weight_files

EXPECTED = (
    "vgg-face.mat (Oxford), rcmalli_vggface_tf_vgg16.h5 (keras-vggface), vgg_face_weights.h5 "
    "(DeepFace), or a .weights.h5 file that Keras saved from vgg16"
)


@dataclasses.dataclass(frozen=True)
class _Stored:
    """Kernels and biases by layer, read when sliced. `bgr`: the order of the input's channels."""

    layers: dict[str, tuple[Any, Any]]
    bgr: bool


def load_into(model: keras.Model, path: str | pathlib.Path) -> None:
    """Reads a file's weights into the model in pieces, so that they are never in memory twice.

    Args:
      model: of `vgg16.build_vgg16`.
      path: one of the files above.

    Raises:
      InputError: the file is none of these, is cut off, or holds weights of other shapes.
    """
    path = pathlib.Path(path)
    with weight_files.reading(path, "VGG-Face's weights", EXPECTED):
        if _is_keras_3(path):
            weight_files.load(model, path, EXPECTED)
        else:
            _load_vgg_face(model, path)


def _load_vgg_face(model: keras.Model, path: pathlib.Path) -> None:
    *convolutions, fc6 = (layer for layer in model.layers if layer.weights)
    names = [layer.name for layer in (*convolutions, fc6)]
    with _opened(path, names) as stored:
        for layer in convolutions:
            _check_shapes(path, layer, stored, [tuple(layer.kernel.shape)])
        _, height, width, channels = fc6.input.shape
        # The same numbers in the same order: height, width, channel.
        shapes = [(height, width, channels), (height * width * channels,)]
        _check_shapes(path, fc6, stored, [(*shape, fc6.units) for shape in shapes])
        for layer in convolutions:
            kernel = weight_files.finite(stored.layers[layer.name][0], path, layer.name)
            reverse = stored.bgr and layer is convolutions[0]
            layer.kernel.assign(kernel[:, :, ::-1] if reverse else kernel)
        for row, target in enumerate(fc6.kernels):
            piece = _row(stored.layers["fc6"][0], row, target.shape[0])
            target.assign(weight_files.finite(piece, path, "fc6").reshape(target.shape))
        for layer in (*convolutions, fc6):
            bias = weight_files.finite(stored.layers[layer.name][1], path, layer.name)
            layer.bias.assign(bias.reshape(-1))


def _check_shapes(
    path: pathlib.Path, layer: keras.Layer, stored: _Stored, allowed: list[tuple[int, ...]]
) -> None:
    if layer.name not in stored.layers:
        raise errors.InputError(
            f"{path}: found no layer {layer.name}, only {', '.join(stored.layers) or 'no layer'}; "
            f"expected {EXPECTED}, with all layers up to fc6"
        )
    kernel, bias = stored.layers[layer.name]
    if tuple(kernel.shape) not in allowed:
        raise errors.InputError(
            f"{path}, {layer.name}: found a kernel of shape {tuple(kernel.shape)}, expected "
            f"{' or '.join(map(str, allowed))}, as in {EXPECTED}"
        )
    if int(np.prod(bias.shape)) != allowed[0][-1]:
        raise errors.InputError(
            f"{path}, {layer.name}: found a bias of shape {tuple(bias.shape)}, expected "
            f"{allowed[0][-1:]}, as in {EXPECTED}"
        )


def _row(kernel: Any, row: int, size: int) -> Any:
    """Cuts out fc6's kernel of one row of the map; stored as a convolution or as one matrix."""
    if len(kernel.shape) == 2:
        return kernel[row * size : (row + 1) * size]
    return kernel[row]


@contextlib.contextmanager
def _opened(path: pathlib.Path, names: list[str]) -> Iterator[_Stored]:
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            yield _keras(file, names)
    elif path.open("rb").read(10) == b"MATLAB 5.0":
        with tempfile.TemporaryDirectory() as folder:
            yield _matconvnet(path, pathlib.Path(folder), names)
    else:
        raise errors.InputError(f"{path}: neither an HDF5 nor a MATLAB file; expected {EXPECTED}")


def _is_keras_3(path: pathlib.Path) -> bool:
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        return "layer_names" not in file.attrs and "model_weights" not in file


def _keras(file: h5py.File, names: list[str]) -> _Stored:
    root = file.get("model_weights", file)
    layers = {}
    for name in root.attrs["layer_names"]:
        group = root[name]
        weights = [group[weight] for weight in group.attrs["weight_names"]]
        if len(weights) == 2:
            layers[_text(name)] = (weights[0], weights[1])
    if names[0] not in layers:  # DeepFace's: only the order tells
        layers = dict(zip(names, layers.values(), strict=False))
    return _Stored(layers, bgr=True)


def _matconvnet(path: pathlib.Path, folder: pathlib.Path, names: list[str]) -> _Stored:
    """The kernels as memory-mapped copies in the folder, for SciPy reads a file in whole."""
    root = scipy.io.loadmat(str(path))
    if "net" in root:
        layers = root["net"][0, 0]["layers"]
    elif "layers" in root:
        layers = root["layers"]
    else:
        held = [name for name in root if not name.startswith("__")]
        raise errors.InputError(f"{path}: found {held}, but no layers; expected {EXPECTED}")
    pairs = {}
    for entry in layers.reshape(-1):
        layer = entry[0, 0]
        name, pair = _text(layer["name"].reshape(-1)[0]), _matconvnet_pair(layer)
        if name in names and pair is not None:
            np.save(folder / f"{name}.npy", pair[0].astype(np.float32, copy=False))
            pairs[name] = (np.load(folder / f"{name}.npy", mmap_mode="r"), pair[1].copy())
    return _Stored(pairs, bgr=False)


def _matconvnet_pair(layer: np.void) -> tuple[np.ndarray, np.ndarray] | None:
    fields = layer.dtype.names or ()
    if "filters" in fields:
        return layer["filters"], layer["biases"]
    cells = list(layer["weights"].reshape(-1)) if "weights" in fields else []
    return (cells[0], cells[1]) if len(cells) == 2 else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

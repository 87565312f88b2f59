"""VGG-Face's weights (Parkhi et al., BMVC 2015) as they are passed around, read into `vgg16`.

A file is known by its content, whatever its name:
- Oxford's vgg-face.mat, of MatConvNet: RGB; read in whole by SciPy, then spooled to disk.
- keras-vggface's rcmalli_vggface_tf_vgg16.h5: BGR; fc6 is a dense layer.
- DeepFace's vgg_face_weights.h5: BGR; layers without telling names; fc6 is a 7x7 convolution.
- a .weights.h5 that Keras saved from `vgg16`: RGB.
"""

import contextlib
import dataclasses
import pathlib
import re
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import keras
import numpy as np
import scipy.io

from ast_net import errors

EXPECTED = (
    "expected vgg-face.mat (Oxford), rcmalli_vggface_tf_vgg16.h5 (keras-vggface), vgg_face_weights.h5 "
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
    *convolutions, fc6 = (layer for layer in model.layers if layer.weights)
    names = [layer.name for layer in (*convolutions, fc6)]
    with _opened(path, names) as stored:
        for layer in convolutions:
            _check_shapes(path, layer, stored, [tuple(layer.kernel.shape)])
        _, height, width, channels = fc6.input.shape
        # The same numbers in the same order: height, width, channel.
        shapes = [
            (height, width, channels),
            (height * width * channels,),
            (height, width * channels),
        ]
        _check_shapes(path, fc6, stored, [(*shape, fc6.units) for shape in shapes])
        for layer in convolutions:
            kernel = _finite(path, layer.name, stored.layers[layer.name][0])
            reverse = stored.bgr and layer is convolutions[0]
            layer.kernel.assign(kernel[:, :, ::-1] if reverse else kernel)
        for row, target in enumerate(fc6.kernels):
            piece = _row(stored.layers["fc6"][0], row, target.shape[0])
            target.assign(_finite(path, "fc6", piece).reshape(target.shape))
        for layer in (*convolutions, fc6):
            layer.bias.assign(_finite(path, layer.name, stored.layers[layer.name][1]).reshape(-1))


def _check_shapes(
    path: pathlib.Path, layer: keras.Layer, stored: _Stored, allowed: list[tuple[int, ...]]
) -> None:
    if layer.name not in stored.layers:
        raise errors.InputError(
            f"{path}: found no layer {layer.name}, only {', '.join(stored.layers) or 'none at all'}; "
            f"{EXPECTED}, with all layers up to fc6"
        )
    kernel, bias = stored.layers[layer.name]
    found = (len(kernel), *kernel[0].shape) if isinstance(kernel, list) else tuple(kernel.shape)
    if found not in allowed:
        raise errors.InputError(
            f"{path}, {layer.name}: found a kernel of shape {found}, expected "
            f"{' or '.join(map(str, allowed))}; {EXPECTED}"
        )
    if int(np.prod(bias.shape)) != allowed[0][-1]:
        raise errors.InputError(
            f"{path}, {layer.name}: found a bias of shape {tuple(bias.shape)}, expected "
            f"{allowed[0][-1:]}; {EXPECTED}"
        )


def _row(kernel: Any, row: int, size: int) -> Any:
    """What one row of the map is multiplied by: of a convolution, a list of rows, or one matrix."""
    if not isinstance(kernel, list) and len(kernel.shape) == 2:
        return kernel[row * size : (row + 1) * size]
    return kernel[row]


def _finite(path: pathlib.Path, name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise errors.InputError(
            f"{path}, {name}: found values that are not finite; the file is damaged, fetch it anew"
        )
    return array


@contextlib.contextmanager
def _opened(path: pathlib.Path, names: list[str]) -> Iterator[_Stored]:
    with contextlib.ExitStack() as stack:
        try:
            if h5py.is_hdf5(path):
                yield _keras(path, stack.enter_context(h5py.File(path)), names)
            elif path.open("rb").read(10) == b"MATLAB 5.0":
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                yield _matconvnet(path, pathlib.Path(folder), names)
            else:
                raise errors.InputError(f"{path}: neither an HDF5 nor a MATLAB file; {EXPECTED}")
        except (OSError, KeyError, zlib.error) as error:
            raise errors.InputError(
                f"{path}: cannot be read, it may be cut off: {error}; {EXPECTED}"
            ) from error


def _keras(path: pathlib.Path, file: h5py.File, names: list[str]) -> _Stored:
    if "layer_names" not in file.attrs and "model_weights" not in file:
        return _Stored(_keras_3(file, names), bgr=False)
    root = file.get("model_weights", file)
    found = {}
    for name in root.attrs["layer_names"]:
        group = root[name]
        weights = [group[weight] for weight in group.attrs["weight_names"]]
        if len(weights) == 2:
            found[_text(name)] = (weights[0], weights[1])
    if names[0] not in found:  # DeepFace's: only the order tells
        found = dict(zip(names, found.values(), strict=False))
    return _Stored(found, bgr=True)


def _keras_3(file: h5py.File, names: list[str]) -> dict[str, tuple[Any, Any]]:
    """Keras 3 numbers the layers of a kind: conv2d, conv2d_1, ...; fc6 has a kernel for each row."""
    layers = file.get("layers", {})
    matches = [re.fullmatch(r"conv2d(?:_(\d+))?", name) for name in layers]
    ordered = sorted((m for m in matches if m), key=lambda m: int(m[1] or 0))
    weights = [layers[m[0]]["vars"] for m in ordered]
    found = {name: (w["0"], w["1"]) for name, w in zip(names, weights, strict=False) if len(w) == 2}
    if "fc6" in layers:
        parts = layers["fc6"]["vars"]
        *kernels, bias = (parts[str(number)] for number in range(len(parts)))
        found["fc6"] = (kernels, bias)
    return found


def _matconvnet(path: pathlib.Path, folder: pathlib.Path, names: list[str]) -> _Stored:
    """The kernels as memory-mapped copies in the folder, for SciPy reads a file in whole."""
    try:
        root = scipy.io.loadmat(str(path))
    except Exception as error:  # SciPy lets almost any kind through for a file that is cut off
        raise errors.InputError(
            f"{path}: cannot be read, it may be cut off: {error}; {EXPECTED}"
        ) from error
    if "net" in root:
        layers = root["net"][0, 0]["layers"]
    elif "layers" in root:
        layers = root["layers"]
    else:
        held = [name for name in root if not name.startswith("__")]
        raise errors.InputError(f"{path}: found {held}, but no layers; {EXPECTED}")
    found = {}
    for entry in layers.reshape(-1):
        layer = entry[0, 0]
        name, pair = _text(layer["name"].reshape(-1)[0]), _matconvnet_pair(layer)
        if name in names and pair is not None:
            np.save(folder / f"{name}.npy", pair[0].astype(np.float32, copy=False))
            found[name] = (np.load(folder / f"{name}.npy", mmap_mode="r"), pair[1].copy())
    return _Stored(found, bgr=False)


def _matconvnet_pair(layer: np.void) -> tuple[np.ndarray, np.ndarray] | None:
    fields = layer.dtype.names or ()
    if "filters" in fields:
        return layer["filters"], layer["biases"]
    cells = list(layer["weights"].reshape(-1)) if "weights" in fields else []
    return (cells[0], cells[1]) if len(cells) == 2 else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

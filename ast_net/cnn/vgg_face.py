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
# Parts of a kernel that are read at once: fc6 has 411 MB.
_ROWS = 2048


@dataclasses.dataclass(frozen=True)
class _Stored:
    """Kernels and biases by layer; anything with a shape that can be sliced. `bgr`: the input's order."""

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
    layers = [layer for layer in model.layers if layer.weights]
    last_map = model.layers[model.layers.index(layers[-1]) - 2].output.shape[1:]
    with _opened(path, [layer.name for layer in layers]) as stored:
        for layer in layers:
            _check_shapes(path, layer, stored, last_map)
        for layer in layers:
            kernel, bias = stored.layers[layer.name]
            reverse = stored.bgr and layer is layers[0]
            _assign(path, layer, kernel, bias, reverse)


def _check_shapes(path: pathlib.Path, layer: keras.Layer, stored: _Stored, last_map: tuple) -> None:
    if layer.name not in stored.layers:
        raise errors.InputError(
            f"{path}: found no layer {layer.name}, only {', '.join(stored.layers) or 'none at all'}; "
            f"{EXPECTED}, with all layers up to fc6"
        )
    kernel, bias = stored.layers[layer.name]
    expected = tuple(layer.kernel.shape)
    allowed = [expected]
    if len(expected) == 2:  # the same numbers in the same order: height, width, channel
        allowed.append((*last_map, expected[1]))
    if tuple(kernel.shape) not in allowed:
        raise errors.InputError(
            f"{path}, {layer.name}: found a kernel of shape {tuple(kernel.shape)}, expected "
            f"{' or '.join(map(str, allowed))}; {EXPECTED}"
        )
    if int(np.prod(bias.shape)) != expected[-1]:
        raise errors.InputError(
            f"{path}, {layer.name}: found a bias of shape {tuple(bias.shape)}, expected {expected[-1:]}; "
            f"{EXPECTED}"
        )


def _assign(path: pathlib.Path, layer: keras.Layer, kernel: Any, bias: Any, reverse: bool) -> None:
    target = layer.kernel.value
    rows_each = int(np.prod(kernel.shape[1:-1])) if target.shape.rank == 2 else 1
    step = max(1, _ROWS // rows_each)
    for first in range(0, kernel.shape[0], step):
        part = np.asarray(kernel[first : first + step], np.float32)
        if reverse:
            part = part[:, :, ::-1]
        if not np.isfinite(part).all():
            raise errors.InputError(
                f"{path}, {layer.name}: the kernel has values that are not finite"
            )
        part = part.reshape(-1, *target.shape[1:])
        start = first * rows_each
        target[start : start + len(part)].assign(part)
    layer.bias.assign(np.asarray(bias, np.float32).reshape(-1))


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
    """Keras 3 numbers layers of a kind: conv2d, conv2d_1, ..., dense."""

    def number(name: str) -> tuple[str, int]:
        kind, _, count = name.partition("_")
        return kind, int(count or 0)

    groups = file.get("layers", {})
    numbered = [name for name in groups if re.fullmatch(r"(conv2d|dense)(_\d+)?", name)]
    pairs = [groups[name]["vars"] for name in sorted(numbered, key=number)]
    found = [(pair["0"], pair["1"]) for pair in pairs if len(pair) == 2]
    return dict(zip(names, found, strict=False))


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

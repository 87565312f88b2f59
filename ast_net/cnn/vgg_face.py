"""VGG-Face's weights (Parkhi et al., BMVC 2015) as they are passed around, read into `vgg16`.

The content of a file tells which one it is, whatever its name (a .weights.h5 must be called so):
- Oxford's vgg-face.mat, of MatConvNet: RGB; read in whole by SciPy, then spooled to disk.
- keras-vggface's rcmalli_vggface_tf_vgg16.h5: BGR; fc6 is a dense layer.
- DeepFace's vgg_face_weights.h5: BGR; layers without telling names; fc6 is a 7x7 convolution.
- a .weights.h5 that Keras saved from `vgg16`: RGB.
"""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import keras
import numpy as np

from ast_net import files
from ast_net.cnn import weight_files

EXPECTED = (
    "vgg-face.mat (Oxford), rcmalli_vggface_tf_vgg16.h5 (keras-vggface), vgg_face_weights.h5 "
    "(DeepFace), or a .weights.h5 file that Keras saved from vgg16"
)

# Kernel and bias of each layer, read when sliced.
_Layers = Mapping[str, Sequence[Any]]


def load_into(model: keras.Model, path: str | pathlib.Path) -> None:
    """Reads a file's weights into the model in pieces, so that they are never in memory twice.

    Args:
      model: of `vgg16.build_vgg16`.
      path: one of the files above.

    Raises:
      InputError: the file is none of these, is cut off, or holds weights of other shapes.
    """
    with files.reading(path, "VGG-Face's weights", f"expected {EXPECTED}"):
        names = [layer.name for layer in model.layers if layer.weights]
        if not h5py.is_hdf5(path):
            with tempfile.TemporaryDirectory() as folder:
                _assign(model, _matconvnet(pathlib.Path(path), pathlib.Path(folder), names))
            return
        with h5py.File(path) as file:
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                _assign(model, _keras(root, names), bgr=True)
                return
    weight_files.load(model, path, EXPECTED)


def _assign(model: keras.Model, stored: _Layers, bgr: bool = False) -> None:
    """Gives the model the weights that were stored for RGB or BGR pictures."""
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        if layer.name not in stored:
            held = ", ".join(stored) or "no layer"
            raise ValueError(f"found no layer {layer.name}, only {held}; all up to fc6 are needed")
        kernel, bias = stored[layer.name]
        if layer.name == "fc6":
            _, height, width, channels = layer.input.shape
            # A convolution or one matrix: the same numbers in the order height, width, channel.
            shapes = [
                (height, width, channels, layer.units),
                (height * width * channels, layer.units),
            ]
            targets = layer.kernels
        else:
            shapes, targets = [tuple(layer.kernel.shape)], [layer.kernel]
        outputs = shapes[0][-1]
        if tuple(kernel.shape) not in shapes or np.prod(bias.shape) != outputs:
            raise ValueError(
                f"{layer.name}: found a kernel of shape {tuple(kernel.shape)} and a bias of shape "
                f"{tuple(bias.shape)}, expected {' or '.join(map(str, shapes))} and ({outputs},)"
            )
        # fc6 has a kernel for each row of the map.
        rows = len(kernel) // len(targets)
        for number, target in enumerate(targets):
            piece = weight_files.finite(kernel[number * rows : (number + 1) * rows], layer.name)
            piece = piece[:, :, ::-1] if bgr and layer is layers[0] else piece
            target.assign(piece.reshape(target.shape))
        layer.bias.assign(weight_files.finite(bias, layer.name).reshape(-1))


def _keras(root: h5py.Group, names: Sequence[str]) -> _Layers:
    groups = [root[name] for name in root.attrs["layer_names"]]
    layers = {
        group.name.rpartition("/")[2]: [group[name] for name in group.attrs["weight_names"]]
        for group in groups
        if len(group.attrs["weight_names"]) == 2
    }
    if names[0] in layers:
        return layers
    return dict(zip(names, layers.values(), strict=False))  # DeepFace's: only the order tells


def _matconvnet(path: pathlib.Path, folder: pathlib.Path, names: Sequence[str]) -> _Layers:
    """The kernels as memory-mapped copies in the folder, for SciPy reads a file in whole."""
    import scipy.io  # Only this format needs it.

    with path.open("rb") as file:
        if file.read(10) != b"MATLAB 5.0":
            raise ValueError("neither an HDF5 nor a MATLAB file")
    root = scipy.io.loadmat(str(path))
    pairs = {}
    for entry in (root["net"][0, 0] if "net" in root else root)["layers"].reshape(-1):
        layer = entry[0, 0]
        name = str(layer["name"].reshape(-1)[0])
        if name in names:
            if "filters" in layer.dtype.names:  # an older release
                kernel, bias = layer["filters"], layer["biases"]
            else:
                kernel, bias = layer["weights"].reshape(-1)
            np.save(folder / f"{name}.npy", kernel.astype(np.float32, copy=False))
            pairs[name] = (np.load(folder / f"{name}.npy", mmap_mode="r"), bias.copy())
    return pairs

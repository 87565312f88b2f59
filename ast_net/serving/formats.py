"""Exports the networks for ONNX Runtime, OpenVINO and LiteRT, by Keras's own converters.

A SavedModel holds several functions, a file of these formats only one. So there are up to four:
- temporal and step: the graphs of `temporal_graphs`.
- cnn: faces [B, 224, 224, 3] uint8 RGB -> fc6 [B, F], and posteriors [B, K] if there is a head.
- onet: locates a face in a square, for programs that have no detector (`detection.onet`).
model.json describes them (`interface`).
Everything is float32. B may be any number, and so may N except in LiteRT. A row of zeros in the
features is a frame without a face. Converting to ONNX takes fifty times the memory of the weights:
24 GB for VGG-16.
"""

import importlib.util
import pathlib

import keras
import numpy as np

from ast_net import errors
from ast_net.cnn import expression_head, runtime
from ast_net.faces import detection
from ast_net.serving import encoded_faces, interface, served_model, temporal_graphs

# Packages that the conversion needs beside TensorFlow, and the suffixes of the files.
_PACKAGES = {"onnx": ("onnx", "tf2onnx"), "openvino": ("openvino",), "litert": ()}
_SUFFIXES = {"onnx": "onnx", "openvino": "xml", "litert": "tflite"}


def check(format_name: str, precision: str) -> None:
    """Checks that the format can be written.

    Raises:
      InputError: a package that the conversion needs is missing, or the format does not have this
        precision.
    """
    missing = [name for name in _PACKAGES[format_name] if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.InputError(
            f"`format={format_name}` needs {' and '.join(missing)}, not installed here: "
            f"pip install 'ast-net[{format_name}]'"
        )
    if precision not in ("auto", "float32"):
        raise errors.InputError(
            f"`format={format_name}` is always written in float32 (its runtime may compute in a "
            f"lower precision), found `precision={precision}`: leave `precision` out"
        )


def write(
    folder: pathlib.Path, model: served_model.ServedModel, format_name: str
) -> dict[str, interface.Function]:
    """Writes a file for each network; returns their names, files, inputs and outputs.

    Args:
      folder: an existing folder.
      model: the model; its CNN in float32.
      format_name: onnx, openvino or litert. LiteRT cannot loop over an unknown number of frames, so
        N is that of the clips in training.
    """
    runtime.forbid_openvino_reports()
    frames = model.temporal.spec.clip_frames if format_name == "litert" else None
    networks = [temporal_graphs.clips(model.temporal, frames), temporal_graphs.step(model.temporal)]
    if model.cnn is not None:
        networks += [_cnn(model.cnn, model.head), detection.onet()]
    functions = {}
    for network in networks:
        # Keras exports only networks that have been called.
        network({x.name: np.zeros([n or 1 for n in x.shape], x.dtype) for x in network.inputs})
        path = folder / f"{network.name}.{_SUFFIXES[format_name]}"
        network.export(str(path), format=format_name, verbose=False)
        inputs = {tensor.name: tensor for tensor in network.inputs}
        function = interface.function(inputs, network.output)
        if format_name == "onnx":
            _name_axes(path, function)
        functions[network.name] = {"file": path.name, **function}
    return functions


def _name_axes(path: pathlib.Path, function: interface.Function) -> None:
    """Gives axes of unknown length their names; the converter has numbered them (unk__1)."""
    import onnx

    model = onnx.load(path)
    tensors = function["inputs"] | function["outputs"]
    for value in (*model.graph.input, *model.graph.output):
        shape = tensors[value.name]["shape"]
        for axis, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            if isinstance(size, str):
                axis.dim_param = size
    del model.graph.value_info[:]  # The shapes in between would still have the numbers.
    onnx.save(model, path)


def _cnn(cnn: keras.Model, head: expression_head.ExpressionHead | None) -> keras.Model:
    faces = keras.Input(encoded_faces.FACE, dtype="uint8", name="faces")
    outputs = {"fc6": cnn(faces)}
    if head is not None:
        outputs["posteriors"] = keras.ops.softmax(head(outputs["fc6"]))
    return keras.Model({"faces": faces}, outputs, name="cnn")

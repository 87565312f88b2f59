"""Exports the networks for ONNX Runtime, OpenVINO and LiteRT, through Keras' own converters.

None of them holds several functions in one file as a SavedModel does, so there are up to three:
- temporal and step: the graphs of `temporal_graphs`.
- cnn: faces [B, 224, 224, 3] uint8 RGB -> fc6 [B, F], and posteriors [B, K] where there is a head;
  their names are in expressions.json.
B is free, and N except in LiteRT. Everything is float32. A row of zeros in features is a frame
without a face. Converting to ONNX takes fifty times the memory of the weights: 24 GB for VGG-16.
"""

import importlib.util
import pathlib

import keras
import numpy as np

from ast_net import errors
from ast_net.cnn import expression_head, runtime
from ast_net.serving import served_model, temporal_graphs

# What converting takes beside TensorFlow, and how the files end.
_PACKAGES = {"onnx": ("onnx", "tf2onnx"), "openvino": ("openvino",), "litert": ()}
_ENDINGS = {"onnx": "onnx", "openvino": "xml", "litert": "tflite"}


def check(format_name: str, precision: str) -> None:
    """Checks that the format can be written.

    Raises:
      InputError: a package that converts to it is missing, or it cannot have this precision.
    """
    missing = [name for name in _PACKAGES[format_name] if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.InputError(
            f"`format={format_name}` needs {' and '.join(missing)}, which is not installed: "
            f"pip install 'ast-net[{format_name}]'"
        )
    if precision not in ("auto", "float32"):
        raise errors.InputError(
            f"`format={format_name}` is always written in float32, and its runtime chooses the "
            f"arithmetic; found `precision={precision}`: leave it out"
        )


def write(folder: pathlib.Path, model: served_model.ServedModel, format_name: str) -> None:
    """Writes a file for each network.

    Args:
      folder: exists.
      model: what is exported; the CNN in float32.
      format_name: onnx, openvino or litert. LiteRT has no loop over a free number of frames: N is
        that of the clips in training.
    """
    runtime.forbid_openvino_reports()
    frames = model.temporal.spec.clip_frames if format_name == "litert" else None
    networks = [temporal_graphs.clips(model.temporal, frames), temporal_graphs.step(model.temporal)]
    if model.cnn is not None:
        networks.append(_cnn(model.cnn, model.head))
    for network in networks:
        # Keras exports what has been called.
        network({x.name: np.zeros([n or 1 for n in x.shape], x.dtype) for x in network.inputs})
        path = folder / f"{network.name}.{_ENDINGS[format_name]}"
        network.export(str(path), format=format_name, verbose=False)


def _cnn(cnn: keras.Model, head: expression_head.ExpressionHead | None) -> keras.Model:
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    outputs = {"fc6": cnn(faces)}
    if head is not None:
        outputs["posteriors"] = keras.ops.softmax(head(outputs["fc6"]))
    return keras.Model({"faces": faces}, outputs, name="cnn")

"""The networks for other runtimes: ONNX Runtime, OpenVINO and LiteRT, through Keras' own export.

None of them holds several functions in one file as a SavedModel does, so there are up to three:
- temporal: features [B, N, F] -> each target by its name, [B, N].
- step: features [B, F] and the states lstm_k_h, lstm_k_c [B, units] -> each target [B], and the new states
  next_lstm_k_h, next_lstm_k_c.
- cnn: faces [B, 224, 224, 3] uint8 RGB -> fc6 [B, F], and posteriors [B, 7] where there is a head.
B is free, and N but for LiteRT. All is computed in float32. A row of zeros in features is a frame without
a face. To convert to ONNX takes fifty times the memory of the weights: 24 GB for VGG-16.
"""

import importlib.util
import pathlib

import keras
import numpy as np

from ast_net import errors
from ast_net.cnn import runtime
from ast_net.serving import served_model
from ast_net.temporal import stacked_lstm as lstm

# What converting takes beside TensorFlow, and how the files end.
_PACKAGES = {"onnx": ("onnx", "tf2onnx"), "openvino": ("openvino",), "litert": ()}
_ENDINGS = {"onnx": "onnx", "openvino": "xml", "litert": "tflite"}
FORMATS = tuple(_ENDINGS)


def check(format_name: str, precision: str) -> None:
    """Sees that the format can be written.

    Raises:
      InputError: a package that converts to it is missing, or it cannot have this precision.
    """
    missing = [name for name in _PACKAGES[format_name] if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.InputError(
            f"--format={format_name} needs {' and '.join(missing)}: tools/run -m pip install -e '.[{format_name}]'"
        )
    if precision != "float32":
        raise errors.InputError(
            f"--format={format_name} is written in float32, found --precision={precision}: its runtime chooses "
            "how it computes"
        )


def write(folder: pathlib.Path, networks: served_model.Networks, format_name: str) -> None:
    """Writes a file for each network.

    Args:
      folder: exists.
      networks: what is exported; the CNN in float32.
      format_name: onnx, openvino or litert. LiteRT has no loop over a free number of frames: N is that of the
        clips in training.
    """
    runtime.forbid_openvino_reports()
    frames = networks.origin.clip_frames if format_name == "litert" else None
    models = [temporal(networks, frames), step(networks)]
    if networks.cnn is not None:
        models.append(_cnn(networks.cnn, networks.head))
    for model in models:
        # Keras exports what has been called.
        model({x.name: np.zeros([size or 1 for size in x.shape], x.dtype) for x in model.inputs})
        path = folder / f"{model.name}.{_ENDINGS[format_name]}"
        model.export(str(path), format=format_name, verbose=False)


def temporal(networks: served_model.Networks, frames: int | None = None) -> keras.Model:
    """Features [B, N, F] -> each target [B, N]; with `frames`, for that N and without a loop."""
    features = keras.Input((frames, networks.stacked_lstm.input.shape[-1]), name="features")
    hidden, present = _standardised(networks, features)
    for layer in _layers(networks):
        hidden, _, _ = layer(hidden, present, unroll=frames is not None)
    return keras.Model({"features": features}, _by_target(networks, hidden), name="temporal")


def step(networks: served_model.Networks) -> keras.Model:
    """Features [B, F] and states [B, units] -> each target [B], and new states."""
    features = keras.Input((networks.stacked_lstm.input.shape[-1],), name="features")
    inputs: dict[str, keras.KerasTensor] = {"features": features}
    outputs: dict[str, keras.KerasTensor] = {}
    hidden, present = _standardised(networks, keras.ops.expand_dims(features, 1))
    for layer in _layers(networks):
        names = [f"{layer.name}_{part}" for part in "hc"]
        states = [keras.Input((layer.units,), name=name) for name in names]
        hidden, *new_states = layer(hidden, present, states, unroll=True)
        inputs.update(zip(names, states, strict=True))
        # OpenVINO and ONNX allow no output with an input's name.
        outputs.update(zip([f"next_{name}" for name in names], new_states, strict=True))
    outputs.update(_by_target(networks, hidden[:, 0]))
    return keras.Model(inputs, outputs, name="step")


def _cnn(cnn: keras.Model, head: keras.Model | None) -> keras.Model:
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    fc6 = cnn(faces)
    outputs = {"fc6": fc6}
    if head is not None:
        outputs["posteriors"] = keras.ops.softmax(head(fc6))
    return keras.Model({"faces": faces}, outputs, name="cnn")


def _standardised(networks: served_model.Networks, features):
    """As the layer of this name does it, but its moments part of the graph: the converters lose tensors."""
    moments = networks.stacked_lstm.get_layer("standardise")
    mean, variance = (np.ravel(values) for values in (moments.mean, moments.variance))
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    rescaling = keras.layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), dtype="float32")
    return rescaling(features), keras.ops.any(keras.ops.not_equal(features, 0), axis=-1)


def _layers(networks: served_model.Networks) -> list[lstm.LSTM]:
    """The LSTM layers, in float32 whatever they were trained in."""
    layers = []
    for layer in lstm.lstm_layers(networks.stacked_lstm):
        layers.append(lstm.LSTM(layer.units, dtype="float32", name=layer.name))
        layers[-1].build((None, None, layer.kernel.shape[0]))
        layers[-1].set_weights(layer.get_weights())
    return layers


def _by_target(networks: served_model.Networks, hidden) -> dict:
    predictions = networks.stacked_lstm.get_layer("predictions")(hidden)
    targets = networks.origin.targets
    parts = keras.ops.split(predictions, len(targets), axis=-1)
    return {name: keras.ops.squeeze(part, -1) for name, part in zip(targets, parts, strict=True)}

"""Describes how to call an exported model: what its model.json has beside the model's own numbers.

A program that has only the exported files needs no other source (tools/onnx_client.py).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from ast_net import config
from ast_net.serving import served_model, temporal_graphs
from ast_net.temporal import stacked_lstm

# Names of the axes that may have any length: how many rows are computed at a time, and frames.
_AXES = ("batch", "time")

Function = dict[str, Any]


def function(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Function:
    """Describes a function by the names, types and shapes of its inputs and outputs.

    Args:
      inputs: tensors of Keras or TensorFlow, by name; sizes that may vary are None.
      outputs: the same.

    Returns:
      {"inputs": {name: {"dtype", "shape"}, ...}, "outputs": ...}, as JSON data. In a shape, sizes
      that may vary have the axis's name: "batch" or "time".
    """
    return {"inputs": _tensors(inputs), "outputs": _tensors(outputs)}


def document(model: served_model.ServedModel, functions: Mapping[str, Function]) -> dict[str, Any]:
    """Returns the content of an exported model's model.json.

    Args:
      model: the exported model.
      functions: its functions by name (`function`).

    Returns:
      The model's specification, the names of the expressions, how faces must be aligned, what the
      states of `step` are called, and the functions.
    """
    new = functions["step"]["outputs"]
    states = {
        name: {"size": size, "next": name if name in new else f"{temporal_graphs.NEXT}{name}"}
        for name, size in stacked_lstm.state_sizes(model.temporal.network).items()
    }
    return {
        **dataclasses.asdict(model.temporal.spec),
        "expressions": model.head.expressions if model.head is not None else (),
        "faces": {**dataclasses.asdict(config.Alignment()), "channels": "RGB", "range": (0, 255)},
        "states": states,
        "functions": dict(functions),
    }


def _tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"dtype": tf.as_dtype(tensor.dtype).name, "shape": _named(tensor.shape)}
        for name, tensor in tensors.items()
    }


def _named(shape: Sequence[int | None]) -> list[int | str]:
    return [_AXES[axis] if size is None else size for axis, size in enumerate(shape)]

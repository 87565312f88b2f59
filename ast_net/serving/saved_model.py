"""Writes the SavedModel, which TensorFlow Serving loads without further work."""

import pathlib
import shutil

import tensorflow as tf

from ast_net import files
from ast_net.serving import interface, served_model, signatures, warmup

# TensorFlow Serving reads this file from a version's folder when it is started with
# --enable_batching and --enable_per_model_batching_parameters; --batching_parameters_file takes it,
# too.
BATCHING = "batching_params.pbtxt"


def write(folder: pathlib.Path, model: served_model.ServedModel) -> dict[str, interface.Function]:
    """Writes the signatures of `signatures.build`; prints and returns their inputs and outputs.

    Args:
      folder: an existing, empty folder.
      model: the model.

    Raises:
      OSError: the files cannot be written, for example because the disk is full.
    """
    functions = signatures.build(model)
    module = tf.Module()
    head = model.head.network if model.head is not None else None
    networks = [n for n in (model.temporal.network, model.cnn, head) if n is not None]
    module.variables_of_networks = [v.value for network in networks for v in network.variables]
    with files.tensorflow_output(folder):
        tf.saved_model.save(module, str(folder), signatures=functions)
    shutil.copyfile(pathlib.Path(__file__).with_name(BATCHING), folder / BATCHING)
    warmup.write(folder / "assets.extra" / warmup.FILE, functions)
    described = {
        name: interface.function(
            function.structured_input_signature[1], function.structured_outputs
        )
        for name, function in functions.items()
    }
    for name, function in described.items():
        print(f"{name}: {_tensors(function['inputs'])} -> {_tensors(function['outputs'])}")
    return described


def _tensors(tensors: dict) -> str:
    return ", ".join(
        f"{name} {tensor['dtype']}[{', '.join(map(str, tensor['shape']))}]"
        for name, tensor in tensors.items()
    )

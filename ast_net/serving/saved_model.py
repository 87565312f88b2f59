"""The SavedModel that TensorFlow Serving loads as it is."""

import pathlib
from collections.abc import Callable

import tensorflow as tf

from ast_net.serving import served_model, signatures, warmup

# In a version's folder, where TensorFlow Serving looks for it with --enable_batching and
# --enable_per_model_batching_parameters; --batching_parameters_file takes it as well.
BATCHING = "batching_params.pbtxt"
_BATCHING = """\
# Requests to the same signature that come within a batch's time-out are computed together. All
# their dimensions but the first must be the same (N of clips), and one that is refused takes the
# others with it.
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
"""


def write(folder: pathlib.Path, model: served_model.ServedModel) -> dict[str, Callable]:
    """Writes the signatures of `signatures.build`, and returns them.

    Args:
      folder: exists and is empty.
      model: what is exported.
    """
    functions = signatures.build(model)
    module = tf.Module()
    networks = [n for n in (model.temporal.network, model.cnn, model.head) if n is not None]
    module.variables_of_networks = [v.value for network in networks for v in network.variables]
    tf.saved_model.save(module, str(folder), signatures=functions)
    (folder / BATCHING).write_text(_BATCHING)
    warmup.write(folder / "assets.extra" / warmup.FILE, functions)
    return functions


def describe(function: Callable) -> str:
    """Describes a function of `signatures.build` in a line: inputs, outputs and shapes."""
    inputs = signatures.specifications(function)
    outputs = function.structured_outputs  # type: ignore[attr-defined]
    return f"{_tensors(inputs)} -> {_tensors(outputs)}"


def _tensors(tensors: dict) -> str:
    return ", ".join(
        f"{name} {tensor.dtype.name}[{', '.join(str(size or '?') for size in tensor.shape)}]"
        for name, tensor in tensors.items()
    )

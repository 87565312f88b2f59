"""Writes requests that a server answers first, so that no client waits for its first steps.

TensorFlow Serving reads them from assets.extra/tf_serving_warmup_requests: a TFRecord file of
PredictionLog messages, which the package tensorflow-serving-api defines.
"""

import pathlib

import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import files
from ast_net.serving import signatures

# Inside assets.extra of a version.
FILE = "tf_serving_warmup_requests"


def write(path: str | pathlib.Path, functions: signatures.Functions) -> None:
    """Writes one request for each function of `signatures.build` that computes with a network.

    Without tensorflow-serving-api it writes none and says so: a server works without them.

    Raises:
      OSError: the file cannot be written.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        logging.warning(
            f"no warm-up requests, so a server's first answers take longer ({error}): for them "
            "install 'ast-net[serving]' and export again"
        )
        return
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    with files.tensorflow_output(path), tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in functions.items():
            if name == "timing":
                continue
            specs = function.structured_input_signature[1]
            request = {
                "model_spec": {"name": "ast_net", "signature_name": name},
                "inputs": {key: tf.make_tensor_proto(_values(specs[key])) for key in specs},
            }
            log = prediction_log_pb2.PredictionLog(predict_log={"request": request})
            writer.write(log.SerializeToString())


def _values(spec: tf.TensorSpec) -> np.ndarray:
    """Makes what a function takes: one row, of two frames if any."""
    shape = [axis + 1 if size is None else size for axis, size in enumerate(spec.shape)]
    if spec.dtype == tf.string:
        grey = np.full((224, 224, 3), 128, np.uint8)
        return np.full(shape, tf.io.encode_jpeg(grey).numpy(), object)
    # Neither black nor 0, which would be frames without a face.
    return np.full(shape, 128 if spec.dtype == tf.uint8 else 0.5, spec.dtype.as_numpy_dtype)

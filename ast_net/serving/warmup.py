"""Writes warm-up requests, which a server computes when it starts, so that no client waits.

TensorFlow Serving reads them from assets.extra/tf_serving_warmup_requests: a TFRecord file of
PredictionLog messages, which the package tensorflow-serving-api defines.
"""

import pathlib

import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import files
from ast_net.serving import signatures

# Name of the file in a version's folder assets.extra.
FILE = "tf_serving_warmup_requests"


def write(path: str | pathlib.Path, functions: signatures.Functions) -> None:
    """Writes one request for each function of `signatures.build` that uses a network.

    Without tensorflow-serving-api nothing is written, and a message says so; the server works
    without warm-up requests.

    Raises:
      OSError: the file cannot be written.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        logging.warning(
            f"no warm-up requests are written ({error}), so the server's first answers will take "
            "longer; to have them: pip install 'ast-net[serving]', then export again"
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
    """Returns values for an input: one row, with two frames if it has frames."""
    shape = [axis + 1 if size is None else size for axis, size in enumerate(spec.shape)]
    if spec.dtype == tf.string:
        grey = np.full((224, 224, 3), 128, np.uint8)
        return np.full(shape, tf.io.encode_jpeg(grey).numpy(), object)
    # Not 0, as black pictures and zero features are frames without a face.
    return np.full(shape, 128 if spec.dtype == tf.uint8 else 0.5, spec.dtype.as_numpy_dtype)

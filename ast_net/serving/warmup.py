"""Writes requests that a server answers first, so that no client waits for its first steps.

TensorFlow Serving reads them from assets.extra/tf_serving_warmup_requests: a TFRecord file of
PredictionLog messages, which the package tensorflow-serving-api defines.
"""

import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from ast_net.serving import signatures

# Inside assets.extra of a version.
FILE = "tf_serving_warmup_requests"


def write(path: str | pathlib.Path, functions: Mapping[str, Callable]) -> None:
    """Writes one request for each function of `signatures.build`.

    Without tensorflow-serving-api it writes none and says so: a server works without them.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        print(
            f"no warm-up requests, so a server's first answers take longer ({error}): for them "
            "install 'ast-net[serving]' and export again"
        )
        return
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in functions.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = "ast_net", name
            for key, values in inputs(function).items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
            writer.write(log.SerializeToString())


def inputs(function: Callable) -> dict[str, np.ndarray]:
    """Makes inputs for a function of `signatures.build`: one row, of two frames if any."""
    return {
        name: _values(
            [(1, 2)[axis] if size is None else size for axis, size in enumerate(spec.shape)],
            spec.dtype,
        )
        for name, spec in signatures.specifications(function).items()
    }


def _values(shape: list[int], dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        grey = np.full((224, 224, 3), 128, np.uint8)
        return np.full(shape, tf.io.encode_jpeg(grey).numpy(), object)
    # Neither black nor 0, which would be frames without a face.
    return np.full(shape, 128 if dtype == tf.uint8 else 0.5, dtype.as_numpy_dtype)

"""Requests that a server answers before it takes others, so that nobody waits for its first steps.

TensorFlow Serving reads them from assets.extra/tf_serving_warmup_requests: a TFRecord file of PredictionLog
messages (prediction_log.proto). They are so few and simple that they are written here field by field.
"""

import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from ast_net.serving import signatures

# Inside assets.extra of a version.
FILE = "tf_serving_warmup_requests"


def write(path: str | pathlib.Path, functions: Mapping[str, Callable]) -> None:
    """Writes one request for each function of `signatures.build`."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in functions.items():
            writer.write(prediction_log(name, inputs(function)))


def inputs(function: Callable) -> dict[str, np.ndarray]:
    """Values that a function of `signatures.build` takes: one row, of two frames where it has frames."""
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


def prediction_log(signature: str, values: Mapping[str, np.ndarray]) -> bytes:
    """A PredictionLog: PredictLog predict_log = 6, of PredictRequest request = 1.

    That has ModelSpec model_spec = 1 (name = 1, signature_name = 3) and map<string, TensorProto> inputs = 2.
    """
    request = _field(1, _field(1, b"ast_net") + _field(3, signature.encode()))
    for name, value in values.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length, as protocol buffers encode it: its number and type 2, the length, the content."""
    length, encoded = len(content), bytearray()
    while length >= 128:
        encoded.append(length % 128 + 128)
        length //= 128
    return bytes([8 * number + 2, *encoded, length]) + content

"""Warm-up requests: read by the protocol's own messages, and answered."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from ast_net.serving import saved_model, warmup

_NAMES = {"serving_default", "step", "faces", "jpeg", "emotion", "step_jpeg", "stride"}


def _requests(exported):
    """Each request's signature and inputs, read with TensorFlow Serving's messages."""
    logs = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="needs the extra serving of setup.cfg",
    )
    records = tf.data.TFRecordDataset(str(exported / "assets.extra" / warmup.FILE))
    for record in records.as_numpy_iterator():
        request = logs.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "ast_net"
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def test_a_server_reads_and_answers_one_for_each_signature(exported, served):
    found = dict(_requests(exported))
    assert set(found) == _NAMES
    for name, inputs in found.items():
        answer = served[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(np.isfinite(v).all() for v in answer.values() if v.dtype == tf.float32)
    # A frame without a face would leave the CNN cold.
    assert answer is not None and found["faces"]["faces"].all()


def test_the_bytes_are_those_of_the_protocol():
    values = np.arange(300, dtype=np.uint8)
    tensor = tf.make_tensor_proto(values).SerializeToString()
    # 300 and more bytes: lengths take two bytes, the lower seven bits first.
    spec = b"\x0a\x0b" + b"\x0a\x07ast_net" + b"\x1a\x00"
    entry = b"\x0a\x01x" + b"\x12" + bytes([len(tensor) % 128 + 128, len(tensor) // 128]) + tensor
    entry = b"\x12" + bytes([len(entry) % 128 + 128, len(entry) // 128]) + entry
    assert warmup.prediction_log("", {"x": values}).endswith(spec + entry)
    assert tensor_pb2.TensorProto.FromString(tensor).tensor_shape.dim[0].size == 300


def test_the_batching_parameters_are_a_text_proto_of_known_fields(exported):
    lines = (exported / saved_model.BATCHING).read_text().splitlines()
    fields = [line.split()[0] for line in lines if not line.startswith("#")]
    # session_bundle_config.proto, BatchingParameters.
    assert fields == ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches"]
    assert all(line.endswith(" }") and " { value: " in line for line in lines if line[0] != "#")

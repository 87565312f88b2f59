"""TensorFlow Serving's messages can read the warm-up requests, and the model answers them."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.serving import exporting, saved_model, warmup

_NAMES = {"serving_default", "step", "faces", "jpeg", "emotion", "step_jpeg"}


def _requests(exported):
    """Yields each request's signature and inputs, read by TensorFlow Serving's messages."""
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


def test_each_function_with_a_network_has_a_request_that_it_answers(exported, served):
    requests = dict(_requests(exported))
    assert set(requests) == _NAMES
    for name, inputs in requests.items():
        answer = served[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(np.isfinite(v).all() for v in answer.values() if v.dtype == tf.float32)
    # A frame without a face would not call the CNN.
    assert answer is not None and requests["faces"]["faces"].all()


def test_without_the_package_no_requests_are_written_and_a_message_says_so(
    run, tmp_path, monkeypatch, caplog
):
    caplog.set_level("WARNING", "absl")  # whatever other tests and libraries have set
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    exporting.export(config.Export(export_dir=str(tmp_path / "1"), workdir=str(run), cnn=False))
    assert "no warm-up requests" in caplog.text
    assert (tmp_path / "1/saved_model.pb").is_file()
    assert not (tmp_path / "1/assets.extra").exists()


def test_the_batching_parameters_are_a_text_proto_of_existing_fields(exported):
    lines = (exported / saved_model.BATCHING).read_text().splitlines()
    fields = [line.split()[0] for line in lines if not line.startswith("#")]
    # session_bundle_config.proto, BatchingParameters.
    assert fields == ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches"]
    assert all(line.endswith(" }") and " { value: " in line for line in lines if line[0] != "#")

"""The SavedModel against its networks, in a process that has only TensorFlow."""

import functools
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.tools import saved_model_cli

from ast_net import config, errors, shipped
from ast_net.cnn import runtime
from ast_net.serving import exporting, served_model

# Loads the model where ast_net and Keras cannot be imported, and calls each function. `step` is
# called for each frame, with its states passed through JSON. At the end saved_model_cli is called.
_TENSORFLOW_ONLY = """
import json, sys
sys.modules["ast_net"] = sys.modules["keras"] = None
import numpy as np
import tensorflow as tf
model, inputs_path, outputs_path = sys.argv[1:]
loaded = tf.saved_model.load(model)
arrays, outputs = dict(np.load(inputs_path)), {}
for name, inputs in {
    "serving_default": {"features": arrays["features"]},
    "faces": {"faces": arrays["faces"]},
    "jpeg": {"jpeg": arrays["jpegs"].astype(object)},
    "emotion": {"faces": arrays["faces"][0]},
}.items():
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    for output, value in loaded.signatures[name](**tensors).items():
        value = value.numpy()
        outputs[f"{name}/{output}"] = value.astype("S") if value.dtype == object else value
step = loaded.signatures["step"]
specs = step.structured_input_signature[1]
states = {n: np.zeros((2, s.shape[1])).tolist() for n, s in specs.items() if n != "features"}
predictions = []
for frame in range(arrays["features"].shape[1]):
    states = json.loads(json.dumps(states))
    tensors = {name: tf.constant(value, tf.float32) for name, value in states.items()}
    answer = step(features=tf.constant(arrays["features"][:, frame]), **tensors)
    states = {name: answer[name].numpy().tolist() for name in states}
    predictions.append([answer["valence"].numpy(), answer["arousal"].numpy()])
outputs["step"] = np.stack(predictions)
outputs["names"] = sorted(loaded.signatures)
np.savez(outputs_path, **outputs)
np.save("clips.npy", arrays["features"])
from tensorflow.python.tools import saved_model_cli
tool = ["saved_model_cli", "run", "--dir", model, "--tag_set", "serve", "--outdir", "."]
sys.argv = [*tool, "--signature_def", "serving_default", "--inputs", "features=clips.npy"]
saved_model_cli.main()
"""


@pytest.fixture(scope="module")
def answers(exported, features, faces, jpegs, tmp_path_factory):
    """Returns the outputs that the process without ast_net computed, by signature/output."""
    folder = tmp_path_factory.mktemp("tensorflow_only")
    inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
    np.savez(inputs, features=features, faces=faces, jpegs=jpegs.astype(bytes))
    paths = [str(exported), str(inputs), str(outputs)]
    subprocess.run([sys.executable, "-I", "-c", _TENSORFLOW_ONLY, *paths], check=True, cwd=folder)
    by_tool = {f"tool/{name}": np.load(folder / f"{name}.npy") for name in ("valence", "arousal")}
    return {**np.load(outputs), **by_tool}


@functools.cache
def _extractor(precision):
    return runtime.load("compact", None, config.Runtime("tensorflow", precision), "")


def _features_of(faces, precision="float32"):
    """Computes features as training and prediction do, rounded to float16."""
    rows = [(face, face.any()) for face in faces.reshape(-1, 224, 224, 3)]
    fc6 = np.stack(list(runtime.extract(_extractor(precision), rows)))
    return fc6.astype(np.float32).reshape(*faces.shape[:2], -1)


def _assert_close(answers, name, expected):
    for target, column in zip(("valence", "arousal"), np.moveaxis(expected, -1, 0), strict=True):
        np.testing.assert_allclose(answers[f"{name}/{target}"], column, rtol=0, atol=1e-5)


def test_it_has_the_documented_signatures(answers):
    names = ["emotion", "faces", "jpeg", "serving_default", "step", "step_jpeg", "timing"]
    assert answers["names"].tolist() == names


def test_clips_are_predicted_as_by_the_network(answers, small_model, features):
    _assert_close(answers, "serving_default", small_model.temporal.network(features).numpy())


def test_single_steps_equal_the_whole_sequence(answers, small_model, features):
    # [frame, target, row] -> [row, frame, target]
    stepped = answers["step"].transpose(2, 0, 1)
    np.testing.assert_allclose(stepped, small_model.temporal.network(features), rtol=0, atol=1e-5)


def test_faces_are_predicted_as_by_both_networks(answers, small_model, faces):
    _assert_close(answers, "faces", small_model.temporal.network(_features_of(faces)).numpy())


def test_encoded_faces_are_predicted_as_decoded_ones(answers, small_model, jpegs):
    decoded = np.zeros((6, 224, 224, 3), np.uint8)
    for index, data in enumerate(jpegs.flat):
        if data:
            decoded[index] = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1]
    features = _features_of(decoded.reshape(2, 3, 224, 224, 3))
    _assert_close(answers, "jpeg", small_model.temporal.network(features).numpy())


def test_posteriors_are_those_of_the_head(answers, small_model, faces):
    logits = small_model.head(_features_of(faces[:1])[0]).numpy()
    expected = scipy.special.softmax(logits, axis=1)
    # A black picture has no face, and posteriors of 0.
    expected[1] = 0
    np.testing.assert_allclose(answers["emotion/posteriors"], expected, rtol=0, atol=1e-5)
    assert (
        answers["emotion/expressions"].tolist()
        == [[name.encode() for name in small_model.head.expressions]] * 3
    )


def test_all_operations_are_tensorflows_own_and_run_without_a_gpu(exported):
    message = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    bodies = (function.node_def for function in graph.library.function)
    nodes = [*graph.node, *(node for body in bodies for node in body)]
    assert len(nodes) > 1000
    assert not [node.op for node in nodes if "cudnn" in node.op.lower() or "PyFunc" in node.op]
    assert not [node.device for node in nodes if "GPU" in node.device]


def test_the_documents_are_among_the_assets(exported):
    assets = exported / "assets"
    spec = json.loads((assets / "model.json").read_text())
    assert (spec["time_step"], spec["reaction_delay"]) == (0.4, [2.0, 1.5])
    assert (assets / "run.flags").read_text() == "--dataset=demo\n"
    fer2013 = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert spec["expressions"] == [*fer2013, "contempt"]
    step = spec["functions"]["step_jpeg"]
    assert step["inputs"]["jpeg"] == {"dtype": "string", "shape": ["batch"]}
    assert spec["states"]["lstm_2_c"] == {"size": 5, "next": "lstm_2_c"}
    assert step["outputs"]["lstm_2_c"] == {"dtype": "float32", "shape": ["batch", 5]}
    card = (assets / "MODEL_CARD.md").read_text()
    assert "clips of\n7 frames, 0.4 s apart" in card
    assert "What it must not be used for" in card


def test_saved_model_cli_runs_it(answers, small_model, features):
    _assert_close(answers, "tool", small_model.temporal.network(features).numpy())


def test_a_session_refuses_malformed_input(exported, features, tmp_path):
    # Servers run the model in a session, not by tf.saved_model.load.
    inputs = {"features": features * np.nan}
    with pytest.raises(tf.errors.InvalidArgumentError, match="no NaN"):
        saved_model_cli.run_saved_model_with_feed_dict(
            str(exported), "serve", "serving_default", inputs, str(tmp_path), False
        )


def test_a_single_target_without_the_cnn(make_run, features, tmp_path):
    run = make_run(tmp_path / "run", ("arousal",))
    exporting.export(config.Export(export_dir=str(tmp_path / "7"), workdir=str(run), cnn=False))
    loaded = tf.saved_model.load(str(tmp_path / "7")).signatures
    assert sorted(loaded) == ["serving_default", "step", "timing"]
    ((name, values),) = loaded["serving_default"](features=tf.constant(features)).items()
    temporal = served_model.load(config.Export(workdir=str(run), cnn=False)).temporal
    assert name == "arousal"
    np.testing.assert_allclose(values, temporal.network(features)[..., 0], rtol=0, atol=1e-5)


def test_a_run_in_mixed_precision_and_the_cnn_in_bfloat16(
    make_run, small_model, features, faces, tmp_path
):
    run = make_run(tmp_path / "run", policy="mixed_bfloat16")
    exporting.export(
        config.Export(export_dir=str(tmp_path / "7"), workdir=str(run), precision="bfloat16")
    )
    loaded = tf.saved_model.load(str(tmp_path / "7")).signatures
    # The exported temporal model is in float32; small_model has the same weights.
    valence = loaded["serving_default"](features=tf.constant(features))["valence"]
    expected = small_model.temporal.network(features)[..., 0]
    np.testing.assert_allclose(valence, expected, rtol=0, atol=1e-5)
    posteriors = loaded["emotion"](faces=tf.constant(faces[1]))["posteriors"].numpy()
    for precision, lower, upper in (("bfloat16", 0, 1e-5), ("float32", 1e-5, 0.02)):
        logits = small_model.head(_features_of(faces[1:], precision)[0]).numpy()
        difference = np.abs(posteriors - scipy.special.softmax(logits, axis=1)).max()
        assert lower <= difference < upper


def test_without_a_head_no_expressions_are_exported(run, tmp_path, caplog):
    (tmp_path / "own.weights.h5").write_bytes(shipped.COMPACT.read_bytes())
    loaded = served_model.load(
        config.Export(workdir=str(run), backbone_weights=str(tmp_path / "own.weights.h5"))
    )
    assert loaded.cnn is not None and loaded.head is None
    assert "expressions are not exported" in caplog.text


def test_weights_of_another_cnn_are_refused(run, tmp_path):
    (tmp_path / "other.weights.h5").write_bytes(b"other")
    with pytest.raises(errors.InputError, match="trained with other weights"):
        served_model.load(
            config.Export(workdir=str(run), backbone_weights=str(tmp_path / "other.weights.h5"))
        )

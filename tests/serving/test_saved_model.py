"""The SavedModel against the networks it was made of, in a process that has TensorFlow alone."""

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

# Loads the model where ast_net cannot be imported, calls each function, and once a frame `step`, its state
# going through JSON. At last it calls TensorFlow's own tool.
_STRANGER = """
import json, sys
sys.modules["ast_net"] = sys.modules["keras"] = None
import numpy as np
import tensorflow as tf
model, given, found = sys.argv[1:]
loaded = tf.saved_model.load(model)
given, outputs = dict(np.load(given)), {}
for name, inputs in {
    "serving_default": {"features": given["features"]},
    "faces": {"faces": given["faces"]},
    "jpeg": {"jpeg": given["jpegs"].astype(object)},
    "emotion": {"faces": given["faces"][0]},
}.items():
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    for output, value in loaded.signatures[name](**tensors).items():
        value = value.numpy()
        outputs[f"{name}/{output}"] = value.astype("S") if value.dtype == object else value
step = loaded.signatures["step"]
specs = step.structured_input_signature[1]
states = {n: np.zeros((2, s.shape[1])).tolist() for n, s in specs.items() if n != "features"}
predictions = []
for frame in range(given["features"].shape[1]):
    states = json.loads(json.dumps(states))
    tensors = {name: tf.constant(value, tf.float32) for name, value in states.items()}
    answer = step(features=tf.constant(given["features"][:, frame]), **tensors)
    states = {name: answer[name].numpy().tolist() for name in states}
    predictions.append([answer["valence"].numpy(), answer["arousal"].numpy()])
outputs["step"] = np.stack(predictions)
outputs["names"] = sorted(loaded.signatures)
np.savez(found, **outputs)
np.save("clips.npy", given["features"])
from tensorflow.python.tools import saved_model_cli
tool = ["saved_model_cli", "run", "--dir", model, "--tag_set", "serve", "--outdir", "."]
sys.argv = [*tool, "--signature_def", "serving_default", "--inputs", "features=clips.npy"]
saved_model_cli.main()
"""


@pytest.fixture(scope="module")
def answers(exported, features, faces, jpegs, tmp_path_factory):
    """What the stranger got."""
    folder = tmp_path_factory.mktemp("stranger")
    np.savez(folder / "given.npz", features=features, faces=faces, jpegs=jpegs.astype(bytes))
    places = [str(exported), str(folder / "given.npz"), str(folder / "found.npz")]
    subprocess.run([sys.executable, "-I", "-c", _STRANGER, *places], check=True, cwd=folder)
    by_tool = {f"tool/{name}": np.load(folder / f"{name}.npy") for name in ("valence", "arousal")}
    return {**np.load(folder / "found.npz"), **by_tool}


@functools.cache
def _extractor(precision):
    return runtime.load("compact", None, config.Runtime("tensorflow", precision), "")


def _of_faces(faces, precision="float32"):
    """As training and prediction do it: features are extracted, kept as float16, and predicted."""
    rows = [(face, face.any()) for face in faces.reshape(-1, 224, 224, 3)]
    fc6 = np.stack(list(runtime.extract(_extractor(precision), rows)))
    return fc6.astype(np.float32).reshape(*faces.shape[:2], -1)


def _close(answers, name, expected):
    for target, column in zip(("valence", "arousal"), np.moveaxis(expected, -1, 0), strict=True):
        np.testing.assert_allclose(answers[f"{name}/{target}"], column, rtol=0, atol=1e-5)


def test_it_has_the_signatures_of_the_readme(answers):
    names = ["emotion", "faces", "jpeg", "serving_default", "step", "step_jpeg", "timing"]
    assert answers["names"].tolist() == names


def test_clips_are_predicted_as_by_the_network(answers, small_model, features):
    _close(answers, "serving_default", small_model.temporal.network(features).numpy())


def test_step_by_step_is_the_whole_sequence(answers, small_model, features):
    # Frame, target, row.
    found = answers["step"].transpose(2, 0, 1)
    np.testing.assert_allclose(found, small_model.temporal.network(features), rtol=0, atol=1e-5)


def test_faces_are_predicted_as_by_both_networks(answers, small_model, faces):
    _close(answers, "faces", small_model.temporal.network(_of_faces(faces)).numpy())


def test_encoded_faces_are_predicted_as_decoded_ones(answers, small_model, jpegs):
    decoded = np.zeros((6, 224, 224, 3), np.uint8)
    for place, data in enumerate(jpegs.flat):
        if data:
            decoded[place] = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1]
    features = _of_faces(decoded.reshape(2, 3, 224, 224, 3))
    _close(answers, "jpeg", small_model.temporal.network(features).numpy())


def test_posteriors_are_the_heads(answers, small_model, faces):
    logits = small_model.head(_of_faces(faces[:1])[0]).numpy()
    expected = scipy.special.softmax(logits, axis=1)
    # A black picture is no face.
    expected[1] = 0
    np.testing.assert_allclose(answers["emotion/posteriors"], expected, rtol=0, atol=1e-5)
    assert (
        answers["emotion/expressions"].tolist()
        == [[name.encode() for name in small_model.head.expressions]] * 3
    )


def test_the_operations_are_tensorflows_and_run_on_any_machine(exported):
    message = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    bodies = (function.node_def for function in graph.library.function)
    nodes = [*graph.node, *(node for body in bodies for node in body)]
    assert len(nodes) > 1000
    assert not [node.op for node in nodes if "cudnn" in node.op.lower() or "PyFunc" in node.op]
    assert not [node.device for node in nodes if "GPU" in node.device]


def test_papers_lie_beside_it(exported):
    assets = exported / "assets"
    spec = json.loads((assets / "model.json").read_text())
    assert (spec["time_step"], spec["reaction_delay"]) == (0.4, [2.0, 1.5])
    assert (assets / "run.flags").read_text() == "--dataset=demo\n"
    expressions = json.loads((assets / "expressions.json").read_text())
    assert expressions == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    card = (assets / "MODEL_CARD.md").read_text()
    assert "clips of 7 frames, 0.4 s from one to" in card
    assert "What they must not be used for" in card


def test_tensorflows_own_tool_runs_it(answers, small_model, features):
    _close(answers, "tool", small_model.temporal.network(features).numpy())


def test_a_session_refuses_what_is_malformed(exported, features, tmp_path):
    # Servers run it in a session, and not as tf.saved_model.load does.
    given = {"features": features * np.nan}
    with pytest.raises(tf.errors.InvalidArgumentError, match="no NaN"):
        saved_model_cli.run_saved_model_with_feed_dict(
            str(exported), "serve", "serving_default", given, str(tmp_path), False
        )


def test_a_single_target_without_the_cnn(make_run, features, tmp_path):
    run = make_run(tmp_path / "run", ("arousal",))
    exporting.export(config.Export(export_dir=str(tmp_path / "7"), workdir=str(run), cnn=False))
    loaded = tf.saved_model.load(str(tmp_path / "7")).signatures
    assert sorted(loaded) == ["serving_default", "step", "timing"]
    (found,) = loaded["serving_default"](features=tf.constant(features)).items()
    expected = served_model.load(config.Export(workdir=str(run), cnn=False)).temporal.network(
        features
    )[..., 0]
    assert found[0] == "arousal"
    np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-5)


def test_a_run_in_mixed_precision_and_the_cnn_in_bfloat16(
    make_run, small_model, features, faces, tmp_path
):
    run = make_run(tmp_path / "run", policy="mixed_bfloat16")
    exporting.export(
        config.Export(export_dir=str(tmp_path / "7"), workdir=str(run), precision="bfloat16")
    )
    loaded = tf.saved_model.load(str(tmp_path / "7")).signatures
    # The temporal model is in float32; small_model has the same weights.
    found = loaded["serving_default"](features=tf.constant(features))["valence"]
    expected = small_model.temporal.network(features)[..., 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    found = loaded["emotion"](faces=tf.constant(faces[1]))["posteriors"].numpy()
    for precision, least, most in (("bfloat16", 0, 1e-5), ("float32", 1e-5, 0.02)):
        logits = small_model.head(_of_faces(faces[1:], precision)[0]).numpy()
        difference = np.abs(found - scipy.special.softmax(logits, axis=1)).max()
        assert least <= difference < most


def test_weights_without_a_head_have_no_expressions(run, tmp_path, capsys):
    (tmp_path / "own.weights.h5").write_bytes(shipped.COMPACT.read_bytes())
    loaded = served_model.load(
        config.Export(workdir=str(run), backbone_weights=str(tmp_path / "own.weights.h5"))
    )
    assert loaded.cnn is not None and loaded.head is None
    assert "head.weights.h5: no such file, so no expressions" in capsys.readouterr().out


def test_weights_of_another_cnn_are_refused(run, tmp_path):
    (tmp_path / "other.weights.h5").write_bytes(b"other")
    with pytest.raises(errors.InputError, match="trained on features of other weights"):
        served_model.load(
            config.Export(workdir=str(run), backbone_weights=str(tmp_path / "other.weights.h5"))
        )

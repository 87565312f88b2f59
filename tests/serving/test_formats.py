"""The exported files in other runtimes; skipped if a runtime is not installed."""

import importlib
import json
import sys

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.faces import patches
from ast_net.serving import exporting, temporal_graphs


def _onnx(path):
    session = importlib.import_module("onnxruntime").InferenceSession(f"{path}.onnx")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names = [output.name for output in outputs]

    def call(**inputs):
        return dict(zip(names, session.run(None, inputs), strict=True))

    call.shapes = [{x.name: x.shape for x in tensors} for tensors in (inputs, outputs)]
    return call


def _openvino(path):
    # On processors with bfloat16, OpenVINO would compute in it by default.
    float32 = {"INFERENCE_PRECISION_HINT": "f32"}
    core = importlib.import_module("openvino").Core()
    compiled = core.compile_model(f"{path}.xml", "CPU", float32)

    def call(**inputs):
        return {output.any_name: value for output, value in compiled(inputs).items()}

    call.shapes = [
        {
            x.any_name: [None if n.is_dynamic else n.get_length() for n in x.partial_shape]
            for x in xs
        }
        for xs in (compiled.inputs, compiled.outputs)
    ]
    return call


def _litert(path):
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(
        f"{path}.tflite"
    )
    runner = interpreter.get_signature_runner()
    runner.shapes = [
        {name: [None if n < 0 else n for n in x["shape_signature"]] for name, x in details.items()}
        for details in (runner.get_input_details(), runner.get_output_details())
    ]
    return runner


# For each runtime its packages, the function that loads a file, and the tolerance.
RUNTIMES = {
    "onnx": (("onnx", "tf2onnx", "onnxruntime"), _onnx, 1e-5),
    "openvino": (("openvino",), _openvino, 1e-5),
    "litert": (("ai_edge_litert",), _litert, 1e-5),
}


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request, make_run, tmp_path_factory):
    """Returns a folder of exported files, the loader, the tolerance, and whether N is fixed."""
    packages, load, tolerance = RUNTIMES[request.param]
    for package in packages:
        pytest.importorskip(package, reason=f"needs the extra {request.param} of setup.cfg")
    folder = tmp_path_factory.mktemp(request.param)
    run = make_run(
        folder / "run", policy="mixed_bfloat16" if request.param == "onnx" else "float32"
    )
    exporting.export(
        config.Export(export_dir=str(folder / "exported"), format=request.param, workdir=str(run))
    )
    return folder / "exported", load, tolerance, request.param == "litert"


def _assert_close(outputs, expected, tolerance):
    for target, column in zip(("valence", "arousal"), np.moveaxis(expected, -1, 0), strict=True):
        np.testing.assert_allclose(outputs[target], column, rtol=0, atol=tolerance)


def test_clips(runtime, small_model, features):
    # small_model has the same weights, and computes in float32.
    folder, load, tolerance, fixed = runtime
    call = load(folder / "temporal")
    expected = small_model.temporal.network(features).numpy()
    _assert_close(call(features=features), expected, tolerance)
    other = features[:1] if fixed else np.repeat(features, 3, axis=0)[:, :4]
    _assert_close(call(features=other), small_model.temporal.network(other).numpy(), tolerance)


def test_single_steps_equal_the_whole_sequence(runtime, small_model, features):
    folder, load, tolerance, _ = runtime
    call = load(folder / "step")
    sizes = {"lstm_1_h": 6, "lstm_1_c": 6, "lstm_2_h": 5, "lstm_2_c": 5}
    states = {name: np.zeros((2, size), np.float32) for name, size in sizes.items()}
    predictions = []
    for frame in range(features.shape[1]):
        answer = call(features=features[:, frame], **states)
        states = {name: answer[f"next_{name}"] for name in states}
        predictions.append(np.stack([answer["valence"], answer["arousal"]], axis=-1))
    expected = small_model.temporal.network(features).numpy()
    np.testing.assert_allclose(np.stack(predictions, 1), expected, rtol=0, atol=tolerance)


def test_the_cnn(runtime, small_model, faces):
    folder, load, tolerance, _ = runtime
    call = load(folder / "cnn")
    # LiteRT's runner returns views of its own memory, which the next call overwrites.
    answer = {name: np.array(value) for name, value in call(faces=faces[1]).items()}
    fc6 = small_model.cnn(faces[1]).numpy()
    np.testing.assert_allclose(answer["fc6"], fc6, rtol=tolerance, atol=tolerance * fc6.max())
    logits = small_model.head(fc6).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer["posteriors"], expected, rtol=0, atol=tolerance)
    assert call(faces=faces[1, :1])["fc6"].shape == (1, 512)


def test_onet_locates_a_face(runtime, portrait):
    folder, load, _, _ = runtime
    # Two squares around the face, from (75, 45) and (80, 40), and one that shows none.
    squares = np.array([[75, 45, 215, 185], [80, 40, 230, 190], [0, 200, 60, 260]])
    answer = load(folder / "onet")(squares=patches.cut(portrait, squares, 48))
    assert (answer["confidence"] > 0.9).tolist() == [True, True, False]
    for square, box, points in zip(squares, answer["box"][:2], answer["landmarks"][:2]):
        side = square[2] - square[0]
        np.testing.assert_allclose(square[0] + side * points[:2, 0], [123, 166.5], atol=5)
        np.testing.assert_allclose(square[1] + side * points[:2, 1], [101, 103.3], atol=5)
        corners = np.tile(square[:2], 2) + side * box
        assert (corners[:2] < points.min(axis=0) * side + square[:2]).all()
        assert (corners[2:] > points.max(axis=0) * side + square[:2]).all()


def test_the_documents_are_beside_the_networks(runtime):
    names = {path.name for path in runtime[0].iterdir()}
    assert names > {"model.json", "run.flags", "MODEL_CARD.md"}
    assert {name.partition(".")[0] for name in names} >= {"temporal", "step", "cnn"}


def test_model_json_has_what_a_client_needs(runtime, small_model):
    folder, load, _, fixed = runtime
    model = json.loads((folder / "model.json").read_text())
    assert (model["targets"], model["time_step"], model["feature_size"]) == (
        ["valence", "arousal"],
        0.4,
        512,
    )
    assert model["reaction_delay"] == [2.0, 1.5] and model["frame_rate"] == 25
    assert (
        model["expressions"] == [*small_model.head.expressions] and len(model["expressions"]) == 8
    )
    assert model["faces"] == {
        "size": 224,
        "left_eye": [75, 90],
        "right_eye": [148, 90],
        "channels": "RGB",
        "range": [0, 255],
    }
    sizes = {"lstm_1_h": 6, "lstm_1_c": 6, "lstm_2_h": 5, "lstm_2_c": 5}
    assert model["states"] == {n: {"size": k, "next": f"next_{n}"} for n, k in sizes.items()}
    features = {"dtype": "float32", "shape": ["batch", 7 if fixed else "time", 512]}
    assert model["functions"]["temporal"]["inputs"] == {"features": features}
    assert model["functions"]["cnn"]["inputs"]["faces"]["dtype"] == "uint8"
    assert list(model["functions"]) == ["temporal", "step", "cnn", "onet"]
    for name, function in model["functions"].items():
        file = folder / function["file"]
        assert file.is_file()
        # ONNX has names for the axes of any length, OpenVINO and LiteRT only say that they are so.
        for part, shapes in zip(("inputs", "outputs"), load(folder / name).shapes, strict=True):
            stated = {key: tensor["shape"] for key, tensor in function[part].items()}
            if file.suffix != ".onnx":
                stated = {
                    key: [None if isinstance(n, str) else n for n in shape]
                    for key, shape in stated.items()
                }
            assert shapes == stated


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(errors.InputError, match=r"needs .*tf2onnx, .*'ast-net\[onnx\]'"):
        exporting.export(config.Export(export_dir=str(tmp_path / "1"), format="onnx"))
    assert not (tmp_path / "1").exists()


def test_a_precision_that_the_format_lacks_is_refused(tmp_path):
    with pytest.raises(errors.InputError, match="found `precision=bfloat16`"):
        exporting.export(
            config.Export(export_dir=str(tmp_path / "1"), format="litert", precision="bfloat16")
        )
    with pytest.raises(errors.InputError, match="`precision` must be one of .*, found int8"):
        exporting.export(config.Export(export_dir=str(tmp_path / "1"), precision="int8"))


def test_the_graphs_before_conversion_equal_the_network(small_model, features):
    # Needs no other runtime; with any number of frames, and with a fixed number and no loop.
    expected = small_model.temporal.network(features).numpy()
    for frames in (None, features.shape[1]):
        clips = temporal_graphs.clips(small_model.temporal, frames)
        _assert_close(clips({"features": features}), expected, 1e-5)
    states = {
        f"lstm_{k}_{part}": np.zeros((2, size)) for k, size in ((1, 6), (2, 5)) for part in "hc"
    }
    step = temporal_graphs.step(small_model.temporal)
    _assert_close(step({"features": features[:, 0], **states}), expected[:, 0], 1e-5)

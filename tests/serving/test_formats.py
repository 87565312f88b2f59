"""What other runtimes make of the exported files. Skipped where a runtime is not installed."""

import importlib
import sys

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.serving import exporting, temporal_graphs


def _onnx(path):
    session = importlib.import_module("onnxruntime").InferenceSession(f"{path}.onnx")
    names = [output.name for output in session.get_outputs()]
    return lambda **inputs: dict(zip(names, session.run(None, inputs), strict=True))


def _openvino(path):
    # Where the processor has bfloat16, OpenVINO would compute in it.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    core = importlib.import_module("openvino").Core()
    compiled = core.compile_model(f"{path}.xml", "CPU", precise)

    def call(**inputs):
        return {output.any_name: value for output, value in compiled(inputs).items()}

    return call


def _litert(path):
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(
        f"{path}.tflite"
    )
    return interpreter.get_signature_runner()


# Packages, how a file is loaded, and the largest difference.
RUNTIMES = {
    "onnx": (("onnx", "tf2onnx", "onnxruntime"), _onnx, 1e-5),
    "openvino": (("openvino",), _openvino, 1e-5),
    "litert": (("ai_edge_litert",), _litert, 1e-5),
}


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request, make_run, tmp_path_factory):
    """A folder of exported files, how to load one, the tolerance, and whether N is fixed."""
    packages, load, tolerance = RUNTIMES[request.param]
    for package in packages:
        pytest.importorskip(package, reason=f"needs the extra {request.param} of setup.cfg")
    folder = tmp_path_factory.mktemp(request.param)
    run = make_run(
        folder / "run", policy="mixed_bfloat16" if request.param == "onnx" else "float32"
    )
    exporting.export(
        config.Export(export_dir=str(folder / "1"), format=request.param, workdir=str(run))
    )
    return folder / "1", load, tolerance, request.param == "litert"


def _close(found, expected, tolerance):
    for target, column in zip(("valence", "arousal"), np.moveaxis(expected, -1, 0), strict=True):
        np.testing.assert_allclose(found[target], column, rtol=0, atol=tolerance)


def test_clips(runtime, small_model, features):
    # networks has the same weights, and computes in float32.
    folder, load, tolerance, fixed = runtime
    call = load(folder / "temporal")
    _close(call(features=features), small_model.temporal.network(features).numpy(), tolerance)
    other = features[:1] if fixed else np.repeat(features, 3, axis=0)[:, :4]
    _close(call(features=other), small_model.temporal.network(other).numpy(), tolerance)


def test_step_by_step_is_the_whole_sequence(runtime, small_model, features):
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
    # LiteRT's runner gives out its own memory.
    answer = {name: np.array(value) for name, value in call(faces=faces[1]).items()}
    fc6 = small_model.cnn(faces[1]).numpy()
    np.testing.assert_allclose(answer["fc6"], fc6, rtol=tolerance, atol=tolerance * fc6.max())
    logits = small_model.head(fc6).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer["posteriors"], expected, rtol=0, atol=tolerance)
    assert call(faces=faces[1, :1])["fc6"].shape == (1, 512)


def test_papers_lie_beside_them(runtime):
    names = {path.name for path in runtime[0].iterdir()}
    assert names > {"model.json", "run.flags", "expressions.json", "MODEL_CARD.md"}
    assert {name.partition(".")[0] for name in names} >= {"temporal", "step", "cnn"}


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(errors.InputError, match=r"needs .*tf2onnx, .*'ast-net\[onnx\]'"):
        exporting.export(config.Export(export_dir=str(tmp_path / "1"), format="onnx"))
    assert not (tmp_path / "1").exists()


def test_another_precision_is_refused(tmp_path):
    with pytest.raises(errors.InputError, match="found `precision=bfloat16`"):
        exporting.export(
            config.Export(export_dir=str(tmp_path / "1"), format="litert", precision="bfloat16")
        )
    with pytest.raises(errors.InputError, match="`precision` must be one of .*, found int8"):
        exporting.export(config.Export(export_dir=str(tmp_path / "1"), precision="int8"))


def test_the_graphs_that_are_converted_equal_the_network(small_model, features):
    # Without any runtime: for a free number of frames, and for a fixed one without a loop.
    expected = small_model.temporal.network(features).numpy()
    for frames in (None, features.shape[1]):
        clips = temporal_graphs.clips(small_model.temporal, frames)
        _close(clips({"features": features}), expected, 1e-5)
    states = {
        f"lstm_{k}_{part}": np.zeros((2, size)) for k, size in ((1, 6), (2, 5)) for part in "hc"
    }
    step = temporal_graphs.step(small_model.temporal)
    _close(step({"features": features[:, 0], **states}), expected[:, 0], 1e-5)

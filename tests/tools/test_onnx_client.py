"""tools/onnx_client.py gives predict's table, without TensorFlow and without this package."""

import ast
import dataclasses
import importlib
import json
import pathlib
import subprocess
import sys
import types

import cv2
import numpy as np
import pandas
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.faces import alignment, detection, video_writer
from ast_net.prediction import inputs, pipeline, session
from ast_net.serving import exporting, interface, served_model, temporal_graphs
from ast_net.temporal import timing

CLIENT = pathlib.Path(__file__).parents[2] / "tools/onnx_client.py"


@pytest.fixture(scope="module")
def video(tmp_path_factory, drifting_face) -> pathlib.Path:
    """A face that goes away, for less than a time step, and comes back: phases go on."""
    path = tmp_path_factory.mktemp("videos") / "talk.mp4"
    shown = [False] * 2 + [True] * 14 + [False] * 6 + [True] * 8
    video_writer.write_video(path, drifting_face(shown), 25)
    return path


@pytest.fixture(scope="module")
def table(video, shipped_model_with_head, tmp_path_factory) -> pathlib.Path:
    """predict's table of it, in float32."""
    out = tmp_path_factory.mktemp("out")
    outputs = config.Outputs(output_dir=str(out), outputs=("csv",), posteriors=True, landmarks=True)
    stages = pipeline.Pipeline(shipped_model_with_head, config.Prediction())
    session.predict_files(stages, inputs.find([str(video)]), outputs)
    return out / "talk/predictions.csv"


@pytest.fixture(scope="module")
def networks(shipped_model_with_head):
    """The content of model.json, and the networks that export converts, by their files."""
    model = shipped_model_with_head
    step, onet = temporal_graphs.step(model.temporal), detection.onet()
    functions = {"cnn": {"file": "cnn.onnx", "outputs": {"fc6": {}, "posteriors": {}}}}
    for network in (step, onet):
        described = interface.function({x.name: x for x in network.inputs}, network.output)
        functions[network.name] = {"file": f"{network.name}.onnx", **described}
    served = served_model.ServedModel(model.temporal, None, model.head)

    def cnn(values):
        fc6 = model.extractor(values["faces"])
        powers = np.exp(model.head(fc6).numpy().astype(np.float64))
        return {"fc6": fc6, "posteriors": powers / powers.sum(axis=1, keepdims=True)}

    squares = tf.TensorSpec((None, 48, 48, 3), tf.uint8)
    traced = tf.function(onet, input_signature=[{"squares": squares}])
    files = {"step.onnx": step, "cnn.onnx": cnn, "onet.onnx": traced}
    return interface.document(served, functions), files


@pytest.fixture
def client(networks, tmp_path, monkeypatch):
    """The client, with these networks in place of ONNX files in `tmp_path`."""
    document, files = networks
    (tmp_path / "model.json").write_text(json.dumps(document))

    class Session:
        def __init__(self, path):
            self._run = files[path.name]

        def run(self, names, values):
            answer = self._run(values)
            return [np.asarray(answer[name]) for name in names]

    runtime = types.SimpleNamespace(InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    sys.modules.pop("onnx_client", None)
    yield importlib.import_module("onnx_client")
    del sys.modules["onnx_client"]


def assert_is_predicts(written: pathlib.Path, table: pathlib.Path) -> None:
    expected = pandas.read_csv(table).query("valid == 1").reset_index(drop=True)
    assert expected["face_id"].eq(0).all() and expected["frame"].diff().max() > 5  # It was away.
    found = pandas.read_csv(written)
    assert {"valence", "arousal_smooth", "p_contempt"} < {*found}
    pandas.testing.assert_frame_equal(
        found, expected[list(found)], check_dtype=False, rtol=0, atol=1e-3
    )


def test_the_clients_table_is_predicts(client, video, table, tmp_path):
    arguments = [str(tmp_path), str(video), "--landmarks", str(table)]
    client.main([*arguments, "--output", str(tmp_path / "talk.csv")])
    assert_is_predicts(tmp_path / "talk.csv", table)


def test_its_own_detector_finds_the_same_face(client, video, table, tmp_path, monkeypatch):
    everywhere = client.squares_of_all_sizes
    # Every sixth square will do, and takes less time.
    monkeypatch.setattr(client, "squares_of_all_sizes", lambda *size: everywhere(*size)[::6])
    client.main([str(tmp_path), str(video), "--output", str(tmp_path / "talk.csv")])
    expected = pandas.read_csv(table).query("valid == 1")
    found = pandas.read_csv(tmp_path / "talk.csv")
    both = found.merge(expected, on=["frame", "face_id"], suffixes=("", "_predict"))
    # It looks for a face in every fifth frame, predict in every third.
    assert len(both) == len(found) > 10 and {5, 15, 25, 29} <= {*found["frame"]}
    assert both["timestamp_s"].sub(both["timestamp_s_predict"]).abs().max() < 1e-5
    for target in ("valence", "arousal"):
        assert both[target].sub(both[f"{target}_predict"]).abs().mean() < 0.05


def test_exported_files_without_tensorflow_and_without_the_package(video, table, tmp_path):
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra onnx of setup.cfg")
    exporting.export(config.Export(export_dir=str(tmp_path / "onnx"), format="onnx"))
    program = (
        "import runpy, sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'ast_net']); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", program, str(CLIENT), "onnx", str(video)]
    command += ["--landmarks", str(table), "--output", "talk.csv"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert_is_predicts(tmp_path / "talk.csv", table)


def test_it_imports_nothing_else():
    imports = [node for node in ast.walk(ast.parse(CLIENT.read_text())) if "names" in node._fields]
    names = {alias.name for node in imports for alias in node.names}
    assert names - sys.stdlib_module_names == {"cv2", "numpy", "onnxruntime"}


@pytest.mark.parametrize("rate", [25, 30, 24, 7.5, 3, 2, 26.25])
def test_a_frame_continues_the_one_a_time_step_before_it(client, rate, rng):
    steady = np.arange(60) / rate
    uneven = steady + rng.uniform(0, 0.4 / rate, 60)
    gap = np.delete(steady, range(20, 45))
    for times in (steady, uneven, gap):
        expected = timing.predecessors(times, 0.4)
        interval = times[1] - times[0]
        history = [(times[0] - interval, -1)]
        for number, time in enumerate(times):
            assert client.states_before(history, time, 0.4) == expected[number]
            history.append((time, number))


@pytest.mark.parametrize("size", [100, 288, 1100, 2600])
def test_faces_are_aligned_as_in_the_package(client, portrait, size):
    image = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA)
    eyes = np.float64([[123, 101], [166.5, 103.3]]) * size / 288
    expected = alignment.align_face(image, eyes, config.Alignment())
    crop = client.align(image, eyes.ravel(), dataclasses.asdict(config.Alignment()))
    difference = np.abs(crop.astype(float) - expected)
    assert crop.shape == (224, 224, 3) and difference.mean() < 0.1


def test_a_table_of_every_second_frame(client, table, tmp_path, video):
    every_second = pandas.read_csv(table).query("frame % 2 == 0")
    every_second.to_csv(tmp_path / "half.csv", index=False)
    both = [
        {row[0]: row[2] for row in client.tracked(video, path)}
        for path in (table, tmp_path / "half.csv")
    ]
    assert list(both[1]) == list(both[0])[::2]
    for number, image in both[1].items():
        np.testing.assert_array_equal(image, both[0][number])


def test_a_table_of_another_video_is_refused(client, table, tmp_path, drifting_face):
    video_writer.write_video(tmp_path / "short.mp4", drifting_face([True] * 2), 25)
    with pytest.raises(SystemExit, match=r"short.mp4: has no frame 2, which is in .*\.csv"):
        client.main([str(tmp_path), str(tmp_path / "short.mp4"), "--landmarks", str(table)])


def test_mistakes_are_said(client, table, tmp_path, video):
    with pytest.raises(SystemExit, match="none.mp4: no such video, or OpenCV cannot"):
        client.main([str(tmp_path), "none.mp4"])
    bare = pandas.read_csv(table).drop(columns="right_eye_y")
    bare.to_csv(tmp_path / "bare.csv", index=False)
    with pytest.raises(SystemExit, match="bare.csv: has no eyes; predict again with --landmarks"):
        client.main([str(tmp_path), str(video), "--landmarks", str(tmp_path / "bare.csv")])


def test_a_video_without_a_face_has_a_table_without_rows(client, tmp_path, drifting_face, table):
    video_writer.write_video(tmp_path / "empty.mp4", drifting_face([False] * 2), 25)
    lines = table.read_text().splitlines()
    (tmp_path / "empty.csv").write_text("\n".join(lines[:3]) + "\n")
    arguments = [str(tmp_path), str(tmp_path / "empty.mp4")]
    arguments += ["--landmarks", str(tmp_path / "empty.csv"), "--output", str(tmp_path / "out.csv")]
    client.main(arguments)
    (header,) = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith("frame,timestamp_s,face_id,valence,arousal,p_angry")

"""The client's CSV equals that of predict, even if the server fails in between."""

import concurrent.futures
import contextlib
import csv
import dataclasses
import functools
import http.server
import importlib.util
import shutil
import signal
import socket
import subprocess
import threading
import time

import cv2
import malformed
import numpy as np
import pytest
import server as stand_in
import serving_client

from ast_net import config, errors
from ast_net.cnn import runtime
from ast_net.faces import detection, video, video_writer
from ast_net.prediction import frame_table, frames, pipeline, prediction_model, streams
from ast_net.serving import remote, transports

_HAS_GRPC = importlib.util.find_spec("tensorflow_serving") is not None
needs_grpc = pytest.mark.skipif(not _HAS_GRPC, reason="the extra `serving` is not installed")
PROTOCOLS = ["rest", pytest.param("grpc", marks=needs_grpc)]
# Which frames show the face. While it is away its states and its id are kept.
_VISIBLE = [True] * 12 + [False] * 6 + [True] * 8


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _addresses(rest_port, grpc_port):
    rest = f"http://127.0.0.1:{rest_port}/v1/models/ast_net"
    return {"rest": ["--rest", rest], "grpc": ["--grpc", f"127.0.0.1:{grpc_port}"]}


@contextlib.contextmanager
def _serving(model, rest_port=0, grpc_port=0):
    """Serves a model in this process; yields the client's flags for each protocol."""
    rest = stand_in.start_rest(model, rest_port)
    grpc, grpc_port = stand_in.start_grpc(model, grpc_port) if _HAS_GRPC else (None, 0)
    try:
        yield _addresses(rest.server_port, grpc_port)
    finally:
        rest.shutdown()
        rest.server_close()
        if grpc is not None:
            grpc.stop(None).wait()


def _process(program, folder, rest_port, grpc_port):
    """Starts a server in its own process, without waiting until it is ready."""
    flags = [f"--model_base_path={folder}", f"--rest_api_port={rest_port}", f"--port={grpc_port}"]
    return subprocess.Popen([program, "--model_name=ast_net", *flags], stderr=subprocess.DEVNULL)


class Model(stand_in.Model):
    """Counts the steps; calls `before` and `after` with the count, and these may raise."""

    def predict(self, signature, inputs):
        if signature != "step_jpeg":
            return super().predict(signature, inputs)
        self.steps += 1
        number = self.steps
        self.before(number)
        result = super().predict(signature, inputs)
        self.after(number)
        return result


@pytest.fixture(scope="module")
def loaded(exported):
    return Model("ast_net", exported.parent)


@pytest.fixture
def model(loaded, monkeypatch):
    """Returns the model with its counter reset; the client makes only short pauses."""
    loaded.steps, loaded.version = 0, 1
    loaded.before = loaded.after = lambda _: None
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.01)
    return loaded


@pytest.fixture(scope="module", params=["stand-in", "tensorflow_model_server"])
def addresses(request, loaded, exported):
    """Yields the addresses of a server that stays up: server.py, and TensorFlow's if installed."""
    if request.param == "stand-in":
        loaded.before = loaded.after = lambda _: None
        loaded.steps, loaded.version = 0, 1
        with _serving(loaded) as flags:
            yield flags
        return
    program = shutil.which(request.param)
    if program is None:
        pytest.skip("tensorflow_model_server is not on the PATH")
    ports = _free_port(), _free_port()
    process = _process(program, exported.parent, *ports)
    yield _addresses(*ports)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def videos(tmp_path_factory, drifting_face):
    """Returns two videos of the same pictures, at 25 and at 10 frames/s, by their rates."""
    folder, paths = tmp_path_factory.mktemp("client"), {}
    for rate in (25, 10):
        paths[rate] = folder / f"{rate}.mp4"
        video_writer.write_video(paths[rate], drifting_face(_VISIBLE), rate)
    return paths


@pytest.fixture(scope="module")
def expected(videos, small_model, detector):
    """Returns the rows that predict writes for each video, in float32, by the video's rate."""
    extractor = runtime.Extractor(512, "float32", lambda faces: small_model.cnn(faces).numpy())
    networks = prediction_model.PredictionModel(detector, extractor, None, small_model.temporal)
    stages = pipeline.Pipeline(networks, config.Prediction())
    rows = {}
    for rate, path in videos.items():
        output, columns = path.with_suffix(".csv"), frame_table.Columns(stages.targets)
        with_landmarks = dataclasses.replace(columns, landmarks=True)
        with (
            frame_table.csv_writer(output, columns) as write,
            frame_table.csv_writer(_landmarks(path), with_landmarks) as write_landmarks,
        ):
            for frame in stages.predict(video.Video(path).frames()):
                write(frame)
                write_landmarks(frame)
        rows[rate] = _rows(output)
    return rows


@pytest.fixture
def client(videos, detector, tmp_path, monkeypatch):
    """Calls the tool as a user does: client(address, *flags, rate=25) returns the CSV's rows."""
    monkeypatch.setattr(detection, "FaceDetector", lambda: detector)

    def call(address, *flags, rate=25):
        output = tmp_path / "client.csv"
        serving_client.main([str(videos[rate]), *address, "--output", str(output), *flags])
        return _rows(output)

    return call


def _landmarks(path):
    """Returns the path of a video's table with landmarks."""
    return path.with_suffix(".landmarks.csv")


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _check(rows, expected_rows, atol=1e-4):
    assert [list(row) for row in rows] == [list(row) for row in expected_rows]
    for name in rows[0]:
        column, expected = [row[name] for row in rows], [row[name] for row in expected_rows]
        if name.removesuffix("_smooth") in config.TARGETS:
            assert [not cell for cell in column] == [not cell for cell in expected]
            numbers = [[float(cell or "nan") for cell in cells] for cells in (column, expected)]
            np.testing.assert_allclose(*numbers, rtol=0, atol=atol)
        else:
            assert column == expected


@pytest.mark.parametrize(("protocol", "rate"), [("rest", 25), ("rest", 10)])
def test_the_csv_equals_that_of_predict(addresses, client, expected, protocol, rate):
    _check(client(addresses[protocol], rate=rate), expected[rate])
    rows = expected[rate]
    assert [row["valid"] for row in rows] == [str(int(visible)) for visible in _VISIBLE]
    # The states matter: a face that hardly moves has another prediction one time step later.
    later = rate * 10 // 25
    assert abs(float(rows[0]["valence"]) - float(rows[later]["valence"])) > 0.005


@needs_grpc
def test_grpc_and_jpeg(addresses, client, expected):
    _check(client(addresses["grpc"]), expected[25])
    rows = client(addresses["grpc"], "--jpeg_quality", "95")
    _check(rows, expected[25], 0.02)
    assert rows != expected[25]


def test_several_videos_and_one_that_is_damaged(addresses, videos, expected, client, tmp_path):
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video")
    paths, folder = [damaged, *videos.values()], tmp_path / "tables"
    arguments = [*map(str, paths), *addresses["rest"], "--output", str(folder)]
    with pytest.raises(SystemExit, match=r"^error: .*damaged.mp4[^\n]*$"):
        serving_client.main(arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["10.csv", "25.csv"]
    for rate in (10, 25):
        _check(_rows(folder / f"{rate}.csv"), expected[rate])


def test_a_video_that_is_stopped_leaves_no_table(addresses, videos, detector, tmp_path):
    server, stop = remote.Server(transports.Rest(addresses["rest"][1])), threading.Event()
    stop.set()
    track = functools.partial(serving_client.detected, detector)
    with pytest.raises(concurrent.futures.CancelledError):
        serving_client.predict(videos[25], tmp_path / "talk.csv", server, track, stop=stop)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_stops_the_videos_that_are_being_predicted(monkeypatch):
    began, running = [], threading.Event()

    def predict_one(path, output, stop):
        began.append(path)
        running.set()
        assert stop.wait(20)
        raise concurrent.futures.CancelledError

    def interrupt(futures):
        assert running.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures, "as_completed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        serving_client.predict_all(["a", "b", "c"], ["a.csv", "b.csv", "c.csv"], 1, predict_one)
    assert began == ["a"]


def test_faces_of_a_table_instead_of_a_detector(addresses, videos, expected, client, monkeypatch):
    monkeypatch.setattr(detection, "FaceDetector", None)
    rows = client(addresses["rest"], "--landmarks", str(_landmarks(videos[25])))
    _check(rows, expected[25], 1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], r"found no more for frame 25; expected the table"),
        (lambda lines: lines[:3] + lines[4:], r"found frame 3 for frame 2; expected"),
        (lambda lines: [*lines, "26" + lines[-1][2:]], r"found frame 26, the video has none"),
        (lambda lines: [line.rpartition(",")[0] for line in lines], r"KeyError: 'mouth_right_y'\)"),
        (
            lambda lines: [lines[0], lines[1].rpartition(",")[0] + ",nan"],
            r"frame 0 has numbers that are not finite",
        ),
        (lambda lines: [lines[0], "\0"], r"cannot be read as a table with landmarks"),
    ],
)
def test_a_table_that_is_not_that_of_the_video(
    addresses, videos, expected, client, tmp_path, change, message
):
    table = tmp_path / "table.csv"
    lines = change(_landmarks(videos[25]).read_text().splitlines())
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(SystemExit, match=rf"error: {table}: .*{message}"):
        client(addresses["rest"], "--landmarks", str(table))
    assert list(tmp_path.iterdir()) == [table]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_frame_is_lost_or_counted_twice_if_answers_get_lost(model, client, expected, protocol):
    def busy(number):
        if number % 3 == 1:
            raise stand_in.Refused("UNAVAILABLE", "a version is being loaded")

    def lost(number):
        """Computed, but the answer is lost: the connection of REST breaks, gRPC is unavailable."""
        if number % 3 == 2:
            unavailable = stand_in.Refused("UNAVAILABLE", "the answer is lost")
            raise unavailable if protocol == "grpc" else ConnectionAbortedError

    model.before, model.after = busy, lost
    with _serving(model) as addresses:
        _check(client(addresses[protocol]), expected[25])
    assert model.steps == 9


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_stops_and_restarts(model, client, expected, protocol):
    ports = _free_port(), _free_port()
    stopped, restarted = threading.Event(), threading.Event()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        addresses = first.enter_context(_serving(model, *ports))

        def stop(number):
            if number == 2:
                threading.Thread(target=restart).start()
                # After this the answer cannot be sent any more.
                assert stopped.wait(20)
                if protocol == "rest":  # Closing does not end its connections, as a kill does.
                    raise ConnectionAbortedError

        def restart():
            first.close()
            stopped.set()
            second.enter_context(_serving(model, *ports))
            restarted.set()

        model.before = stop
        _check(client(addresses[protocol]), expected[25])
        assert restarted.wait(20)
    assert model.steps == 4


def test_a_server_that_is_killed_and_restarted(exported, client, expected, monkeypatch):
    program = shutil.which("tensorflow_model_server")
    if program is None:
        pytest.skip("tensorflow_model_server is not on the PATH")
    ports = _free_port(), _free_port()
    protocol = "grpc" if _HAS_GRPC else "rest"
    transport = transports.Grpc if _HAS_GRPC else transports.Rest
    processes, predict = [], transport.predict

    def start():
        processes.append(_process(program, exported.parent, *ports))

    def kill_at_third(self, signature, *arguments):
        kill_at_third.calls += 1
        if kill_at_third.calls == 3:
            processes[0].send_signal(signal.SIGKILL)
            processes[0].wait()
            start()
        return predict(self, signature, *arguments)

    kill_at_third.calls = 0
    monkeypatch.setattr(transport, "predict", kill_at_third)
    start()
    try:
        _check(client(_addresses(*ports)[protocol], "--patience", "120"), expected[25])
        assert len(processes) == 2 and kill_at_third.calls > 4
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("listens", [False, True])
def test_no_server_at_the_address(client, tmp_path, protocol, listens):
    """Nothing listens there, or something that never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        port = silent.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(
            SystemExit, match=r"no answer in .* s and \d+ attempts.*`patience=SECONDS`"
        ):
            client(_addresses(port, port)[protocol], "--patience=0.6", "--timeout=0.4")
        # Pauses are random, but the client never gives up before 0.2 s.
        assert 0.2 < time.monotonic() - start < 8
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_model_and_another_version(addresses, client, tmp_path, protocol):
    flag, address = addresses[protocol]
    for message, name, version in [("no_net", "no_net", None), ("ast_net, 7", "ast_net", 7)]:
        if protocol == "rest":
            suffix = f"/versions/{version}" if version else ""
            flags = [flag, address.replace("ast_net", name) + suffix]
        else:
            flags = [flag, address, "--model_name", name]
            flags += ["--model_version", str(version)] if version else []
        with pytest.raises(SystemExit, match=rf"no such model or version \(.*{message}"):
            client(flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_client_stays_with_the_version_it_started_with(model, client, tmp_path, protocol):
    def replace(number):
        model.version = 1 + (number > 1)

    model.after = replace
    with (
        _serving(model) as addresses,
        pytest.raises(SystemExit, match=r"no such model or version.*Specific\(ast_net, 1\)"),
    ):
        client(addresses[protocol])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_without_its_cnn_is_refused(model, client, monkeypatch, protocol):
    monkeypatch.delitem(model.signatures, "step_jpeg")
    with (
        _serving(model) as addresses,
        pytest.raises(SystemExit, match=r"no signature step_jpeg, only .*step, timing.*`cnn=true`"),
    ):
        client(addresses[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_request_is_reported_without_a_retry(addresses, protocol):
    transport = transports.Rest if protocol == "rest" else transports.Grpc
    server = remote.Server(transport(addresses[protocol][1]))
    start = time.monotonic()
    with pytest.raises(
        errors.InputError, match="refuses the request: .*expected valence or arousal"
    ):
        server.predict("timing", target=np.array(["joy"], object))
    assert time.monotonic() - start < 5
    assert remote.RemotePredictor(server).time_step == 0.4


class Direct:
    """A transport to a model in this process; notes how many faces each request has."""

    address = "here"

    def __init__(self, model):
        self._model, self.faces = model, []

    def metadata(self, timeout):
        return self._model.signatures

    def predict(self, signature, inputs, timeout):
        if signature == "step_jpeg":
            self.faces.append(len(inputs["jpeg"]))
        return self._model.predict(signature, inputs)


@pytest.fixture(scope="module")
def crops(portrait):
    """Returns 40 faces."""
    return np.stack([portrait[shift : shift + 224, shift : shift + 224] for shift in range(40)])


def test_several_faces_go_into_one_request_each_with_its_own_states(model, crops):
    direct = Direct(model)
    together, apart = (
        [remote.RemotePredictor(remote.Server(transport)) for _ in range(3)]
        for transport in (direct, Direct(model))
    )
    # The third face has more frames than a time step, so the last two continue from the first two.
    calls = [([0], [0], np.arange(12) / 25), ([0.4], [0.4], [0.88]), ([1], [0.8], [1])]
    for number, times in enumerate(calls):
        times = [np.array(seconds, float) for seconds in times]
        faces = [np.roll(crops, 5 * k + number, axis=0)[: len(t)] for k, t in enumerate(times)]
        faces[1][number == 1 :] = 0
        results = remote.RemotePredictor.predict_together(together, faces, times)
        for k, result in enumerate(results):
            alone = apart[k].predict(faces[k], times[k])
            np.testing.assert_allclose(result, alone, rtol=0, atol=2e-6)
    assert direct.faces == [12, 2, 3, 3]


def test_a_frame_with_many_faces_takes_few_requests(model, crops):
    direct, settings = Direct(model), config.Prediction(max_faces=None)
    predictor = remote.RemotePredictor(remote.Server(direct))
    face_streams = streams.FaceStreams(predictor, settings)
    seen = np.stack([np.roll(crops, 4 * k, axis=0)[:4] for k in range(10)])
    chunk = [
        frames.FramePrediction(
            number,
            number / 25,
            [
                frames.FacePrediction(k, None, features=faces[number])
                for k, faces in enumerate(seen)
            ],
        )
        for number in range(4)
    ]
    face_streams.predict(chunk)
    assert direct.faces == [16, 16, 8]
    for k in (0, 9):
        expected = predictor.another().predict(seen[k], np.arange(4) / 25)
        result = np.stack([frame.faces[k].values for frame in chunk])
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6)


def test_recordings_in_several_threads_share_a_server(model, crops):
    server, times = remote.Server(Direct(model)), np.arange(3) / 2.5
    recordings = [np.roll(crops, 6 * k, axis=0)[:3] for k in range(6)]
    expected = [remote.RemotePredictor(server).predict(faces, times) for faces in recordings]

    def predict(faces):
        predictor = remote.RemotePredictor(server)
        parts = [predictor.predict(faces[k : k + 1], times[k : k + 1]) for k in range(len(faces))]
        return np.concatenate(parts)

    recordings[2] = recordings[2][:, :100]
    with concurrent.futures.ThreadPoolExecutor(6) as executor:
        results = [executor.submit(predict, faces) for faces in recordings]
    with pytest.raises(ValueError, match=r"expected uint8 faces .*found uint8 \(1, 100, 224, 3\)"):
        results[2].result()
    for k in (0, 1, 3, 4, 5):
        np.testing.assert_allclose(results[k].result(), expected[k], rtol=0, atol=2e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_face_leaves_the_other_recordings_alone(addresses, crops, protocol):
    transport = transports.Rest if protocol == "rest" else transports.Grpc
    server = remote.Server(transport(addresses[protocol][1]))
    states = {
        name: np.zeros((1, tensor.tensor_shape.dim[-1].size), np.float32)
        for name, tensor in server.signature("step_jpeg").inputs.items()
        if name != "jpeg"
    }
    pictures = [cv2.imencode(".png", crop)[1].tobytes() for crop in crops[:3]]
    parts = [{"jpeg": np.array([picture], object), **states} for picture in pictures]
    expected = [server.step([part])[0] for part in parts]
    parts[1]["jpeg"] = np.array([pictures[1][:-100]], object)
    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        results = [executor.submit(server.step, [part]) for part in parts]
    for attempt in (results[1].result, lambda: server.step(parts)):
        with pytest.raises(transports.Refused, match="the server refuses the request"):
            attempt()
    for k in (0, 2):
        for name, values in results[k].result()[0].items():
            np.testing.assert_allclose(values, expected[k][name], rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (200, b'{"a": 1}'), (200, b"[]"), (404, b"-")]
)
def test_another_kind_of_server_at_the_address(client, answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(SystemExit, match="expected an answer of TensorFlow Serving"):
            client(_addresses(other.server_port, 0)["rest"])
        other.shutdown()


def test_a_malformed_address_is_refused(client):
    with pytest.raises(SystemExit, match="localhost:8501/v1/models/ast_net"):
        client(["--rest", "localhost:8501"])


def test_invalid_flags_are_refused_before_anything_is_sent(client, tmp_path, capsys):
    address = ["--rest", "http://127.0.0.1:1/v1/models/ast_net"]
    wrong = [["--timeout", "0"], ["--output", str(tmp_path)], ["--max_faces", "two"]]
    wrong += [["--videos_at_once", "0"], ["--landmarks", "talk.csv", "--max_faces", "2"]]
    for flags in wrong:
        with pytest.raises(SystemExit):
            client(address, *flags)
        assert f"{flags[0]}: " in capsys.readouterr().err


def test_an_output_that_cannot_be_written(addresses, client, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"error: .*file.*(Not a directory|File exists)"):
        client(addresses["rest"], "--output", str(tmp_path / "file" / "client.csv"))


def test_malformed_requests_are_answered_with_errors(addresses):
    rest = addresses["rest"][1].split("/")[2]
    grpc = addresses["grpc"][1] if _HAS_GRPC else None
    signatures = malformed.signatures_of(rest)
    request = malformed.Request("", "step", malformed.valid_inputs(signatures, "step"))
    before = malformed.send_rest(rest, "/v1/models/ast_net:predict", malformed.as_json(request))
    answers = malformed.send(rest, grpc, 100)
    succeeded = [key for key in answers if key[2] in ("OK", "200")]
    assert sum(answers.values()) == 100 and not succeeded
    assert len({kind for _, kind, _ in answers}) > 8
    after = malformed.send_rest(rest, "/v1/models/ast_net:predict", malformed.as_json(request))
    assert before[0] == after[0] == 200
    for name, values in before[1]["outputs"].items():
        np.testing.assert_allclose(after[1]["outputs"][name], values, rtol=0, atol=1e-6)

"""The page's server: who may use it, own states for each page, uploads and their deletion."""

import base64
import collections
import http.client
import io
import itertools
import json
import re
import struct
import threading

import anyio
import numpy as np
import pandas
import pytest
import uvicorn
from calls import call
from PIL import Image
from websockets import exceptions
from websockets.sync import client

import ast_net
from ast_net import app, config, errors
from ast_net.page import live, server, uploads
from ast_net.prediction import frames, prediction_model

MAX_BYTES = 500_000
Site = collections.namedtuple("Site", "address folder")


@pytest.fixture(scope="module")
def networks(shipped_model_with_head):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_model, "load", lambda *_: shipped_model_with_head)
        return ast_net.Predictor(posteriors=True, max_faces=None)


@pytest.fixture(scope="module")
def site(networks, tmp_path_factory):
    """A running server, and the folder of its uploads."""
    folder = tmp_path_factory.mktemp("uploads")
    page = server.application(networks, config.PageServer(max_upload=MAX_BYTES / 1e9), folder)
    running = uvicorn.Server(server.configuration(page))
    with server.listen(0) as listener:
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        yield Site(f"127.0.0.1:{listener.getsockname()[1]}", folder)
        running.should_exit = True
        thread.join()
    assert [*folder.iterdir()] == []


def connect(site, **options):
    options = {"origin": f"http://{site.address}", "compression": None} | options
    return client.connect(f"ws://{site.address}/live", **options)


def request(site, method="GET", path="/", body=None, **headers):
    """Returns the status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection(site.address)
    headers = {"Host": site.address, "Origin": f"http://{site.address}"} | headers
    headers = {name: value for name, value in headers.items() if value is not None}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def upload(site, body, **headers):
    status, _, text = request(site, "POST", "/recording?name=talk.mp4", body, **headers)
    return status, [json.loads(line) for line in text.splitlines()] if status == 200 else text


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return file.getvalue()


def ask(socket, time, picture):
    socket.send(struct.pack("<d", time) + picture)
    return json.loads(socket.recv())


def expected(networks, pictures):
    """The values that `Predictor.step` gives for the pictures, 25 a second."""
    own = networks.another()
    images = [np.asarray(Image.open(io.BytesIO(picture))) for picture in pictures]
    stepped = [own.step(image, number / 25) for number, image in enumerate(images)]
    return [[*f.values.values(), *f.posteriors.values()] for frame in stepped for f in frame.faces]


def values(answers):
    return [[*f["values"], *f["expressions"]] for answer in answers for f in answer["faces"]]


def test_each_page_has_its_own_states(site, networks, drifting_face):
    pictures = [jpeg(image) for image in drifting_face([True] * 6)]
    films = pictures[:4], pictures[:1:-1]
    with connect(site) as first, connect(site) as second:
        for socket in (first, second):
            greeting = json.loads(socket.recv())
            assert greeting["targets"] == ["valence", "arousal"] and "happy" in str(greeting)
        answers = [
            [ask(socket, number / 25, picture) for socket, picture in zip((first, second), pair)]
            for number, pair in enumerate(zip(*films))
        ]
        for film, of_film in zip(films, zip(*answers)):
            np.testing.assert_allclose(values(of_film), expected(networks, film), atol=1e-4)
        # After an empty message, the next picture is the first one of a recording.
        first.send(b"")
        again = ask(first, 0.0, films[1][0])
        np.testing.assert_allclose(values([again]), expected(networks, films[1][:1]), atol=1e-4)
    x, y, width, height = again["faces"][0]["box"]
    assert 0 < x < x + width < 320 and 0 < y < y + height < 240


def test_wrong_pictures_have_an_answer(site, drifting_face):
    [image] = drifting_face([True])
    large = jpeg(np.zeros((live.MAX_SIZE[1], live.MAX_SIZE[0] + 8, 3), np.uint8))
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    with connect(site) as socket:
        socket.recv()
        assert len(ask(socket, 1.0, jpeg(image))["faces"]) == 1
        for time, picture, message in (
            (2.0, large, "found a picture of 648x480, expected at most 640x480"),
            (2.0, b"", "JPEG"),
            (2.0, png.getvalue(), "JPEG"),
            (2.0, jpeg(image)[:800], "JPEG"),
            (1.0, jpeg(image), "the time 1.0 s after 1.0 s"),
            (float("nan"), jpeg(image), "the time nan s"),
        ):
            assert message in ask(socket, time, picture)["error"]
        assert len(ask(socket, 2.0, jpeg(image))["faces"]) == 1
        socket.send("text")  # is taken for an empty message
        assert len(ask(socket, 0.0, jpeg(image))["faces"]) == 1
        socket.send(bytes(live.MAX_BYTES + 1))
        with pytest.raises(exceptions.ConnectionClosedError, match="1009"):
            socket.recv()


@pytest.mark.parametrize(
    ("method", "path", "host", "origin", "status"),
    [
        ("GET", "/", "127.0.0.1:{port}", None, 200),
        ("GET", "/page.js", "localhost:{port}", "http://localhost:{port}", 200),
        ("GET", "/", "evil.example:{port}", None, 403),
        ("GET", "/", "127.0.0.1.evil.example", None, 403),
        ("GET", "/", "", None, 403),
        ("GET", "/", "127.0.0.1:{port}", "http://evil.example", 403),
        ("GET", "/", "127.0.0.1:{port}", "null", 403),
        ("POST", "/recording", "127.0.0.1:{port}", None, 403),
        ("POST", "/recording", "127.0.0.1:{port}", "http://127.0.0.1:1", 403),
        ("POST", "/recording", "127.0.0.1:{port}", "http://localhost:{port}", 403),
        ("POST", "/recording", "evil.example:{port}", "http://evil.example:{port}", 403),
        ("GET", "/../server.py", "127.0.0.1:{port}", None, 404),
        ("GET", "/recording", "127.0.0.1:{port}", None, 405),
    ],
)
def test_only_the_page_is_answered(site, method, path, host, origin, status):
    port = site.address.partition(":")[2]
    headers = {"Host": host.format(port=port), "Origin": origin and origin.format(port=port)}
    found, policy, _ = request(site, method, path, b"" if method == "POST" else None, **headers)
    assert found == status
    assert policy["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert policy["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not {name for name in policy if name.startswith("Access-Control")}


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://localhost:1", "null"])
def test_other_origins_get_no_websocket(site, origin):
    with pytest.raises(exceptions.InvalidStatus, match="403"), connect(site, origin=origin):
        pass


def test_the_page_is_complete_and_calls_nobody():
    texts = {path.name: path.read_text(encoding="utf-8") for path in server.ASSETS.iterdir()}
    page = texts["page.html"]
    used = re.findall(r'(?:src|href)="/([^"]+)"', page) + re.findall(
        r'from "./([^"]+)"', str(texts)
    )
    assert {"page.css", "page.js", "drawing.js", "icon.svg"} == set(used)
    for name, text in texts.items():
        text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        addresses = re.findall(r"(?:https?:|wss?:|[\"'(])//[^\s\"')]*", text)
        assert [a for a in addresses if a != "ws://${location.host}/live`"] == [], name
        assert not re.search(r"@import|\burl\(|\beval\b", text), name
    # The policy would not let the browser run them.
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script>", page)


def test_the_answer_to_a_video_is_the_verbs(site, networks, face_video):
    status, lines = upload(site, face_video.read_bytes())
    assert (status, lines[0]) == (200, {"total": 20})
    answered = [frame for line in lines for frame in line.get("frames", ())]
    table = networks.predict(face_video)
    written = pandas.read_csv(io.StringIO(lines[-1]["table"]))
    pandas.testing.assert_frame_equal(written, table, check_dtype=False)
    columns = ["valence", "arousal", *(name for name in table if name.startswith("p_"))]
    np.testing.assert_allclose(values(answered), table[columns], atol=1e-4)
    assert Image.open(io.BytesIO(base64.b64decode(lines[-1]["figure"]))).format == "PNG"


def test_every_fifth_frame(networks, face_video, tmp_path):
    stages = networks.stages(every=5)
    page = uploads.Uploads(stages, tmp_path, MAX_BYTES)
    visitor = Visitor(face_video.read_bytes())
    anyio.run(visitor.visit, page)
    lines = [json.loads(line) for line in visitor.text.splitlines()]
    assert lines[0] == {"total": 4}
    table = pandas.read_csv(io.StringIO(lines[-1]["table"]))
    assert table["frame"].tolist() == [0, 5, 10, 15]


@pytest.mark.parametrize("content", [b"", b"no video", bytes(1000)])
def test_what_is_not_a_video_has_a_reason_and_is_deleted(site, content):
    status, [answer] = upload(site, content)
    assert status == 200 and answer["error"].startswith("talk.mp4: ")
    assert str(site.folder) not in answer["error"]


class Stages:
    """Predicts for ever; counts how often it was closed."""

    targets, expressions, time_step = ("valence", "arousal"), (), 0.4
    closed = 0

    def frame_count(self, source):
        return source.frame_count

    def predict_source(self, _):
        try:
            for index in itertools.count():
                yield frames.FramePrediction(index, index / 25, [])
        finally:
            self.closed += 1


class Visitor:
    """Uploads a video, whole or in part, reads the answer, and goes away when it is told to."""

    def __init__(self, video, whole=True):
        self.parts = [{"type": "http.request", "body": video, "more_body": not whole}]
        self.status, self.text, self.gone = None, b"", anyio.Event()

    async def receive(self):
        if self.parts:
            return self.parts.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"")

    async def visit(self, page, *headers):
        scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b""}
        await page(scope, self.receive, self.send)


async def until(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"101")]])
def test_large_videos_are_refused_and_deleted(headers, tmp_path):
    async def visit():
        visitor = Visitor(bytes(1 if headers else 101), whole=False)
        await visitor.visit(uploads.Uploads(Stages(), tmp_path, 100), *headers)
        assert (visitor.status, visitor.text) == (413, b"found a video of more than 100 bytes")

    anyio.run(visit)
    assert [*tmp_path.iterdir()] == []


def test_an_upload_is_deleted_when_the_page_goes(face_video, tmp_path):
    async def leave():
        visitor = Visitor(face_video.read_bytes(), whole=False)
        async with anyio.create_task_group() as group:
            group.start_soon(visitor.visit, uploads.Uploads(Stages(), tmp_path, MAX_BYTES))
            await until(lambda: any(path.stat().st_size for path in tmp_path.rglob("video")))
            visitor.gone.set()
        assert visitor.text == b""

    anyio.run(leave)
    assert [*tmp_path.iterdir()] == []


def test_videos_take_turns_and_are_deleted_when_their_page_goes(face_video, tmp_path):
    stages = Stages()

    async def leave():
        page = uploads.Uploads(stages, tmp_path, MAX_BYTES)
        first, second = (Visitor(face_video.read_bytes()) for _ in range(2))
        async with anyio.create_task_group() as group:
            group.start_soon(first.visit, page)
            await until(lambda: b"frames" in first.text)
            group.start_soon(second.visit, page)
            await until(lambda: second.text)
            assert (second.text, stages.closed) == (b'{"waiting":true}\n', 0)
            assert len([*tmp_path.rglob("video")]) == 2
            first.gone.set()
            await until(lambda: b"frames" in second.text)
            assert stages.closed == 1 and len([*tmp_path.rglob("video")]) == 1
            second.gone.set()

    anyio.run(leave)
    assert stages.closed == 2 and [*tmp_path.iterdir()] == []


def test_a_port_in_use_has_a_message():
    with server.listen(0) as listener, pytest.raises(errors.InputError, match="cannot use"):
        server.listen(listener.getsockname()[1])


def test_the_verb_serves_this_machine_only(networks, monkeypatch):
    served = []
    monkeypatch.setattr(
        uvicorn.Server, "run", lambda _, sockets: served.append(sockets[0].getsockname())
    )
    monkeypatch.setattr(ast_net.prediction.predictor, "Predictor", lambda **_: networks)
    opened = []
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    monkeypatch.setattr(server.window, "has_screen", lambda: True)
    done = call("app", "--port=0")
    [(host, port)] = served
    assert (done.ended, host, opened) == (0, "127.0.0.1", [f"http://127.0.0.1:{port}"])
    assert f"the page is at http://127.0.0.1:{port}; Ctrl-C ends it" in done.said


def test_missing_packages_have_a_message(monkeypatch):
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    done = call("app")
    assert "needs starlette, uvicorn, websockets, not installed here: pip install" in done.ended

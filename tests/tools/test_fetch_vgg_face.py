import hashlib
import http.server
import threading
import typing

import fetch_vgg_face
import pytest

from ast_net import errors
from ast_net.cnn import vgg16


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(vgg16, "BLOCKS", ((2, 2), (2, 2), (2, 3), (2, 3), (2, 3)))


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "made.weights.h5"
    vgg16.build_vgg16().save_weights(path)
    return path.read_bytes()


@pytest.fixture
def server(content):
    """Serves the content, also ranges of it; `breaks_after` truncates the next answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        breaks_after = None
        ranges: typing.ClassVar[list] = []

        def do_GET(self):
            requested = self.headers.get("Range")
            Handler.ranges.append(requested)
            first = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
            if self.path != "/vgg.weights.h5":
                self.send_error(404)
                return
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if requested else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            self.wfile.write(content[first : first + (Handler.breaks_after or len(content))])
            Handler.breaks_after = None

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.ranges = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}/vgg.weights.h5"
        yield server
        server.shutdown()
        thread.join()


def test_continues_a_broken_download(server, content, tmp_path):
    source = fetch_vgg_face.Source(server.url, 1, hashlib.md5(content).hexdigest())
    server.RequestHandlerClass.breaks_after = 1000
    with pytest.raises(errors.InputError, match="Call this again to continue the download"):
        fetch_vgg_face.fetch(source, tmp_path / "w")
    assert (tmp_path / "w" / "part.vgg.weights.h5").stat().st_size == 1000
    path = fetch_vgg_face.fetch(source, tmp_path / "w")
    assert server.RequestHandlerClass.ranges == [None, "bytes=1000-"]
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["vgg.weights.h5"]
    # The file exists now: it is checked, and not downloaded again.
    assert fetch_vgg_face.fetch(source, tmp_path / "w") == path
    assert len(server.RequestHandlerClass.ranges) == 2


def test_a_complete_part_is_only_checked(server, content, tmp_path):
    (tmp_path / "part.vgg.weights.h5").write_bytes(content)
    path = fetch_vgg_face.fetch(fetch_vgg_face.Source(server.url, 1), tmp_path)
    assert path.read_bytes() == content


def test_refuses_another_file(server, content, tmp_path):
    (tmp_path / "part.vgg.weights.h5").write_bytes(b"x" * len(content))
    with pytest.raises(errors.InputError, match="neither an HDF5 nor a MATLAB file"):
        fetch_vgg_face.fetch(fetch_vgg_face.Source(server.url, 1), tmp_path)
    assert not (tmp_path / "part.vgg.weights.h5").exists()
    with pytest.raises(errors.InputError, match="its MD5 is .* expected 0123"):
        fetch_vgg_face.fetch(fetch_vgg_face.Source(server.url, 1, "0123"), tmp_path)
    assert not (tmp_path / "vgg.weights.h5").exists()


def test_says_what_to_do_without_internet(server, tmp_path):
    gone = server.url.replace("vgg.weights.h5", "gone.h5")
    with pytest.raises(
        errors.InputError, match=r"404.*\n.*on another machine, copy it to .*gone.h5"
    ):
        fetch_vgg_face.fetch(fetch_vgg_face.Source(gone, 7), tmp_path)

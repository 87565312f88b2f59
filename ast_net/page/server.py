"""Serves the page on this machine only: its files, live predictions, and uploaded recordings."""

import contextlib
import pathlib
import socket
import tempfile
import webbrowser

import cv2
import numpy as np
import uvicorn
from absl import logging
from starlette import applications, requests, responses, routing, websockets
from starlette.types import ASGIApp

from ast_net import config, errors, files
from ast_net.demo import synthetic_face
from ast_net.page import access, answers, live, uploads
from ast_net.prediction import predictor, window

_ADDRESS = "127.0.0.1"
ASSETS = pathlib.Path(__file__).parent / "assets"
_GIGABYTE = 10**9
# How long predictions may go on after Ctrl-C, in seconds.
_SHUTDOWN_SECONDS = 2


def listen(port: int) -> socket.socket:
    """Opens the port on this machine, to which other machines cannot connect.

    Raises:
      InputError: another program uses the port.
    """
    try:
        return socket.create_server((_ADDRESS, port))
    except OSError as error:
        raise errors.InputError(
            f"`port`: cannot use {port} ({error.strerror}); the page may be open already at "
            f"http://{_ADDRESS}:{port}; otherwise give another port, or `port=0` for any"
        ) from error


def serve(
    listener: socket.socket, networks: predictor.Predictor, settings: config.PageServer
) -> None:
    """Serves the page until Ctrl-C is pressed.

    Videos lie in a temporary folder while they are predicted. What a killed process left there is
    deleted first.

    Args:
      listener: from `listen`.
      networks: predicts.
      settings: the largest upload, and whether to open a browser.
    """
    with files.temporary_folder(tempfile.gettempdir()) as folder:
        server = uvicorn.Server(configuration(application(networks, settings, folder)))
        _warm_up(networks)
        address = f"http://{_ADDRESS}:{listener.getsockname()[1]}"
        logging.info(f"the page is at {address}; Ctrl-C ends it")
        # Without a screen, a browser for the terminal would be opened.
        if settings.browser and window.has_screen():
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])


def configuration(page: ASGIApp) -> uvicorn.Config:
    """Returns how the server runs."""
    return uvicorn.Config(
        page,
        ws_max_size=live.MAX_BYTES,
        # A picture is compressed already.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def application(
    networks: predictor.Predictor, settings: config.PageServer, folder: pathlib.Path
) -> ASGIApp:
    """Returns the page's application.

    Args:
      networks: predicts; each page gets its own states.
      settings: the largest upload.
      folder: for uploads while they are predicted.
    """
    stages, max_bytes = networks.stages(), round(settings.max_upload * _GIGABYTE)
    greeting = answers.of_model(stages)
    greeting |= {"max_bytes": max_bytes, "max_size": live.MAX_SIZE}

    async def predict_live(page: websockets.WebSocket) -> None:
        await live.predict(page, networks, greeting)

    routes = [
        routing.Route("/", _send_page),
        routing.WebSocketRoute("/live", predict_live),
        routing.Route("/recording", uploads.Uploads(stages, folder, max_bytes), methods=["POST"]),
        *(routing.Route(f"/{path.name}", _send_asset) for path in ASSETS.iterdir()),
    ]
    return access.OnlyThePage(applications.Starlette(routes=routes))


async def _send_page(_: requests.Request) -> responses.Response:
    return responses.FileResponse(ASSETS / "page.html")


async def _send_asset(request: requests.Request) -> responses.Response:
    return responses.FileResponse(ASSETS / request.url.path.lstrip("/"))


def _warm_up(networks: predictor.Predictor) -> None:
    """Predicts a face twice: TensorFlow's first call takes seconds, which the first user would."""
    own = networks.another()
    portrait = np.asarray(cv2.imread(str(synthetic_face.PORTRAIT), cv2.IMREAD_COLOR_RGB))
    for time in (0.0, 1.0):
        own.step(portrait, time)

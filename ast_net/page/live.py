"""Predicts the pictures that a page sends through its WebSocket, each page with its own states."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image
from starlette import concurrency, websockets

from ast_net import errors, files
from ast_net.page import answers
from ast_net.prediction import predictor

# Width and height of the largest picture, in pixels; the page makes its camera's smaller.
MAX_SIZE = (640, 480)
# Before a picture's JPEG file: its time in seconds.
_TIME = struct.Struct("<d")
# Far more than such a picture has.
MAX_BYTES = 2**20


async def predict(
    socket: websockets.WebSocket, networks: predictor.Predictor, greeting: dict[str, Any]
) -> None:
    """Answers each picture with its predictions, until the page is closed.

    An empty message begins another recording: states and faces are forgotten.

    Args:
      socket: the page's connection.
      networks: whose networks are used; the connection gets its own states.
      greeting: is sent first.
    """
    own = networks.another()
    await socket.accept()
    try:
        await socket.send_json(greeting)
        while (message := await socket.receive())["type"] == "websocket.receive":
            picture = message.get("bytes")
            if picture:
                await socket.send_json(await concurrency.run_in_threadpool(_answer, own, picture))
            else:
                own.reset()
    except websockets.WebSocketDisconnect:
        pass  # The page was closed before its answer came.


def _answer(own: predictor.Predictor, message: bytes) -> dict[str, Any]:
    try:
        image, time = _picture(message)
        return answers.of_frame(own.step(image, time))
    except errors.InputError as error:
        return {"error": str(error)}


def _picture(message: bytes) -> tuple[np.ndarray, float]:
    """Returns the picture in a message, uint8 RGB [H, W, 3], and its time in seconds.

    Raises:
      InputError: the message is not a picture of at most MAX_SIZE.
    """
    with files.reading("message", "a time and a JPEG picture", "send 8 bytes and the file"):
        (time,) = _TIME.unpack_from(message)
        # This reads the header only: a small file may hold a picture that fills the memory.
        picture = Image.open(io.BytesIO(message[_TIME.size :]), formats=["JPEG"])
    if picture.width > MAX_SIZE[0] or picture.height > MAX_SIZE[1]:
        raise errors.InputError(
            f"found a picture of {picture.width}x{picture.height}, expected at most "
            f"{MAX_SIZE[0]}x{MAX_SIZE[1]}"
        )
    with files.reading("message", "a JPEG picture", "send it again"):
        return np.asarray(picture.convert("RGB")), time

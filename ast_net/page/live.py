"""Predicts the pictures that a page sends through its WebSocket, each page with its own states."""

import struct
from typing import Any

import cv2
import numpy as np
from starlette import concurrency, websockets

from ast_net import errors
from ast_net.page import answers
from ast_net.prediction import predictor

# Width and height of the largest picture, in pixels; the page makes its camera's smaller.
MAX_SIZE = (640, 480)
# Before a picture's pixels: its time in seconds, width, and height.
_HEADER = struct.Struct("<dII")
# Bytes of a pixel: red, green, blue, opacity, as a canvas has them.
_CHANNELS = 4
MAX_BYTES = _HEADER.size + _CHANNELS * MAX_SIZE[0] * MAX_SIZE[1]


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
    time, width, height = _HEADER.unpack_from(message.ljust(_HEADER.size, b"\0"))
    pixels = np.frombuffer(message, np.uint8, offset=min(_HEADER.size, len(message)))
    fits = 0 < width <= MAX_SIZE[0] and 0 < height <= MAX_SIZE[1]
    if not fits or pixels.size != _CHANNELS * width * height:
        raise errors.InputError(
            f"found a picture of {width}x{height} with {pixels.size} bytes, expected at most "
            f"{MAX_SIZE[0]}x{MAX_SIZE[1]} with {_CHANNELS} bytes a pixel"
        )
    return cv2.cvtColor(pixels.reshape(height, width, _CHANNELS), cv2.COLOR_RGBA2RGB), time

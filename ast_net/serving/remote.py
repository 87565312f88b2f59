"""Predicts with a model on a server; the client keeps the states of the LSTM."""

import copy
import itertools
import random
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from ast_net import config, errors
from ast_net.serving import transports

# Frames of a request: 1.5 MB as PNG, within the 4 MB that gRPC allows where nobody asks for more.
MOST_FRAMES = 16
# Seconds before the second attempt; each further pause is twice as long, up to the second number.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_SIGNATURE = "step_jpeg"

_Answer = TypeVar("_Answer")


class Server:
    """A served model, in one version: a newer one would not understand the states of this one."""

    def __init__(
        self,
        transport: transports.Rest | transports.Grpc,
        timeout: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        """Args:
        transport: how to reach it.
        timeout: seconds that one attempt may take.
        patience: seconds after which no further attempt is made.

        Raises:
          InputError: there is no such server, model or version.
        """
        self._transport, self._timeout, self._patience = transport, timeout, patience
        self._version, self._signatures = self._persist(transport.metadata)

    @property
    def address(self) -> str:
        return self._transport.address

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """Returns the inputs and outputs of a signature.

        Raises:
          InputError: the model has none of this name.
        """
        if name not in self._signatures:
            raise errors.InputError(
                f"{self.address}: the model has no signature {name}, only "
                f"{', '.join(sorted(self._signatures))}: serve one that export has written with its "
                "CNN (`cnn=true`)"
            )
        return self._signatures[name]

    def predict(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name; asks again until they are there.

        Raises:
          InputError: the model has no such signature, refuses the inputs, or the server is away for
            longer than the patience lasts.
        """
        names = set(self.signature(signature).outputs)
        found = self._persist(
            lambda timeout: self._transport.predict(signature, inputs, self._version, timeout)
        )
        if len(names) == 1 and set(found) == {""}:
            found = {names.pop(): found[""]}
        elif set(found) != names:
            raise errors.InputError(
                f"{self.address}: {signature} answers with {sorted(found)}, expected "
                f"{sorted(names)}"
            )
        return found

    def stride(self, frame_rate: float) -> int:
        """Returns the model's stride at this frame rate, as `ModelSpec.stride_at`."""
        rates = np.array([frame_rate], np.float32)
        return int(self.predict("stride", frame_rate=rates)["stride"][0])

    def _persist(self, attempt: Callable[[float], _Answer]) -> _Answer:
        start = time.monotonic()
        for number in itertools.count():
            try:
                return attempt(self._timeout)
            except transports.Unavailable as error:
                # Clients that lost the same server do not come back all at once.
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number) * random.uniform(0.5, 1.0)
                waited = time.monotonic() - start
                if waited + pause > self._patience:
                    raise errors.InputError(
                        f"{self.address}: no answer in {waited:.1f} s and {number + 1} attempts, "
                        f"the last one: {error}; check that the server runs and is reached from "
                        "here, or wait longer (`patience=SECONDS`)"
                    ) from error
                time.sleep(pause)
        raise AssertionError("unreachable")


class RemotePredictor:
    """Predicts faces, as `streaming.StreamingPredictor` does features, by a server's networks.

    Consecutive frames belong to different phases, so that up to `stride` of them are one request.
    States are replaced when the answer is there: however often a request is sent, each frame counts
    once.
    """

    def __init__(self, server: Server, stride: int, jpeg_quality: int | None = None) -> None:
        """Args:
        server: with the model.
        stride: S, frames between two frames that the LSTM sees in succession.
        jpeg_quality: from 1 to 100, to send faces as JPEG; None for PNG, five times as large,
          without loss.

        Raises:
          InputError: the model has no signature for that.
        """
        self._server, self._stride = server, stride
        self._encoding: tuple[str, list[int]] = (".png", [])
        if jpeg_quality is not None:
            self._encoding = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
        known = server.signature(_SIGNATURE)
        self._state_sizes = {
            name: tensor.tensor_shape.dim[-1].size
            for name, tensor in known.inputs.items()
            if name in known.outputs
        }
        others = set(known.outputs) - set(self._state_sizes)
        self.targets = tuple(name for name in config.ALL_TARGETS if name in others)
        self._reset()

    def another(self, stride: int | None = None) -> "RemotePredictor":
        """Returns a predictor for another face or, with a stride, another recording."""
        result = copy.copy(self)
        result._stride = stride or self._stride
        result._reset()
        return result

    def _reset(self) -> None:
        self._frames = 0
        self._states = {
            name: np.zeros((self._stride, size), np.float32)
            for name, size in self._state_sizes.items()
        }

    def skip(self, frames: int) -> None:
        """Passes over frames without a face: all states stay as they are."""
        self._frames += frames

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Predicts the recording's next faces, uint8 RGB [T, 224, 224, 3] -> float32 [T, D].

        Raises:
          InputError: as of `Server.predict`.
        """
        most = min(self._stride, MOST_FRAMES)
        parts = [self._step(faces[first : first + most]) for first in range(0, len(faces), most)]
        return np.concatenate(parts)

    def _step(self, faces: np.ndarray) -> np.ndarray:
        phases = (self._frames + np.arange(len(faces))) % self._stride
        given = {name: state[phases] for name, state in self._states.items()}
        found = self._server.predict(_SIGNATURE, jpeg=self._encoded(faces), **given)
        shapes = {name: state[phases].shape for name, state in self._states.items()}
        shapes |= dict.fromkeys(self.targets, (len(faces),))
        for name, shape in shapes.items():
            if found[name].shape != shape or not np.isfinite(found[name]).all():
                raise errors.InputError(
                    f"{self._server.address}: {name} has shape {found[name].shape}, or numbers "
                    f"that are not finite, expected finite numbers of shape {shape}"
                )
        for name, state in self._states.items():
            state[phases] = found[name]
        self._frames += len(faces)
        return np.stack([found[name] for name in self.targets], axis=1).astype(np.float32)

    def _encoded(self, faces: np.ndarray) -> np.ndarray:
        kind, settings = self._encoding
        pictures = [cv2.imencode(kind, face[..., ::-1], settings)[1].tobytes() for face in faces]
        return np.array(pictures, object)

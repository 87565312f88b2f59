"""Predicts with a model on a server; the client keeps the LSTM's states."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from ast_net import config, errors
from ast_net.serving import transports
from ast_net.temporal import streaming

# Maximum number of frames in a request: 1.5 MB as PNG, within gRPC's default limit of 4 MB.
MAX_FRAMES = 16
# Pause before the second attempt, which doubles with each attempt, and its maximum, in seconds.
_FIRST_PAUSE, _MAX_PAUSE = 0.1, 5.0
_SIGNATURE = "step_jpeg"

_Answer = TypeVar("_Answer")


class Server:
    """One version of a model on a server."""

    def __init__(
        self, transport: transports.Transport, timeout: float = 10.0, patience: float = 60.0
    ) -> None:
        """Args:
        transport: how to reach the server.
        timeout: time that one attempt may take, in seconds.
        patience: time after which there is no further attempt, in seconds.

        Raises:
          InputError: there is no such server, model or version.
        """
        self._transport, self._timeout, self._patience = transport, timeout, patience
        self.address = transport.address
        self._signatures = self._persist(transport.metadata)

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """Returns the inputs and outputs of a signature.

        Raises:
          InputError: the model has no such signature.
        """
        names = sorted(self._signatures)
        if name not in names:
            raise errors.InputError(
                f"{self.address}: the model has no signature {name}, only {', '.join(names)}: "
                "export it with its CNN (`cnn=true`), and serve that"
            )
        return self._signatures[name]

    def predict(self, signature: str, **inputs: np.ndarray) -> transports.Arrays:
        """Returns the outputs of a signature by name; tries again while the server is unavailable.

        Raises:
          InputError: the model has no such signature, the server refuses the inputs, or it is
            unavailable for longer than `patience`.
        """
        names = sorted(self.signature(signature).outputs)
        outputs = self._persist(lambda timeout: self._transport.predict(signature, inputs, timeout))
        if len(names) == 1 and set(outputs) == {""}:
            return {names[0]: outputs[""]}
        if sorted(outputs) != names:
            problem = f"{signature} returned {sorted(outputs)}, expected {names}"
            raise errors.InputError(f"{self.address}: {problem}: serve a model written by export")
        return outputs

    def _persist(self, attempt: Callable[[float], _Answer]) -> _Answer:
        """Calls `attempt` with the time-out until it succeeds."""
        start, attempts, pause = time.monotonic(), 0, _FIRST_PAUSE
        while True:
            try:
                return attempt(self._timeout)
            except transports.Unavailable as error:
                attempts, waited = attempts + 1, time.monotonic() - start
                if waited + pause > self._patience:
                    raise errors.InputError(
                        f"{self.address}: no answer in {waited:.1f} s and {attempts} attempts; the "
                        f"last one failed with: {error}; check that the server runs and that this "
                        "machine can reach it, or wait longer (`patience=SECONDS`)"
                    ) from error
            # A random pause, so that the clients of a restarted server do not return all at once.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(_MAX_PAUSE, 2 * pause)


class RemotePredictor(streaming.StreamingPredictor):
    """Predicts aligned faces by a server's networks; the LSTM's states are kept here.

    Frames that do not continue from each other go into one request; at a constant frame rate these
    are the frames of one time step. The states change only when the answer has arrived, so each
    frame counts once, however often its request is sent.

    Attributes:
      targets: names of the D predicted targets.
      time_step: time step of the model, in seconds.
    """

    def __init__(self, server: Server, jpeg_quality: int | None = None) -> None:
        """Args:
        server: the served model.
        jpeg_quality: quality from 1 to 100, to send faces as JPEG; None for PNG, which is lossless
          and five times as large.

        Raises:
          InputError: the model lacks a signature that this needs; also as in `Server.predict`.
        """
        self._server, self._jpeg_quality = server, jpeg_quality
        signature = server.signature(_SIGNATURE)
        inputs, outputs = signature.inputs, signature.outputs
        states = set(inputs).intersection(outputs)
        self._state_sizes = {name: inputs[name].tensor_shape.dim[-1].size for name in states}
        self.targets = tuple(name for name in config.ALL_TARGETS if name in outputs)
        timing = server.predict("timing", target=np.array(self.targets, object))
        self.time_step = self._time_step = float(timing["time_step"].flat[0])
        if not 0 < self.time_step < np.inf:
            raise errors.InputError(
                f"{server.address}: the model's time step is {self.time_step} s, expected more "
                "than 0: serve a model written by export"
            )
        self._clip_seconds = np.inf
        self.reset()

    def predict(self, faces: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Predicts the recording's next faces.

        Args:
          faces: uint8 RGB [T, 224, 224, 3]; all zeros where there is no face.
          times: seconds [T], strictly increasing, after those of earlier calls.

        Returns:
          float32 [T, D].

        Raises:
          InputError: as in `Server.predict`.
        """
        previous = self._history.predecessors(times)
        parts, first = [], 0
        while first < len(faces):
            # As many frames as do not continue from each other, so that one step predicts them all.
            count = min(self._history.independent(previous[first:]), MAX_FRAMES)
            batch = slice(first, first + count)
            parts.append(self._step(faces[batch], times[batch], previous[batch]))
            first += count
        return np.concatenate(parts)

    def _step(self, faces: np.ndarray, times: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """Predicts frames that do not continue from each other, by one request."""
        states = self._history.states(previous)
        outputs = self._server.predict(_SIGNATURE, jpeg=self._encoded(faces), **states)
        for name, values in outputs.items():
            shape = states[name].shape if name in states else (len(faces),)
            if values.shape != shape or not np.isfinite(values).all():
                raise errors.InputError(
                    f"{self._server.address}: the answer's {name} has shape {values.shape}, or "
                    f"numbers that are not finite; expected finite numbers of shape {shape}: serve "
                    "a model written by export"
                )
        self._history.append(times, {name: outputs[name].astype(np.float32) for name in states})
        return np.stack([outputs[name] for name in self.targets], axis=1).astype(np.float32)

    def _encoded(self, faces: np.ndarray) -> np.ndarray:
        """Encodes faces [T, 224, 224, 3] as T strings; an empty one if there is no face."""
        suffix, options = ".png", []
        if self._jpeg_quality is not None:
            suffix, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality]
        pictures = [
            cv2.imencode(suffix, face[..., ::-1], options)[1].tobytes() if face.any() else b""
            for face in faces
        ]
        return np.array(pictures, object)

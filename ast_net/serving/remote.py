"""Predicts with a model on a server; the client keeps the states of the LSTM."""

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

# Frames of a request: 1.5 MB as PNG, within the 4 MB that gRPC allows where nobody asks for more.
MOST_FRAMES = 16
# Seconds before the second attempt; each further pause is twice as long, up to the second number.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_SIGNATURE = "step_jpeg"

_Answer = TypeVar("_Answer")


class Server:
    """A served model, in one version."""

    def __init__(
        self, transport: transports.Transport, timeout: float = 10.0, patience: float = 60.0
    ) -> None:
        """Args:
        transport: how to reach it.
        timeout: seconds that one attempt may take.
        patience: seconds after which no further attempt is made.

        Raises:
          InputError: there is no such server, model or version.
        """
        self._transport, self._timeout, self._patience = transport, timeout, patience
        self.address = transport.address
        self._signatures = self._persist(transport.metadata)

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """Returns the inputs and outputs of a signature.

        Raises:
          InputError: the model has none of this name.
        """
        names = sorted(self._signatures)
        if name not in names:
            raise errors.InputError(
                f"{self.address}: the model has no signature {name}, only {', '.join(names)}: "
                "serve one that export has written with its CNN (`cnn=true`)"
            )
        return self._signatures[name]

    def predict(self, signature: str, **inputs: np.ndarray) -> transports.Arrays:
        """Returns the outputs of a signature by name; asks again until they are there.

        Raises:
          InputError: the model has no such signature, refuses the inputs, or the server is away for
            longer than the patience lasts.
        """
        names = sorted(self.signature(signature).outputs)
        outputs = self._persist(lambda timeout: self._transport.predict(signature, inputs, timeout))
        if len(names) == 1 and set(outputs) == {""}:
            return {names[0]: outputs[""]}
        if sorted(outputs) != names:
            answer = f"{signature} answers with {sorted(outputs)}, expected {names}"
            raise errors.InputError(f"{self.address}: {answer}: serve what export has written")
        return outputs

    def _persist(self, attempt: Callable[[float], _Answer]) -> _Answer:
        start, attempts, pause = time.monotonic(), 0, _FIRST_PAUSE
        while True:
            try:
                return attempt(self._timeout)
            except transports.Unavailable as error:
                attempts, waited = attempts + 1, time.monotonic() - start
                if waited + pause > self._patience:
                    raise errors.InputError(
                        f"{self.address}: no answer in {waited:.1f} s and {attempts} attempts, the "
                        f"last one: {error}; check that the server runs and is reached from here, "
                        "or wait longer (`patience=SECONDS`)"
                    ) from error
            # Clients that lost the same server do not come back all at once.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(_LONGEST_PAUSE, 2 * pause)


class RemotePredictor(streaming.StreamingPredictor):
    """Predicts faces, not features, by a server's networks; the LSTM's states are kept here.

    Frames that do not continue from each other are one request: at a constant frame rate as many as
    last one time step. States are replaced when the answer is there: however often a request is
    sent, each frame counts once.

    Attributes:
      targets: what the model predicts, the D columns.
      time_step: of the model, seconds.
    """

    def __init__(self, server: Server, jpeg_quality: int | None = None) -> None:
        """Args:
        server: with the model.
        jpeg_quality: from 1 to 100, to send faces as JPEG; None for PNG, five times as large,
          without loss.

        Raises:
          InputError: the model has no signatures for that, or as of `Server.predict`.
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
                "than 0: serve what export has written"
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
          InputError: as of `Server.predict`.
        """
        previous = self._history.predecessors(times)
        parts, first = [], 0
        while first < len(faces):
            count = min(self._history.independent(previous[first:]), MOST_FRAMES)
            run = slice(first, first + count)
            parts.append(self._step(faces[run], times[run], previous[run]))
            first += count
        return np.concatenate(parts)

    def _step(self, faces: np.ndarray, times: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """Predicts frames of which none continues from another one."""
        states = self._history.states(previous)
        outputs = self._server.predict(_SIGNATURE, jpeg=self._encoded(faces), **states)
        for name, values in outputs.items():
            shape = states[name].shape if name in states else (len(faces),)
            if values.shape != shape or not np.isfinite(values).all():
                raise errors.InputError(
                    f"{self._server.address}: {name} has shape {values.shape}, or numbers that are "
                    f"not finite, expected finite numbers of shape {shape}"
                )
        self._history.append(times, {name: outputs[name].astype(np.float32) for name in states})
        return np.stack([outputs[name] for name in self.targets], axis=1).astype(np.float32)

    def _encoded(self, faces: np.ndarray) -> np.ndarray:
        kind, quality = ".png", []
        if self._jpeg_quality is not None:
            kind, quality = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality]
        pictures = [
            cv2.imencode(kind, face[..., ::-1], quality)[1].tobytes() if face.any() else b""
            for face in faces
        ]
        return np.array(pictures, object)

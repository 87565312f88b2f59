"""Predicts with a model on a server; the client keeps the LSTM's states."""

import random
import time
from collections.abc import Callable, Generator, Sequence
from typing import Self, TypeVar

import cv2
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from ast_net import config, errors
from ast_net.serving import encoded_faces, joint_requests, transports
from ast_net.temporal import streaming

# Maximum number of faces in a request: 1.5 MB as PNG, within gRPC's default limit of 4 MB. The
# server computes as many at a time, so more would not be faster.
MAX_FACES = 16
# Pause before the second attempt, which doubles with each attempt, and its maximum, in seconds.
_FIRST_PAUSE, _MAX_PAUSE = 0.1, 5.0
_STEP = "step_jpeg"

_Answer = TypeVar("_Answer")


class Server:
    """One version of a model on a server; may be used in several threads."""

    def __init__(
        self,
        transport: transports.Transport,
        timeout: float = 10.0,
        patience: float = 60.0,
        at_once: int = 2,
    ) -> None:
        """Args:
        transport: how to reach the server.
        timeout: time that one attempt may take, in seconds.
        patience: time after which there is no further attempt, in seconds.
        at_once: maximum number of requests of `step` that are on their way at the same time.

        Raises:
          InputError: there is no such server, model or version.
        """
        self._transport, self._timeout, self._patience = transport, timeout, patience
        self.address = transport.address
        self._signatures = self._persist(transport.metadata)
        self._joint = joint_requests.JointRequests(
            lambda inputs: self.predict(_STEP, **inputs), MAX_FACES, at_once
        )

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

    def step(self, parts: Sequence[transports.Arrays]) -> list[transports.Arrays]:
        """Returns the outputs of `step_jpeg` for the inputs of several faces or recordings.

        What several threads ask for at the same time goes into one request, and so do the parts of
        one call (`joint_requests.JointRequests`).

        Raises:
          InputError: as in `predict`, for the first part that fails.
        """
        return self._joint.predict(parts)

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

    Each face, and each recording, needs a predictor of its own (`another`). Frames that do not
    continue from each other go into one request; at a constant frame rate these are the frames of
    one time step. So do the frames of several faces (`predict_together`), and those that several
    threads predict at the same time with the same `Server`.

    The states change only when the answer has arrived, so each frame counts once, however often its
    request is sent.

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
        signature = server.signature(_STEP)
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
          ValueError: the faces have another shape or type, or there are none.
          InputError: as in `Server.predict`.
        """
        return self.predict_together([self], [faces], [times])[0]

    @classmethod
    def predict_together(
        cls,
        predictors: Sequence[Self],
        faces: Sequence[np.ndarray],
        times: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """Does the same for the next frames of several faces, in as few requests as possible.

        Args:
          predictors: one for each face, all of the same server.
          faces: those of each face, [T, 224, 224, 3] as in `predict`; T may differ.
          times: seconds [T] for each face.

        Returns:
          For each face, float32 [T, D].
        """
        results: dict[int, np.ndarray] = {}
        steps = [p._steps(f, t) for p, f, t in zip(predictors, faces, times, strict=True)]
        asked = {number: next(step) for number, step in enumerate(steps)}
        while asked:
            answers = predictors[0]._server.step(list(asked.values()))
            for number, answer in zip(list(asked), answers, strict=True):
                try:
                    asked[number] = steps[number].send(answer)
                except StopIteration as end:
                    results[number] = end.value
                    del asked[number]
        return [results[number] for number in range(len(steps))]

    def _steps(
        self, faces: np.ndarray, times: np.ndarray
    ) -> Generator[transports.Arrays, transports.Arrays, np.ndarray]:
        """Yields the inputs of one request after the other, and is sent its outputs.

        Returns:
          The predictions, float32 [T, D].
        """
        shape = (len(times), *encoded_faces.FACE)
        if faces.dtype != np.uint8 or faces.shape != shape or not len(times):
            raise ValueError(
                f"expected uint8 faces [T, 224, 224, 3] at T = {len(times)} times, "
                f"found {faces.dtype} {faces.shape}"
            )
        previous = self._history.predecessors(times)
        parts, first = [], 0
        while first < len(faces):
            # As many frames as do not continue from each other, so that one step predicts them all.
            count = min(self._history.independent(previous[first:]), MAX_FACES)
            batch = slice(first, first + count)
            states = self._history.states(previous[batch])
            outputs = yield {"jpeg": self._encoded(faces[batch]), **states}
            parts.append(self._accept(outputs, states, times[batch]))
            first += count
        return np.concatenate(parts)

    def _accept(
        self, outputs: transports.Arrays, states: transports.Arrays, times: np.ndarray
    ) -> np.ndarray:
        """Checks the answer to a request and keeps its states; returns the predictions [T, D]."""
        for name, values in outputs.items():
            shape = states[name].shape if name in states else times.shape
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

"""How a client talks to TensorFlow Serving: by REST or by gRPC; one request, one answer.

A transport has `address`, for people, and two methods, each with a time-out in seconds:
- metadata(timeout): the model's version and its signatures by name.
- predict(signature, inputs, version, timeout): the outputs of a signature by name.

They raise Unavailable where a later attempt may succeed, and InputError where none will.
"""

import base64
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2

from ast_net import errors

Signatures = Mapping[str, meta_graph_pb2.SignatureDef]

# Too many requests, and a proxy's answers while the server is away, starting or silent.
_PASSING_STATUS = {429, 502, 503, 504}
# Characters of a server's message that an error shows.
_LONGEST_MESSAGE = 500


class Unavailable(Exception):
    """There was no answer, or none that is final: the same request may be sent again."""


class Rest:
    """REST with JSON (https://www.tensorflow.org/tfx/serving/api_rest), in its column format."""

    def __init__(self, url: str) -> None:
        """Args:
        url: http://HOST:PORT/v1/models/NAME, or with /versions/NUMBER after it.

        Raises:
          InputError: it is not of this form.
        """
        found = re.fullmatch(r"(https?://[^/]+.*/v1/models/[^/:]+)(?:/versions/(\d+))?/?", url)
        if found is None:
            raise errors.InputError(
                f"{url}: expected an address such as http://localhost:8501/v1/models/ast_net, or "
                "with /versions/1 after it"
            )
        self.address = url
        self._model, version = found.groups()
        self._version = None if version is None else int(version)

    def metadata(self, timeout: float) -> tuple[int, Signatures]:
        answer = self._ask(f"{self._place(self._version)}/metadata", None, timeout)
        try:
            version = int(answer["model_spec"]["version"])
            found = answer["metadata"]["signature_def"]["signature_def"]
            signatures = {
                name: json_format.ParseDict(
                    value, meta_graph_pb2.SignatureDef(), ignore_unknown_fields=True
                )
                for name, value in found.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError, json_format.ParseError) as error:
            raise _no_server(self.address, answer) from error
        return version, signatures

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], version: int, timeout: float
    ) -> dict[str, np.ndarray]:
        columns = {name: _as_json(values) for name, values in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        answer = self._ask(f"{self._place(version)}:predict", body, timeout)
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise _no_server(self.address, answer)
        outputs = answer["outputs"]
        # One output alone comes without its name.
        named = outputs if isinstance(outputs, dict) else {"": outputs}
        return {name: np.array(values) for name, values in named.items()}

    def _place(self, version: int | None) -> str:
        return self._model if version is None else f"{self._model}/versions/{version}"

    def _ask(self, url: str, body: bytes | None, timeout: float) -> Any:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise self._refusal(error.code, _read(error)) from error
        # A server that is killed while it answers shows in any of these.
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(getattr(error, "reason", None) or repr(error)) from error
        try:
            return json.loads(text)
        except ValueError as error:
            raise _no_server(self.address, text) from error

    def _refusal(self, status: int, text: bytes) -> Exception:
        try:
            message = str(json.loads(text)["error"])
        except (ValueError, KeyError, TypeError):
            message = ""
        if status in _PASSING_STATUS:
            return Unavailable(f"HTTP {status} {message}".strip())
        if not message:
            return _no_server(self.address, f"HTTP {status}")
        return _refusal(self.address, message, missing=status == 404)


class Grpc:
    """gRPC's PredictionService; needs the package tensorflow-serving-api."""

    def __init__(self, target: str, model: str = "ast_net", version: int | None = None) -> None:
        """Args:
        target: HOST:PORT.
        model: its name on the server.
        version: of the model; None for the newest.

        Raises:
          InputError: the package is not installed.
        """
        try:
            import grpc
            from tensorflow_serving.apis import (
                get_model_metadata_pb2,
                predict_pb2,
                prediction_service_pb2_grpc,
            )
        except ImportError as error:
            raise errors.InputError(
                f"gRPC needs a package that is not installed ({error}): pip install "
                "'ast-net[serving]', or use REST"
            ) from error
        self.address = f"{target}, model {model}" + (f", version {version}" if version else "")
        self._grpc: Any = grpc
        self._metadata_pb2: Any = get_model_metadata_pb2
        self._predict_pb2: Any = predict_pb2
        self._model, self._version = model, version
        # gRPC itself would wait for up to two minutes before it tries again to connect.
        waits = {"min": 100, "initial": 100, "max": 1000}
        options = [(f"grpc.{name}_reconnect_backoff_ms", wait) for name, wait in waits.items()]
        channel = grpc.insecure_channel(target, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def metadata(self, timeout: float) -> tuple[int, Signatures]:
        request = self._metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._specify(request, self._version)
        answer = self._ask(self._stub.GetModelMetadata, request, timeout)
        signatures = self._metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return answer.model_spec.version.value, dict(signatures.signature_def)

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], version: int, timeout: float
    ) -> dict[str, np.ndarray]:
        request = self._predict_pb2.PredictRequest()
        self._specify(request, version)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        answer = self._ask(self._stub.Predict, request, timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def _specify(self, request: Any, version: int | None) -> None:
        request.model_spec.name = self._model
        if version is not None:
            request.model_spec.version.value = version

    def _ask(self, method: Any, request: Any, timeout: float) -> Any:
        codes = self._grpc.StatusCode
        try:
            return method(request, timeout)
        except self._grpc.RpcError as error:
            code, message = error.code(), error.details()
            # A queue that is full; a message that is too large will stay so.
            full = code == codes.RESOURCE_EXHAUSTED and "larger than max" not in message
            if full or code in (codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.ABORTED):
                raise Unavailable(f"{code.name} {message}") from error
            raise _refusal(self.address, message, missing=code == codes.NOT_FOUND) from error


def _as_json(values: np.ndarray) -> Any:
    """Nested lists; strings as TensorFlow Serving wants bytes."""
    if values.dtype != object:
        return values.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in values]


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _refusal(address: str, message: str, missing: bool) -> errors.InputError:
    message = message[:_LONGEST_MESSAGE]
    if missing:
        return errors.InputError(
            f"{address}: the server has no such model or version ({message}): give the name with "
            "which it was started (--model_name), and a version that is in its folder"
        )
    return errors.InputError(f"{address}: the server refuses the request: {message}")


def _no_server(address: str, answer: Any) -> errors.InputError:
    return errors.InputError(
        f"{address}: found {str(answer)[:_LONGEST_MESSAGE]!r}, expected an answer of TensorFlow "
        "Serving: check host and port (8501 is usual for REST, 8500 for gRPC)"
    )

"""Sends requests to TensorFlow Serving, by REST or by gRPC.

A transport has `address`, a text for messages, and two methods, each with a time-out in seconds:
- metadata(timeout): returns the model's signatures by name. All later requests go to the version
  that answered, as a newer model cannot continue this one's states.
- predict(signature, inputs, timeout): returns the outputs of a signature by name.

They raise Unavailable if a later attempt may succeed, Refused if the server does not take these
inputs, and InputError if there is no such server, model or version.
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
Arrays = Mapping[str, np.ndarray]

# Too many requests, or a proxy's answers while the server is away, starting or silent.
_TEMPORARY_STATUS = {429, 502, 503, 504}
# Longest part of a server's message that an error shows, in characters.
_MAX_MESSAGE = 500


class Unavailable(Exception):
    """The server did not answer, or cannot at the moment; the request may be sent again."""


class Refused(errors.InputError):
    """The server refuses the inputs of a request."""


class Rest:
    """REST with JSON in column format (https://www.tensorflow.org/tfx/serving/api_rest)."""

    def __init__(self, url: str) -> None:
        """Args:
        url: http://HOST:PORT/v1/models/NAME, optionally followed by /versions/NUMBER.

        Raises:
          InputError: the address does not have this form.
        """
        parts = re.fullmatch(r"(https?://[^/]+.*/v1/models/[^/:]+)(/versions/\d+)?/?", url)
        if parts is None:
            raise errors.InputError(
                f"{url}: expected an address such as http://localhost:8501/v1/models/ast_net, "
                "optionally followed by /versions/1"
            )
        self.address = url
        self._model, self._version = parts[1], parts[2] or ""

    def metadata(self, timeout: float) -> Signatures:
        answer = self._ask("/metadata", None, timeout)
        try:
            version = int(answer["model_spec"]["version"])
            signatures = {"signature_def": answer["metadata"]["signature_def"]["signature_def"]}
            graph = meta_graph_pb2.MetaGraphDef()
            json_format.ParseDict(signatures, graph, ignore_unknown_fields=True)
        except (KeyError, TypeError, ValueError, AttributeError, json_format.ParseError) as error:
            raise _no_server(self.address, answer) from error
        self._version = f"/versions/{version}"
        return graph.signature_def

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> Arrays:
        columns = {name: values.tolist() for name, values in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}, default=_base64)
        answer = self._ask(":predict", body.encode(), timeout)
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise _no_server(self.address, answer)
        outputs = answer["outputs"]
        # A single output comes without its name.
        by_name = outputs if isinstance(outputs, dict) else {"": outputs}
        return {name: np.array(values) for name, values in by_name.items()}

    def _ask(self, path: str, body: bytes | None, timeout: float) -> Any:
        url = f"{self._model}{self._version}{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            try:
                with urllib.request.urlopen(request, timeout=timeout) as response:
                    status, text = response.status, response.read()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read()
        # If the server is killed while it answers, any of these may be raised.
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(getattr(error, "reason", None) or repr(error)) from error
        try:
            answer = json.loads(text)
            if status == 200:
                return answer
            message = str(answer["error"])
        except (ValueError, KeyError, TypeError) as error:
            if status not in _TEMPORARY_STATUS:
                raise _no_server(self.address, f"HTTP {status} {text!r}") from error
            message = ""
        if status in _TEMPORARY_STATUS:
            raise Unavailable(f"HTTP {status} {message}".strip())
        raise _refusal(self.address, message, missing=status == 404)


class Grpc:
    """gRPC's PredictionService; needs the package tensorflow-serving-api."""

    def __init__(self, target: str, model: str = "ast_net", version: int | None = None) -> None:
        """Args:
        target: HOST:PORT.
        model: name of the model on the server.
        version: version of the model; None for the newest.

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
                f"gRPC needs tensorflow-serving-api, which is not installed ({error}): pip install "
                "'ast-net[serving]', or use REST"
            ) from error
        self.address = f"{target}, model {model}" + (f", version {version}" if version else "")
        self._grpc: Any = grpc
        self._metadata_pb2: Any = get_model_metadata_pb2
        self._predict_pb2: Any = predict_pb2
        self._spec = {"name": model, "version": None if version is None else {"value": version}}
        # By default gRPC waits for up to two minutes before it tries to connect again.
        waits = {"min": 100, "initial": 100, "max": 1000}
        options = [(f"grpc.{name}_reconnect_backoff_ms", wait) for name, wait in waits.items()]
        channel = grpc.insecure_channel(target, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def metadata(self, timeout: float) -> Signatures:
        request = self._metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = self._ask(self._stub.GetModelMetadata, request, timeout)
        signatures = self._metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        self._spec["version"] = {"value": answer.model_spec.version.value}
        return signatures.signature_def

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> Arrays:
        request = self._predict_pb2.PredictRequest(
            model_spec={**self._spec, "signature_name": signature},
            inputs={name: tf.make_tensor_proto(values) for name, values in inputs.items()},
        )
        answer = self._ask(self._stub.Predict, request, timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def _ask(self, method: Any, request: Any, timeout: float) -> Any:
        codes = self._grpc.StatusCode
        try:
            return method(request, timeout)
        except self._grpc.RpcError as error:
            code, message = error.code(), error.details()
            # A full queue is temporary; a message that is too large has the same code, but is not.
            queue_full = code == codes.RESOURCE_EXHAUSTED and "larger than max" not in message
            if queue_full or code in (codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.ABORTED):
                raise Unavailable(f"{code.name} {message}") from error
            raise _refusal(self.address, message, missing=code == codes.NOT_FOUND) from error


Transport = Rest | Grpc


def _base64(data: bytes) -> dict[str, str]:
    """Encodes bytes, for which JSON has no type, as TensorFlow Serving expects them."""
    return {"b64": base64.b64encode(data).decode()}


def _refusal(address: str, message: str, missing: bool) -> errors.InputError:
    message = message[:_MAX_MESSAGE]
    if not missing:
        return Refused(f"{address}: the server refuses the request: {message}")
    return errors.InputError(
        f"{address}: the server has no such model or version ({message}): give the name that it "
        "was started with (--model_name), and a version in its folder"
    )


def _no_server(address: str, answer: Any) -> errors.InputError:
    return errors.InputError(
        f"{address}: found {str(answer)[:_MAX_MESSAGE]!r}, expected an answer of TensorFlow "
        "Serving: check host and port (8501 is usual for REST, 8500 for gRPC)"
    )

"""A small replacement for tensorflow_model_server, for tests.

    python tests/serving/server.py --model_base_path=DIR [--model_name=ast_net] [--port=8500] \\
        [--rest_api_port=8501]

Serves the highest version in DIR: by gRPC PredictionService.Predict and GetModelMetadata, by REST
:predict in column format, /metadata and the model's status. Errors have the same codes as those of
tensorflow_model_server. gRPC needs tensorflow-serving-api; port 0 leaves a protocol out.
"""

import argparse
import base64
import concurrent.futures
import http.server
import json
import pathlib
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2

# Largest request, and largest tensor in it: a few bytes may describe a tensor of terabytes.
MAX_BYTES = 64 * 2**20
# Number of requests that are computed at the same time.
WORKERS = 8
# Names of TensorFlow's error codes, as gRPC uses them, and the HTTP status of each.
_CODES = {getattr(tf.errors, name): name for name in dir(tf.errors) if name.isupper()}
_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """One version of a model, in a session that like TensorFlow Serving's checks no shapes."""

    def __init__(self, name: str, base_path: str | pathlib.Path) -> None:
        folders = pathlib.Path(base_path).iterdir()
        self.name = name
        self.version = max(int(path.name) for path in folders if path.name.isdecimal())
        with tf.Graph().as_default() as graph:
            self._session = tf.compat.v1.Session()
            folder = str(pathlib.Path(base_path) / str(self.version))
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], folder)
        # Without __saved_model_init_op and the like, which are not for clients.
        self.signatures = {k: v for k, v in loaded.signature_def.items() if v.method_name}
        self._session._extend_graph()
        names = {
            tensor.name
            for signature in self.signatures.values()
            for tensor in (*signature.inputs.values(), *signature.outputs.values())
        }
        self._tensors = {name: graph.get_tensor_by_name(name)._as_tf_output() for name in names}

    def check(self, name: str, version: int | None) -> None:
        """Checks that the request is for this model and version."""
        if name != self.name or version not in (None, self.version):
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {which}")

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        result = self.signatures.get(name or "serving_default")
        if result is None:
            message = f'Serving signature name: "{name}" not found in signature def'
            raise Refused("INVALID_ARGUMENT", message)
        return result

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name."""
        definition = self.signature(signature)
        if set(inputs) != set(definition.inputs):
            expected_names = sorted(definition.inputs)
            message = f"Inputs expected to be in the set {expected_names}, found {sorted(inputs)}"
            raise Refused("INVALID_ARGUMENT", message)
        for name, values in inputs.items():
            expected = tf.as_dtype(definition.inputs[name].dtype)
            if tf.as_dtype(values.dtype) != expected:
                message = f"{name}: expects {expected.name}, but {values.dtype} is provided"
                raise Refused("INVALID_ARGUMENT", message)
        feeds = {self._tensors[definition.inputs[name].name]: v for name, v in inputs.items()}
        fetches = [self._tensors[tensor.name] for tensor in definition.outputs.values()]
        try:
            outputs = self._session._call_tf_sessionrun(None, feeds, fetches, [], None)
        except tf.errors.OpError as error:
            raise Refused(_CODES.get(error.error_code, "INTERNAL"), error.message) from error
        return dict(zip(definition.outputs, outputs, strict=True))


def start_rest(model: Model, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Serves REST in threads until shutdown() and server_close() are called.

    Args:
      model: the model.
      port: the port; 0 for any free one.
    """
    handler = type("Handler", (_Handler,), {"model": model})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


class _Handler(http.server.BaseHTTPRequestHandler):
    model: Model
    timeout = 30
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_) -> None:
        pass

    def _answer(self, make: Callable[[], dict]) -> None:
        try:
            status, answer = 200, make()
        except Refused as error:
            status, answer = _STATUS.get(error.code, 500), {"error": str(error)}
        if status != 200:
            # The rest of an unread body must not be taken for the next request.
            self.close_connection = True
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _path(self, pattern: str) -> re.Match:
        match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?" + pattern, self.path)
        if match is None:
            raise Refused("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        self.model.check(match[1], int(match[2]) if match[2] else None)
        return match

    def _get(self) -> dict:
        if self._path("(/metadata)?")[3] is None:
            ok = {"error_code": "OK", "error_message": ""}
            state = {"version": str(self.model.version), "state": "AVAILABLE", "status": ok}
            return {"model_version_status": [state]}
        signatures = {
            name: json_format.MessageToDict(
                signature,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            for name, signature in self.model.signatures.items()
        }
        spec = {"name": self.model.name, "signature_name": "", "version": str(self.model.version)}
        metadata = {"signature_def": {"signature_def": signatures}}
        return {"model_spec": spec, "metadata": metadata}

    def _post(self) -> dict:
        self._path(":predict")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            message = f"expected a body of at most {MAX_BYTES} bytes, found {length or 'none'}"
            raise Refused("INVALID_ARGUMENT", message)
        try:
            request = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
        if not isinstance(request, dict) or "inputs" not in request:
            raise Refused("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")
        name = request.get("signature_name", "serving_default")
        if not isinstance(name, str):
            raise Refused("INVALID_ARGUMENT", "'signature_name' key must be a string value.")
        input_tensors, inputs = self.model.signature(name).inputs, request["inputs"]
        if not isinstance(inputs, dict):
            if len(input_tensors) > 1:
                raise Refused("INVALID_ARGUMENT", f"expected named inputs {sorted(input_tensors)}")
            inputs = {next(iter(input_tensors)): inputs}
        dtypes = {key: tf.as_dtype(tensor.dtype) for key, tensor in input_tensors.items()}
        arrays = {k: _from_json(k, values, dtypes.get(k)) for k, values in inputs.items()}
        outputs = {k: _to_json(values) for k, values in self.model.predict(name, arrays).items()}
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}


def _from_json(name: str, values: Any, dtype: tf.DType | None) -> np.ndarray:
    """Converts nested lists to an array of the signature's type."""
    if dtype is None:
        raise Refused("INVALID_ARGUMENT", f"{name}: no such input")
    try:
        if dtype == tf.string:
            return _strings(values)
        array = np.array(values)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", f"{name}: {error}") from error
    fits = array.dtype.kind in ("iu" if dtype.is_integer else "iuf")
    if array.size == 0:
        fits = array.dtype.kind == "f"  # numpy's type of an empty list
    elif fits and dtype.is_integer:
        fits = dtype.min <= array.min() and array.max() <= dtype.max
    if not fits:
        raise Refused(
            "INVALID_ARGUMENT", f"JSON Value: of {name} is not of expected type: {dtype.name}"
        )
    return array.astype(dtype.as_numpy_dtype)


def _strings(values: Any) -> np.ndarray:
    """Converts nested lists of strings or {"b64": ...} to an array of bytes."""
    if isinstance(values, list):
        return np.stack([_strings(value) for value in values]) if values else np.zeros(0, object)
    if isinstance(values, dict) and set(values) == {"b64"} and isinstance(values["b64"], str):
        return np.array(base64.b64decode(values["b64"], validate=True), object)
    if isinstance(values, str):
        return np.array(values.encode(), object)
    raise ValueError(f"expected a string, found {type(values).__name__}")


def _to_json(values: np.ndarray) -> Any:
    if values.dtype != object:
        return values.tolist()
    return np.vectorize(bytes.decode, otypes=[object])(values).tolist()


def start_grpc(model: Model, port: int = 0) -> tuple[Any, int]:
    """Serves gRPC in threads until stop(None) is called; returns the server and its port."""
    import grpc
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            def make():
                model.check(*_name_and_version(request))
                inputs = {name: _array(name, tensor) for name, tensor in request.inputs.items()}
                outputs = model.predict(request.model_spec.signature_name, inputs)
                answer = predict_pb2.PredictResponse()
                set_model_spec(answer)
                for name, values in outputs.items():
                    answer.outputs[name].CopyFrom(tf.make_tensor_proto(values))
                return answer

            return answered(make, context)

        def GetModelMetadata(self, request, context):
            def make():
                model.check(*_name_and_version(request))
                if list(request.metadata_field) != ["signature_def"]:
                    raise Refused("INVALID_ARGUMENT", "expected the metadata_field signature_def")
                answer = get_model_metadata_pb2.GetModelMetadataResponse()
                set_model_spec(answer)
                signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
                answer.metadata["signature_def"].Pack(signatures)
                return answer

            return answered(make, context)

    def set_model_spec(answer):
        answer.model_spec.name = model.name
        answer.model_spec.version.value = model.version

    def answered(make, context):
        try:
            return make()
        except Refused as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error)[:4000])

    options = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(WORKERS), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def _name_and_version(request) -> tuple[str, int | None]:
    spec = request.model_spec
    return spec.name, spec.version.value if spec.HasField("version") else None


def _array(name: str, tensor) -> np.ndarray:
    """Converts a TensorProto to an array."""
    try:
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        count = int(np.prod([float(size) for size in sizes]))
        # A TensorProto may leave out values at its end that repeat the last one, so the array may
        # be larger than the message. Hence the limit is checked before the array is created.
        lengths = map(len, tensor.string_val)
        item_bytes = max(8, tf.as_dtype(tensor.dtype).size, *lengths)
        if min(sizes, default=0) < 0 or count * item_bytes > MAX_BYTES:
            raise ValueError(f"a tensor of shape {sizes}")
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise Refused("INVALID_ARGUMENT", f"tensor parsing error: {name}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="ast_net")
    parser.add_argument("--model_base_path", required=True)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--rest_api_port", type=int, default=8501)
    arguments = parser.parse_args()
    model = Model(arguments.model_name, arguments.model_base_path)
    if arguments.rest_api_port:
        start_rest(model, arguments.rest_api_port)
    servers = start_grpc(model, arguments.port) if arguments.port else None
    threading.Event().wait()
    del servers


if __name__ == "__main__":
    main()

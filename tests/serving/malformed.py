"""Sends malformed requests to a server: wrong shapes and types, NaN, damaged pictures, and so on.

    python tests/serving/malformed.py --rest=localhost:8501 [--grpc=localhost:8500] [--count=1000]

The server must answer each with an error, never with a prediction, and must not crash. The requests
go to the model `ast_net`, by REST and gRPC in turn. Prints how often each kind got which answer.
"""

import argparse
import base64
import collections
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf

_MODEL = "ast_net"
_PATH = f"/v1/models/{_MODEL}:predict"
# Size of a free axis in valid requests.
_ROWS = 2


class Request(NamedTuple):
    """A request: what is wrong with it, the signature, and its inputs."""

    kind: str
    signature: str
    inputs: dict[str, np.ndarray]


def valid_inputs(signatures: dict[str, dict[str, tuple[str, list[int]]]], name: str) -> dict:
    """Returns valid inputs of a signature.

    Args:
      signatures: {name: {input: (type, shape)}}, with -1 for free sizes.
      name: the signature's name.
    """
    result = {}
    for key, (dtype, shape) in signatures[name].items():
        sizes = [_ROWS if size < 0 else size for size in shape]
        if key == "target":
            result[key] = np.full(sizes, b"valence", object)
        elif dtype == "DT_STRING":
            result[key] = np.full(sizes, _picture(".jpg"), object)
        else:
            numpy_type = np.uint8 if dtype == "DT_UINT8" else np.float32
            result[key] = np.full(sizes, 1, numpy_type)
    return result


def make(signatures: dict, count: int, seed: int = 0) -> Iterator[Request]:
    """Yields `count` requests, each with one fault; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    # Faces and emotion are rare, as a face takes half a megabyte in JSON; jpeg has the same code.
    names = sorted(name for name in signatures if name not in ("faces", "emotion"))
    while count:
        name = str(rng.choice(names + ["faces", "emotion"] * bool(rng.random() < 0.1)))
        inputs = valid_inputs(signatures, name)
        key = str(rng.choice(sorted(inputs)))
        add_fault = _FAULTS[int(rng.integers(len(_FAULTS)))]
        faulty = add_fault(inputs, key, rng)
        if faulty is not None:
            count -= 1
            yield Request(add_fault.__name__.strip("_").replace("_", " "), name, faulty)


def _wrong_shape(inputs, key, rng):
    values = inputs[key]
    choice = rng.integers(4)
    if choice == 0:
        return {**inputs, key: values[np.newaxis]}
    if choice == 1:
        return {**inputs, key: values[0]}
    if choice == 2 and len(inputs) > 1:
        return {**inputs, key: np.concatenate([values, values[:1]])}
    if values.ndim > 1 and values.dtype != object:
        return {**inputs, key: values[..., : int(rng.integers(1, values.shape[-1]))]}
    return None


def _wrong_type(inputs, key, rng):
    values = inputs[key]
    if values.dtype == object:
        return {**inputs, key: np.ones(values.shape, np.float32)}
    if rng.random() < 0.3:
        return {**inputs, key: np.full(values.shape[:1], b"one", object)}
    return {
        **inputs,
        key: np.full(values.shape, 1.5, np.float64).astype(rng.choice([np.complex64, np.bool_])),
    }


def _not_finite(inputs, key, rng):
    values = inputs[key]
    if values.dtype != np.float32:
        return None
    values = values.copy()
    values.flat[rng.integers(values.size)] = rng.choice([np.nan, np.inf, -np.inf])
    return {**inputs, key: values}


def _empty(inputs, key, rng):
    shape = list(inputs[key].shape)
    axis = int(rng.integers(len(shape)))
    # An array with the size 0 on one axis; by JSON it arrives as nested empty lists.
    return {**inputs, key: np.zeros([*shape[:axis], 0, *shape[axis + 1 :]], inputs[key].dtype)}


def _huge(inputs, key, rng):
    count = int(rng.integers(66_000, 100_000))
    if key == "target":
        return {key: np.full(count, b"valence", object)}
    if inputs[key].dtype == object:
        shape = (count // 20,) if inputs[key].ndim == 1 else (2, count // 20)
        return {**inputs, key: np.full(shape, b"", object)}
    return {**inputs, key: np.ones((count, 2), inputs[key].dtype)}


def _broken_picture(inputs, key, rng):
    values = inputs[key]
    if values.dtype != object:
        return None
    kind = str(rng.choice([".jpg", ".png", ".bmp"]))
    data = _picture(kind)
    data = data[: int(rng.integers(1, len(data) - 20))]
    if rng.random() < 0.3:
        data = rng.bytes(int(rng.integers(1, 3000)))
    values = values.copy()
    values.flat[rng.integers(values.size)] = data
    return {**inputs, key: values}


def _picture_of_another_size(inputs, key, rng):
    values = inputs[key]
    if values.dtype != object:
        return None
    values = values.copy()
    data = _picture(str(rng.choice([".jpg", ".png"])), *rng.integers(1, 223, 2))
    values.flat[rng.integers(values.size)] = data
    return {**inputs, key: values}


def _another_name(inputs, key, rng):
    return {str(rng.choice(["", "x", key.upper()])): inputs.pop(key), **inputs}


def _one_more(inputs, key, rng):
    return {**inputs, f"{key}_2": inputs[key]}


def _one_less(inputs, key, rng):
    inputs.pop(key)
    return inputs


# Each takes a request's inputs, the key of one of them and a random generator, and returns the
# inputs with a fault, or None if this input cannot have it.
_FAULTS: list[Callable] = [
    _wrong_shape,
    _wrong_type,
    _not_finite,
    _empty,
    _huge,
    _broken_picture,
    _picture_of_another_size,
    _another_name,
    _one_more,
    _one_less,
]


def _picture(kind: str, height: int = 224, width: int = 224) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (int(height), int(width), 3), np.uint8)
    return cv2.imencode(kind, noise)[1].tobytes()


def as_json(request: Request) -> bytes:
    """Returns the body of a REST request."""
    inputs = {name: _lists(values) for name, values in request.inputs.items()}
    return json.dumps({"signature_name": request.signature, "inputs": inputs}).encode()


def _lists(values: np.ndarray) -> Any:
    if values.dtype == object:
        flat = [{"b64": base64.b64encode(value).decode()} for value in values.flat]
        return np.array(flat, object).reshape(values.shape).tolist()
    if values.dtype.kind == "c":
        return np.full(values.shape, "1+0j").tolist()
    return values.tolist()


def malformed_body(body: bytes, rng: np.random.Generator) -> bytes:
    """Returns a body that is not a request in JSON at all."""
    truncated = body[: int(rng.integers(len(body)))]
    nested = b'{"inputs": ' + b"[" * 5000 + b"]" * int(rng.integers(5001)) + b"}"
    ragged = b'{"inputs": [[1, 2], [3]]}'
    without_inputs = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"inputs": null}',
        b'{"instances": 3}',
        b'{"inputs": "x"}',
    ]
    number = b'{"signature_name": 3, "inputs": {}}'
    bodies = [truncated, rng.bytes(200), nested, ragged, *without_inputs, number]
    return bodies[int(rng.integers(12))]


def send_rest(address: str, path: str, body: bytes) -> tuple[int, Any]:
    """Sends a REST request; returns the status and the decoded answer."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def signatures_of(address: str) -> dict[str, dict[str, tuple[str, list[int]]]]:
    """Returns the signatures of the served model, in the form that `valid_inputs` takes."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", f"/v1/models/{_MODEL}/metadata")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return {
        name: {
            key: (tensor["dtype"], [int(dim["size"]) for dim in tensor["tensor_shape"]["dim"]])
            for key, tensor in signature["inputs"].items()
        }
        for name, signature in answer["metadata"]["signature_def"]["signature_def"].items()
        if signature["method_name"]
    }


class GrpcSender:
    """Sends requests by gRPC as raw bytes, so that even broken messages can be sent."""

    def __init__(self, target: str) -> None:
        import grpc
        from tensorflow_serving.apis import predict_pb2

        self._grpc, self._pb2 = grpc, predict_pb2
        channel = grpc.insecure_channel(target)
        self._call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def __call__(self, request: Request, rng: np.random.Generator | None) -> tuple[str, str]:
        """Sends a request, damaged if there is `rng`; returns the answer's status and message."""
        message = self._pb2.PredictRequest()
        message.model_spec.name, message.model_spec.signature_name = _MODEL, request.signature
        for name, values in request.inputs.items():
            message.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        data = message.SerializeToString()
        if rng is not None:
            data = self._damaged(message, rng)
        try:
            self._call(data, timeout=60)
            return "OK", ""
        except self._grpc.RpcError as error:
            return error.code().name, error.details()

    def _damaged(self, message: Any, rng: np.random.Generator) -> bytes:
        tensor = message.inputs[str(rng.choice(sorted(message.inputs)))]
        choice = rng.integers(5)
        if choice == 0:
            # A few bytes that describe a tensor of terabytes.
            for dim in tensor.tensor_shape.dim:
                dim.size = int(rng.choice([2**20, 2**40, 2**62]))
        elif choice == 1:
            tensor.tensor_shape.dim.add().size = -3
        elif choice == 2:
            tensor.dtype = int(rng.choice([0, 20, 999]))
        elif choice == 3:
            message.model_spec.version.value = 999
        else:
            data = message.SerializeToString()
            return b"\xff" + data[: int(rng.integers(len(data)))]
        return message.SerializeToString()


def send(rest: str, grpc: str | None, count: int, seed: int = 0) -> collections.Counter:
    """Sends `count` requests.

    Returns:
      The counts of (protocol, kind, status); the status of a request that succeeds is OK or 200.
    """
    signatures, answers = signatures_of(rest), collections.Counter()
    rng = np.random.default_rng(seed)
    sender = GrpcSender(grpc) if grpc else None
    for number, request in enumerate(make(signatures, count, seed)):
        damage = rng.random() < 0.2
        kind = "not a request" if damage else request.kind
        if sender is not None and number % 2:
            if damage:
                inputs = valid_inputs(signatures, request.signature)
                request = Request(kind, request.signature, inputs)
            code, _ = sender(request, rng if damage else None)
            answers["gRPC", kind, code] += 1
        else:
            body = as_json(request)
            status, answer = send_rest(rest, _PATH, malformed_body(body, rng) if damage else body)
            answers["REST", kind, str(status)] += 1
            if status != 200 and not answer["error"]:
                raise AssertionError(f"{request.kind}: an error without a message")
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rest", default="localhost:8501")
    parser.add_argument("--grpc")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    answers = send(arguments.rest, arguments.grpc, arguments.count, arguments.seed)
    for (protocol, kind, answer), count in sorted(answers.items()):
        print(f"| {protocol} | {kind} | {answer} | {count} |")
    succeeded = sum(count for (_, _, answer), count in answers.items() if answer in ("OK", "200"))
    print(f"{sum(answers.values())} sent, {succeeded} answered with a prediction")


if __name__ == "__main__":
    main()

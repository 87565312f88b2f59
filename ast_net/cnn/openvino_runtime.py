"""The CNN run by OpenVINO, and made int8 by NNCF. Needs the extra `openvino`.

An int8 network gets the ranges of its activations from the faces of `calibration`. It is kept on
disk (`kept`) as model.xml and model.bin.
"""

import contextlib
import functools
import importlib.metadata
import io
import logging as std_logging
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import nncf
import numpy as np
import openvino
from absl import logging
from nncf.quantization import range_estimator

from ast_net import kept
from ast_net.cnn import backbone, calibration, tensorflow_runtime

FOLDER, MODEL = "quantised", "model.xml"
# Counts the changes of the networks' graphs, which the digest of their weights does not show.
_GRAPH = "2"
# Faces that are computed together. Each part reads all weights, fc6's 103 MB too.
_PART = 16


def load(
    name: str, weights: str | None, precision: str, cache_dir: pathlib.Path
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a call: uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F]. See `runtime.load`."""
    if precision == "int8":
        network = openvino.Core().read_model(_quantised(name, weights, cache_dir) / MODEL)
    else:
        network = _converted(name, weights)
    # int8 is of convolutions and matrix products; what is left takes no time in float32.
    return _Requests(network, "bf16" if precision == "bfloat16" else "f32")


def int8_id(name: str, weights: str | None, cache_dir: pathlib.Path) -> str:
    """Names the int8 network by its numbers. See `runtime.int8_id`.

    These are in model.bin, whose digest comes first. The graph, model.xml, does not count: in its
    names Keras numbers the models that the process has built.
    """
    return (_quantised(name, weights, cache_dir) / kept.DIGEST).read_text()[:8]


class _Requests:
    """Runs a network on batches or single faces; compiled for the first that comes.

    A batch is divided into parts, one for each core: threads that share a part wait for each other,
    and take the cores from those that find the next faces meanwhile. A camera's single face is
    computed by all cores together.
    """

    def __init__(self, network: openvino.Model, arithmetic: str) -> None:
        self._network, self._arithmetic = network, arithmetic
        self._compiled: Any = None
        self._requests: list = []
        self._streams = 0
        self._one_at_a_time = threading.Lock()

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        """uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F]."""
        with self._one_at_a_time:
            streams = min(len(faces), os.cpu_count() or 1)
            if streams > self._streams:
                self._compile(streams)
            parts = np.array_split(faces, max(streams, -(-len(faces) // _PART)))
            while len(self._requests) < len(parts):
                self._requests.append(self._compiled.create_infer_request())
            at_work = self._requests[: len(parts)]
            for request, part in zip(at_work, parts):
                request.start_async({0: part})
            for request in at_work:
                request.wait()
            return np.concatenate([request.get_output_tensor().data for request in at_work])

    def _compile(self, streams: int) -> None:
        # Threads are not tied to cores: others find faces meanwhile.
        options: dict[str, object] = {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        options["INFERENCE_PRECISION_HINT"] = self._arithmetic
        self._compiled = openvino.Core().compile_model(self._network, "CPU", options)
        self._requests, self._streams = [], streams


def _converted(name: str, weights: str | None) -> openvino.Model:
    fc6 = tensorflow_runtime.traced(backbone.load(name, weights))
    return openvino.convert_model(fc6.get_concrete_function())


def _quantised(name: str, weights: str | None, cache_dir: pathlib.Path) -> pathlib.Path:
    """The folder of the int8 network, which is made if it is missing or damaged."""
    versions = [importlib.metadata.version(package) for package in ("openvino", "nncf")]
    network = (name, backbone.weights_id(name, weights), "int8", _GRAPH)
    key = (*network, calibration.digest(), *versions)
    write = functools.partial(_quantise, name, weights)
    return kept.folder(cache_dir / FOLDER / "-".join(key), "the int8 network", write)


def _quantise(name: str, weights: str | None, folder: pathlib.Path) -> None:
    faces = calibration.faces()
    logging.info(f"calibrating {name} for int8 on {len(faces)} faces, once")
    std_logging.getLogger("nncf").setLevel(std_logging.ERROR)
    options = nncf.AdvancedQuantizationParameters(
        # Weights of 7 bits: processors without VNNI add pairs of products in 16 bits, which
        # overflow with 8 bits, so that features would be worse there, and different.
        overflow_fix=nncf.OverflowFix.ENABLE,
        # The faces are few and alike. Their mean range, NNCF's default, clips other faces.
        activations_range_estimator_params=range_estimator.RangeEstimatorParametersSet.MINMAX,
    )
    network, data = _converted(name, weights), nncf.Dataset(faces[:, np.newaxis])
    # Its bars of progress are no part of the output.
    with contextlib.redirect_stdout(io.StringIO()):
        network = nncf.quantize(network, data, subset_size=len(faces), advanced_parameters=options)
    openvino.save_model(network, folder / MODEL, compress_to_fp16=False)

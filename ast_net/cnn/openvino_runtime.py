"""The CNN run by OpenVINO, and made int8 by NNCF. Needs the extra `openvino`.

An int8 network is calibrated on real faces: that is where the ranges of its activations come from. It is kept
on disk as model.xml and model.bin, and a digest of the two.
"""

import contextlib
import hashlib
import importlib.metadata
import logging as std_logging
import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Callable
from typing import Any

import nncf
import numpy as np
import openvino
from absl import logging

from ast_net import errors, files
from ast_net.cnn import backbone, runtime

FOLDER, MODEL, DIGEST = "quantised", "model.xml", "sha256"
# Faces that are computed together: each part reads all weights, fc6's 103 MB, too.
_PART = 16
# int8 is of convolutions and matrix products; what is left takes no time in float32.
_ARITHMETIC = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def load(
    name: str,
    weights: str | None,
    precision: str,
    cache_dir: pathlib.Path,
    calibration: Callable[[], np.ndarray] | None,
) -> Callable[[np.ndarray], np.ndarray]:
    """A call: uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F]. See `runtime.load`."""
    if precision == "int8":
        network = _quantised(name, weights, cache_dir, calibration)
    else:
        network = _converted(name, weights)
    return _Requests(network, _ARITHMETIC[precision])


class _Requests:
    """A network ready for batches, or for one face after the other; compiled for the first that comes.

    A batch is divided into parts, which the cores compute one each: threads that share a part wait for each
    other in circles, and take the cores from those who find the next faces meanwhile. A camera's single
    face is computed by all cores together.
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
            if self._compiled is None or streams > self._streams:
                self._compiled = self._compile(streams)
            parts = np.array_split(faces, max(streams, -(-len(faces) // _PART)))
            while len(self._requests) < len(parts):
                self._requests.append(self._compiled.create_infer_request())
            at_work = list(zip(self._requests, parts))
            for request, part in at_work:
                request.start_async({0: part})
            for request, _ in at_work:
                request.wait()
            return np.concatenate([request.get_output_tensor().data for request, _ in at_work])

    def _compile(self, streams: int):
        options = {
            "INFERENCE_PRECISION_HINT": self._arithmetic,
            "NUM_STREAMS": streams,
            # Threads are not tied to cores: others find faces meanwhile.
            "ENABLE_CPU_PINNING": False,
        }
        self._requests, self._streams = [], streams
        return openvino.Core().compile_model(self._network, "CPU", options)


def _converted(name: str, weights: str | None) -> openvino.Model:
    model = backbone.load(name, weights)
    return openvino.convert_model(runtime.traced(model).get_concrete_function())


def _quantised(
    name: str,
    weights: str | None,
    cache_dir: pathlib.Path,
    calibration: Callable[[], np.ndarray] | None,
) -> openvino.Model:
    """The int8 network that is kept; it is made if there is none, or if it is damaged."""
    versions = "-".join(importlib.metadata.version(package) for package in ("openvino", "nncf"))
    folder = cache_dir / FOLDER / f"{name}-{backbone.weights_id(name, weights)}-int8-{versions}"
    if not _is_whole(folder):
        if folder.exists():
            logging.warning("%s: a damaged int8 network; it is made again", folder)
        faces = None if calibration is None else calibration()
        if faces is None or not len(faces):
            raise errors.InputError(
                f"{folder}: there is no int8 network of {name} here, and no faces to calibrate one on: run "
                "`predict --video=...` with a video of faces first, or give --precision=bfloat16"
            )
        shutil.rmtree(folder, ignore_errors=True)
        _quantise(name, weights, faces, folder)
    return openvino.Core().read_model(folder / MODEL)


def _quantise(name: str, weights: str | None, faces: np.ndarray, folder: pathlib.Path) -> None:
    logging.info("calibrating %s for int8 on %d faces, once", name, len(faces))
    nncf.set_log_level(std_logging.ERROR)
    # Its progress would stand among the output.
    with contextlib.redirect_stdout(sys.stderr):
        network = nncf.quantize(
            _converted(name, weights),
            nncf.Dataset(faces[:, np.newaxis]),
            subset_size=len(faces),
        )
    with files.whole_folder(folder) as temporary:
        openvino.save_model(network, temporary / MODEL, compress_to_fp16=False)
        (temporary / DIGEST).write_text(_digest(temporary))


def _is_whole(folder: pathlib.Path) -> bool:
    try:
        return (folder / DIGEST).read_text() == _digest(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(folder: pathlib.Path) -> str:
    digests = []
    for path in (folder / MODEL, (folder / MODEL).with_suffix(".bin")):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return " ".join(digests)

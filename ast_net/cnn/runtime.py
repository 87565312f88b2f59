"""Aligned faces to fc6: by TensorFlow or OpenVINO, in the precision that suits the processor."""

import dataclasses
import itertools
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ast_net import config, devices, errors
from ast_net.cnn import backbone, tensorflow_runtime

CPU_INFO = pathlib.Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True)
class Extractor:
    """Runs a CNN on any number of faces at once.

    It may be called from one thread while others run Python.

    Attributes:
      feature_size: F.
      precision: what auto came to.
      run: uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F].
    """

    feature_size: int
    precision: str
    run: Callable[[np.ndarray], np.ndarray]

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        """Computes fc6, uint8 RGB [B, 224, 224, 3] -> float16 [B, F], at most float16's maximum."""
        return np.minimum(self.run(faces), np.finfo(np.float16).max).astype(np.float16)


def has_bfloat16() -> bool:
    """Returns whether Linux says that the processor multiplies in bfloat16 (AMX or AVX-512)."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return not flags.isdisjoint({"amx_bf16", "avx512_bf16"})


def resolve(settings: config.Runtime) -> config.Runtime:
    """Replaces the precision auto by the fastest here.

    OpenVINO: int8. TensorFlow: bfloat16 on a processor that has it and without a GPU, else float32.
    On two cores with AMX a face takes `compact` 1.9 core-milliseconds in bfloat16 instead of 4.8,
    and `vgg16` 81 instead of 339; with AVX512_BF16 `compact` takes 2.1 instead of 3.7. The features
    keep a cosine of 0.9999 (tools/benchmark_precision.py).
    """
    precision = settings.precision
    if precision == "auto" and settings.name == "openvino":
        precision = "int8"
    elif precision == "auto":
        fast = has_bfloat16() and not devices.gpus()
        precision = "bfloat16" if fast else "float32"
    return dataclasses.replace(settings, precision=precision)


def check_installed(settings: config.Runtime) -> None:
    """Checks that what `load` will need is installed.

    Raises:
      InputError: OpenVINO is not installed.
    """
    if settings.name == "openvino":
        _openvino()


def load(
    name: str, weights: str | None, settings: config.Runtime, cache_dir: str | os.PathLike
) -> Extractor:
    """Reads the CNN and compiles it for this machine.

    Args:
      name, weights: as of `backbone.load`.
      settings: what runs it, and the precision (auto: as `resolve`).
      cache_dir: gets a folder in which int8 networks are kept, so that they are calibrated once.

    Raises:
      InputError: as `backbone.load`, or OpenVINO is not installed.
    """
    settings = resolve(settings)
    if settings.name == "tensorflow":
        run = tensorflow_runtime.load(name, weights, settings.precision)
    else:
        run = _openvino().load(name, weights, settings.precision, pathlib.Path(cache_dir))
    return Extractor(backbone.FEATURE_SIZE[name], settings.precision, run)


def int8_id(name: str, weights: str | None, cache_dir: str | os.PathLike) -> str:
    """Names the int8 network that `load` gives by the first 8 digits of its numbers' SHA-256.

    The network is made if `cache_dir` has none. Other versions of OpenVINO or NNCF make another
    one, so records of int8 features should bear this name as well as that of the weights.

    Args:
      name, weights, cache_dir: as of `load`.

    Raises:
      InputError: as `load`.
    """
    return _openvino().int8_id(name, weights, pathlib.Path(cache_dir))


def extract(
    extractor: Extractor, faces: Iterable[tuple[np.ndarray, bool]], batch_size: int = 32
) -> Iterator[np.ndarray]:
    """Yields fc6 of each frame, float16 [F]; zeros where there is no face.

    Args:
      extractor: from `load`.
      faces: for each frame the aligned face [224, 224, 3] uint8 RGB, and whether there is one.
      batch_size: faces that pass through the CNN at once, and frames held in memory.
    """
    frames = iter(faces)
    while batch := list(itertools.islice(frames, batch_size)):
        features = np.zeros((len(batch), extractor.feature_size), np.float16)
        valid = [is_face for _, is_face in batch]
        if any(valid):
            features[valid] = extractor(np.stack([face for face, is_face in batch if is_face]))
        yield from features


def forbid_openvino_reports() -> None:
    """Stops OpenVINO and NNCF from reporting their use to their maker; call before importing them.

    They do not report where the package that does it cannot be imported. A program that looks at
    people's faces should not report anything to anybody.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _openvino():
    forbid_openvino_reports()
    try:
        from ast_net.cnn import openvino_runtime
    except ImportError as error:
        raise errors.InputError(
            f"`runtime=openvino`: OpenVINO cannot be imported ({error}): install it with "
            "tools/run -m pip install -e '.[openvino]', or use `runtime=tensorflow`"
        ) from error
    return openvino_runtime

"""The three networks of the mtcnn package: as Keras models, and converted to TensorFlow Lite."""

import contextlib
import hashlib
import importlib.metadata
import os
import pathlib

import keras
import mtcnn

from ast_net import kept
from ast_net.faces import lite_network

RNET_SIZE, ONET_SIZE = 24, 48
# The files of the converted networks, and the size of their pictures in pixels.
_SIZES = {"pnet.tflite": None, "rnet.tflite": RNET_SIZE, "onet.tflite": ONET_SIZE}
FOLDER = "converted"


def models() -> list[keras.Model]:
    """Builds P-Net, R-Net and O-Net."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # with 16 bits the landmarks would jitter
    try:
        return [stage.model for stage in mtcnn.MTCNN(device="CPU:0").stages]
    finally:
        keras.config.set_dtype_policy(policy)


def converted(cache_dir: str | os.PathLike | None = None) -> list[lite_network.LiteNetwork]:
    """Returns P-Net, R-Net and O-Net for TensorFlow Lite.

    Args:
      cache_dir: gets a folder in which the converted networks are kept, because conversion takes a
        second; None, or one that cannot be written to, to convert them at each call.
    """
    contents = None
    if cache_dir is not None:
        folder = pathlib.Path(cache_dir) / FOLDER / f"mtcnn-{_key()}"
        with contextlib.suppress(OSError):
            kept.folder(folder, "the converted face detector", _write)
            contents = [(folder / name).read_bytes() for name in _SIZES]
    return [lite_network.LiteNetwork(content) for content in contents or _convert()]


def _convert() -> list[bytes]:
    return [lite_network.convert(*pair) for pair in zip(models(), _SIZES.values(), strict=True)]


def _write(folder: pathlib.Path) -> None:
    for name, content in zip(_SIZES, _convert(), strict=True):
        (folder / name).write_bytes(content)


def _key() -> str:
    """The digest of the weights and of the code that converts them."""
    digest = hashlib.sha256()
    weights = pathlib.Path(mtcnn.__file__).parent / "assets/weights"
    for file in (*sorted(weights.iterdir()), pathlib.Path(lite_network.__file__)):
        digest.update(file.read_bytes())
    versions = [importlib.metadata.version(name) for name in ("mtcnn", "keras", "tensorflow")]
    return "-".join([*versions, digest.hexdigest()[:8]])

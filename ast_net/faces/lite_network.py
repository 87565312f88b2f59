"""Runs a small Keras network on one CPU core with the TensorFlow Lite interpreter."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf


def convert(network: keras.Model, size: int | None) -> bytes:
    """Converts a Keras network for `LiteNetwork`.

    Args:
      network: takes float32 pictures [n, size, size, 3] with values (uint8 - 127.5) / 128.
      size: width and height of the pictures in pixels; None if the network takes any size.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
    def run(images):
        return network((tf.cast(images, tf.float32) - 127.5) / 128.0)

    with tf.device("CPU:0"):
        function = run.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    # Converting through a SavedModel takes a second longer and loses the Keras network's weights.
    converter.experimental_lower_to_saved_model = False
    with _without_advertisement():
        return converter.convert()


class LiteNetwork:
    """A Keras network for uint8 pictures that TensorFlow Lite computes.

    For such small networks, TensorFlow's executor costs more than the arithmetic. The results agree
    to 1e-6. One thread leaves the other cores to the CNN. Python's global lock is released during
    the computation. Calls from several threads run one after the other.

    Args:
      content: a network that `convert` converted.
    """

    def __init__(self, content: bytes) -> None:
        with _without_advertisement():
            self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        # The outputs are listed in arbitrary order; each name ends with the output's position.
        outputs = sorted(self._interpreter.get_output_details(), key=lambda output: output["name"])
        self._outputs = [output["index"] for output in outputs]
        self._shape: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs, float32 [n, ...], for uint8 pictures [n, height, width, 3]."""
        with self._lock:
            if images.shape != self._shape:
                self._interpreter.resize_tensor_input(self._input, images.shape)
                self._interpreter.allocate_tensors()
                self._shape = images.shape
            self._interpreter.set_tensor(self._input, images)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output) for output in self._outputs]


@contextlib.contextmanager
def _without_advertisement() -> Iterator[None]:
    """Leaves out tf.lite's warning that ai_edge_litert will replace it. TensorFlow 2.23 has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield

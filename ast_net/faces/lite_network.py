"""A small Keras network on one core: TensorFlow Lite's interpreter around it."""

import threading
import warnings

import keras
import numpy as np
import tensorflow as tf


class LiteNetwork:
    """A Keras network on uint8 pictures, computed by TensorFlow Lite.

    For networks this small TensorFlow's own executor costs more than the arithmetic: O-Net on four
    squares takes 1.9 ms of one core with TensorFlow Lite and 8 ms of two cores without; the numbers
    agree to 1e-6. One thread is enough and leaves the other cores to the CNN; Python's lock is
    released meanwhile. Calls from several threads wait for each other.

    Args:
      network: takes float32 pictures [n, size, size, 3], which are (uint8 - 127.5) / 128.
      size: the pictures' side in pixels; None if the network takes any size, not only squares.
    """

    def __init__(self, network: keras.Model, size: int | None) -> None:
        @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
        def run(images):
            return network((tf.cast(images, tf.float32) - 127.5) / 128.0)

        with tf.device("CPU:0"):
            function = run.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
        # Through a saved model the conversion takes a second longer and loses a Keras network's
        # weights.
        converter.experimental_lower_to_saved_model = False
        with warnings.catch_warnings():
            # It announces ai_edge_litert as its successor, but even nightly builds of 2.23 have it.
            warnings.simplefilter("ignore", UserWarning)
            content = converter.convert()
            self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        # They are listed in any order; their names end with their position in the model.
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

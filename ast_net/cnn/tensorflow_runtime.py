"""The CNN as TensorFlow computes it, in float32 or bfloat16."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ast_net import devices
from ast_net.cnn import backbone, compact


def load(name: str, weights: str | None, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a call: uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F]. See `runtime.load`."""
    model = network(name, weights, precision)
    fc6, replicas = traced(model), model.distribute_strategy.num_replicas_in_sync

    def call(faces: np.ndarray) -> np.ndarray:
        count = len(faces)
        if count % replicas:  # Each device needs as many faces as the others.
            faces = np.concatenate([faces, faces[:1].repeat(-count % replicas, axis=0)])
        return fc6(tf.constant(faces)).numpy()[:count]

    return call


def network(name: str, weights: str | None, precision: str) -> keras.Model:
    """Loads the CNN for inference alone: [B, 224, 224, 3] uint8 RGB -> fc6 [B, F].

    Args:
      name, weights: as of `backbone.load`.
      precision: float32 or bfloat16.

    Raises:
      InputError: as `backbone.load`.
    """
    if name == "compact" and precision == "bfloat16":
        return compact.fold(backbone.load(name, weights), precision)
    # Not mixed_bfloat16, which has weights in float32 and casts them at every call.
    return backbone.load(name, weights, precision)


def traced(model: keras.Model):
    """Traces the CNN as one graph, uint8 RGB [B, 224, 224, 3] -> fc6, float32 [B, F], for any B.

    If it was built in the scope of a strategy with several devices, they share the batch, and B
    must be a multiple of their number.
    """
    strategy = model.distribute_strategy

    def on_one_device(faces):
        return tf.cast(model(devices.share(faces)), tf.float32)

    # Autograph would find nothing to convert, and take as long as the tracing itself.
    signature = [tf.TensorSpec((None, 224, 224, 3), tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)
    def fc6(faces):
        parts = strategy.experimental_local_results(strategy.run(on_one_device, (faces,)))
        return tf.concat(parts, axis=0)

    fc6.get_concrete_function()  # now, not at the first face of a camera
    return fc6

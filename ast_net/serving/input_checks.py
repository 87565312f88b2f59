"""Checks inside the exported functions, by which a server refuses malformed requests."""

import numpy as np
import tensorflow as tf

# Training and prediction hold features as float16.
MAX_FEATURE = float(np.finfo(np.float16).max)
# h is a product of a sigmoid and a tanh. c grows by at most 1 a step, until in float32 c + 1 is c.
_MAX_STATE = {"h": 1.0, "c": 2.0**24}


def require_shape(name: str, values: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Refuses values of another shape.

    Servers run the functions in a session, which does not check a signature's shapes: it would
    accept a state of one cell (and broadcast it), or a face of 448x112 pixels. The static shape is
    erased first, as TensorFlow's optimiser may remove a check that the static shape satisfies.
    """
    unshaped = tf.compat.v1.placeholder_with_default(values, shape=None, name=name)
    return tf.ensure_shape(unshaped, shape)


def require_features(features: tf.Tensor) -> tf.Tensor:
    """Refuses features that are NaN, or beyond float16's range."""
    return _require_range("features", features, MAX_FEATURE)


def require_state(name: str, state: tf.Tensor) -> tf.Tensor:
    """Refuses values that an LSTM's h or c, by the end of the state's name, cannot have."""
    return _require_range(name, state, _MAX_STATE[name[-1]])


def _require_range(name: str, values: tf.Tensor, limit: float) -> tf.Tensor:
    # A comparison with NaN is false, so NaN is refused, too.
    in_range = tf.reduce_all(tf.abs(values) <= limit)
    message = f"{name}: expected numbers from -{limit:.0f} to {limit:.0f}, no NaN"
    return require(in_range, values, message)


def require_count(values: tf.Tensor, axes: int, limit: int, items: str) -> tf.Tensor:
    """Refuses a request whose first `axes` axes hold no items, or more than `limit`."""
    count = tf.reduce_prod(tf.shape(values, tf.int64)[:axes])
    message = f"expected 1 to {limit} {items} in a request, found an array of shape"
    return require((count > 0) & (count <= limit), values, message, tf.shape(values))


def require(condition: tf.Tensor, values: tf.Tensor, *message) -> tf.Tensor:
    """Returns the values if the condition holds, else fails; the message may have tensors."""
    with tf.control_dependencies([tf.debugging.Assert(condition, list(message), summarize=10)]):
        return tf.identity(values)

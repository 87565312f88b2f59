"""Checks of the exported functions: a server must refuse malformed requests, and go on."""

import numpy as np
import tensorflow as tf

# Features are kept as float16 for training and prediction.
MAX_FEATURE = float(np.finfo(np.float16).max)


def fitting(name: str, values: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Refuses values of another shape.

    Sessions, as servers run them, do not look at a signature's shapes: a state of one cell, or a
    face of 448x112 pixels, would be computed with. What is known beforehand is forgotten first,
    since an optimiser may remove a check that can only succeed.
    """
    anything = tf.compat.v1.placeholder_with_default(values, shape=None, name=name)
    return tf.ensure_shape(anything, shape)


def finite(features: tf.Tensor) -> tf.Tensor:
    """Refuses features that are NaN, or larger than float16 holds."""
    # NaN is not less than anything.
    fine = tf.reduce_all(tf.abs(features) <= MAX_FEATURE)
    message = f"features: expected numbers within {MAX_FEATURE:.0f} of 0, no NaN"
    return require(fine, features, message)


def bounded(values: tf.Tensor, axes: int, limit: int, what: str) -> tf.Tensor:
    """Refuses values that are empty or too many over their first axes."""
    count = tf.reduce_prod(tf.shape(values, tf.int64)[:axes])
    message = f"expected 1 to {limit} {what} in a request, found an array of shape"
    return require((count > 0) & (count <= limit), values, message, tf.shape(values))


def require(condition: tf.Tensor, values: tf.Tensor, *message) -> tf.Tensor:
    """Returns the values if the condition holds; tensors may be part of the message."""
    with tf.control_dependencies([tf.debugging.Assert(condition, list(message), summarize=10)]):
        return tf.identity(values)

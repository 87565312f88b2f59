"""Random changes of grey pictures that leave the expression as it is."""

import math

import tensorflow as tf

MAX_ROTATION = math.radians(12)
# Of the logarithm of the size, so that crops and margins are as likely.
MAX_LOG_SCALE = math.log(1.15)
# Of the picture's side.
MAX_SHIFT = 0.09
# Of the logarithm of gamma, and of how much lighter one edge is than the middle.
MAX_LOG_GAMMA = 0.5
MAX_LIGHT_SLOPE = 0.4
# The others keep their pixels' sharpness: they are only mirrored and moved by whole pixels.
WARPED = 0.75
ERASED = 0.5
ERASED_SIDES = (0.15, 0.45)


def augment(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors, turns, scales, shifts, lights and partly covers each picture by itself.

    Args:
      pictures: float32 [B, H, W, 1] in [0, 1].
      seed: int32 [2]; the same seed gives the same pictures.

    Returns:
      The same shape and range.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    return erase(light(warp(pictures, seeds[0]), seeds[1]), seeds[2])


def _uniform(seed: tf.Tensor, pictures: tf.Tensor, number: int) -> list[tf.Tensor]:
    """Draws `number` values in [-1, 1) for each picture, [B] each."""
    shape = tf.stack([number, tf.shape(pictures)[0]])
    return tf.unstack(tf.random.stateless_uniform(shape, seed, -1.0, 1.0), number)


def warp(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors half of the pictures, then turns, scales and shifts; edges continue mirrored."""
    height, width = pictures.shape[1:3]
    mirror, angle, log_scale, dx, dy, chance = _uniform(seed, pictures, 6)
    warped = chance < 2 * WARPED - 1
    angle = tf.where(warped, MAX_ROTATION * angle, 0.0)
    scale = tf.where(warped, tf.exp(MAX_LOG_SCALE * log_scale), 1.0)
    dx, dy = MAX_SHIFT * width * dx, MAX_SHIFT * height * dy
    dx, dy = (tf.where(warped, d, tf.round(d)) for d in (dx, dy))
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    sign = tf.sign(mirror)
    # From places in the result to places in the picture, both counted from the middle.
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    rows = [
        [sign * cos, -sign * sin, middle_x + sign * (dx - cos * middle_x + sin * middle_y)],
        [sin, cos, middle_y + dy - sin * middle_x - cos * middle_y],
        [tf.zeros_like(cos), tf.zeros_like(cos)],
    ]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack([value for row in rows for value in row], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def light(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes gamma, and lets the light come more from one side."""
    height, width = pictures.shape[1:3]
    log_gamma, slope_x, slope_y = (
        value[:, tf.newaxis, tf.newaxis, tf.newaxis] for value in _uniform(seed, pictures, 3)
    )
    x = tf.linspace(-1.0, 1.0, width)[tf.newaxis, tf.newaxis, :, tf.newaxis]
    y = tf.linspace(-1.0, 1.0, height)[tf.newaxis, :, tf.newaxis, tf.newaxis]
    gain = 1.0 + MAX_LIGHT_SLOPE / 2 * (slope_x * x + slope_y * y)
    return tf.clip_by_value(pictures ** tf.exp(MAX_LOG_GAMMA * log_gamma) * gain, 0.0, 1.0)


def erase(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Covers a rectangle in half of the pictures with their mean (random erasing)."""
    height, width = pictures.shape[1:3]
    x, y, side_x, side_y, chance = (
        value[:, tf.newaxis] / 2 + 0.5 for value in _uniform(seed, pictures, 5)
    )

    def inside(places: int, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
        half = (ERASED_SIDES[0] + (ERASED_SIDES[1] - ERASED_SIDES[0]) * side) / 2
        return tf.abs(tf.linspace(0.0, 1.0, places)[tf.newaxis] - centre) < half

    covered = inside(height, y, side_y)[:, :, tf.newaxis] & inside(width, x, side_x)[:, tf.newaxis]
    covered &= (chance < ERASED)[:, :, tf.newaxis]
    mean = tf.reduce_mean(pictures, axis=(1, 2, 3), keepdims=True)
    return tf.where(covered[..., tf.newaxis], mean, pictures)

"""The loss of AST-Net: equations 1 to 6 of the paper.

B is the number of clips, N of frames in a clip, D of targets and M of intervals; g are labels, p
predictions. |.|^2 sums over targets.

Labels and predictions are [B, N, D]. A mask is [B, N], True for valid frames, or [B, N, D], True
for valid targets of a frame. Each term is [B], one value per clip. Invalid entries take no part in
sums, maxima and minima; N and M count the valid frames and the intervals with valid frames,
separately for each target. A clip without valid frames has a loss of 0. Labels may be NaN where the
mask is False.

All functions raise ValueError if shapes differ, because broadcasting would make a loss wrong
without notice.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from ast_net import config

Tensor: TypeAlias = tf.Tensor


def label_loss(labels: Tensor, predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """1/(2N) sum_i |g_i - p_i|^2 (section 3.4, item 1)."""
    labels, predictions, valid = _check(labels, predictions, mask)
    return _half_mean(_squares(labels, predictions, valid), valid)


def trend_loss(labels: Tensor, predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """1/(2N) sum_{i>=2} |(g_i - g_{i-1}) - (p_i - p_{i-1})|^2 (equation 3).

    i-1 is the previous frame of the clip. The first frame has none, so N - 1 differences are
    divided by 2N, as in the paper.
    """
    labels, predictions, valid = _check(labels, predictions, mask)
    both = valid[:, 1:] & valid[:, :-1]
    return _half_mean(_squares(_steps(labels), _steps(predictions), both), valid)


def local_loss(
    labels: Tensor, predictions: Tensor, mask: Tensor | None = None, num_intervals: int = 5
) -> Tensor:
    """1/(2M) sum_k |range_k(g) - range_k(p)|^2 over M equal intervals (equation 4).

    If N is not a multiple of M, interval k starts at frame floor(kN/M) and ends before frame
    floor((k+1)N/M).

    Raises:
      ValueError: there are more intervals than frames, or N is unknown when the graph is built.
    """
    labels, predictions, valid = _check(labels, predictions, mask)
    frames = labels.shape[1]
    if frames is None or not 1 <= num_intervals <= frames:
        raise ValueError(
            f"found {num_intervals} intervals in clips of {frames} frames, expected 1 to N"
        )
    # Whether interval k contains frame i, [M, N].
    edges = [k * frames // num_intervals for k in range(1, num_intervals)]
    intervals = np.digitize(np.arange(frames), edges) == np.arange(num_intervals)[:, np.newaxis]
    # Valid frames of each interval, [B, M, N, D], and intervals with valid frames, [B, M, D].
    members = valid[:, tf.newaxis] & intervals[..., np.newaxis]
    nonempty = tf.reduce_any(members, axis=2)
    label_ranges, prediction_ranges = _ranges(labels, predictions, members)
    return _half_mean(_squares(label_ranges, prediction_ranges, nonempty), nonempty)


def global_loss(labels: Tensor, predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """|range(g) - range(p)|^2 over the whole clip, without 1/2, as in the paper (equation 5)."""
    labels, predictions, valid = _check(labels, predictions, mask)
    members = valid[:, tf.newaxis]  # the whole clip as a single interval
    nonempty = tf.reduce_any(members, axis=2)
    label_ranges, prediction_ranges = _ranges(labels, predictions, members)
    squares = _squares(label_ranges, prediction_ranges, nonempty)
    return tf.reduce_sum(squares, axis=(1, 2))


def siamese_loss(
    labels: Tensor,
    predictions: Tensor,
    twin_labels: Tensor,
    twin_predictions: Tensor,
    mask: Tensor | None = None,
    twin_mask: Tensor | None = None,
) -> Tensor:
    """1/(2N) sum_i |(g'_i - g_i) - (p'_i - p_i)|^2 (equation 6).

    The prime marks the twin clip, one frame later. A frame counts if it is valid in both clips.
    """
    labels, predictions, valid = _check(labels, predictions, mask)
    twin_labels, twin_predictions, twin_valid = _check(twin_labels, twin_predictions, twin_mask)
    labels.shape.assert_is_compatible_with(twin_labels.shape)
    both = valid & twin_valid
    steps = (twin_labels - labels, twin_predictions - predictions)
    return _half_mean(_squares(*steps, both), both)


def ccc_loss(labels: Tensor, predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """1 - concordance correlation over the batch's valid frames, averaged over targets; a scalar.

    This is not in the paper; later challenges are scored by it. A target whose labels and
    predictions are all equal to the same constant gives 1.
    """
    labels, predictions, valid = _check(labels, predictions, mask)
    count = tf.reduce_sum(tf.cast(valid, labels.dtype), axis=(0, 1))

    def mean(values: Tensor) -> Tensor:
        return tf.math.divide_no_nan(tf.reduce_sum(values, axis=(0, 1)), count)

    g, p = tf.where(valid, labels, 0), tf.where(valid, predictions, 0)
    g_mean, p_mean = mean(g), mean(p)
    g, p = tf.where(valid, g - g_mean, 0), tf.where(valid, p - p_mean, 0)
    scale = mean(tf.square(g) + tf.square(p)) + tf.square(g_mean - p_mean)
    return 1 - tf.reduce_mean(tf.math.divide_no_nan(2 * mean(g * p), scale))


class SiameseTemporalLoss(keras.layers.Layer):
    """Adds the loss of a batch of twin clips to the model, and reports its terms (equations 1, 2).

    The prediction loss is averaged over the two twin clips. A term with weight 0 is neither
    computed nor reported. Everything is float32, whatever the policy.

    Attributes:
      constraints: a variable in [0, 1] by which the weights of the local, global and Siamese terms
        are multiplied; training raises it from 0 to 1 over the first epochs. These terms do not
        distinguish a rise from a fall: a series turned upside down has the same ranges. At full
        weight from the start, they would enlarge the initial predictions' ranges in either
        direction before the label term has found the right one.
    """

    _CONSTRAINTS = ("local", "global", "siamese")

    def __init__(self, weights: config.LossWeights, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.loss_weights = weights
        self._terms = {
            term: keras.metrics.Mean(name=f"{term}_loss")
            for term in ("label", "trend", "local", "global", "siamese", "ccc")
            if self._weight(term)
        }
        self.constraints = self.add_weight((), "ones", trainable=False, name="constraints")

    def _weight(self, term: str) -> float:
        return getattr(self.loss_weights, "global_" if term == "global" else term)

    def compute_output_spec(self, inputs: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        """Returns the shape of what `call` returns; without it Keras traces `call` to find it."""
        return keras.KerasTensor(inputs["labels"].shape[:1], "float32")

    def call(self, inputs: dict[str, Tensor]) -> Tensor:
        """Returns the loss of each clip, [B].

        Args:
          inputs: labels, predictions, twin_labels, twin_predictions [B, N, D] and mask, twin_mask
            [B, N, D] or [B, N], by name.
        """
        clip = (inputs["labels"], inputs["predictions"], inputs["mask"])
        twin = (inputs["twin_labels"], inputs["twin_predictions"], inputs["twin_mask"])
        # Both in one batch, [2 B, N, D].
        both = [tf.concat(pair, axis=0) for pair in zip(clip, twin, strict=True)]
        formulas: dict[str, Callable[..., Tensor]] = {
            "label": label_loss,
            "trend": trend_loss,
            "local": functools.partial(local_loss, num_intervals=self.loss_weights.num_intervals),
            "global": global_loss,
        }
        loss = tf.zeros(tf.shape(clip[0])[0])
        for term, mean in self._terms.items():
            if term == "siamese":
                value = siamese_loss(*clip[:2], *twin[:2], clip[2], twin[2])
            elif term == "ccc":
                value = (ccc_loss(*clip) + ccc_loss(*twin)) / 2
            else:
                # Average over the clip and its twin, [2 B] -> [B].
                value = tf.reduce_mean(tf.reshape(formulas[term](*both), (2, -1)), axis=0)
            mean.update_state(value)
            strength = self.constraints if term in self._CONSTRAINTS else 1.0
            loss += strength * self._weight(term) * value
        self.add_loss(tf.reduce_mean(loss))
        return loss


def _check(labels, predictions, mask) -> tuple[Tensor, Tensor, Tensor]:
    """Returns labels, predictions and a bool mask, all [B, N, D]; no mask means all True."""
    predictions = tf.convert_to_tensor(predictions)
    labels = tf.cast(labels, predictions.dtype)
    labels.shape.assert_has_rank(3)
    labels.shape.assert_is_compatible_with(predictions.shape)
    if mask is None:
        return labels, predictions, tf.ones_like(labels, tf.bool)
    mask = tf.cast(mask, tf.bool)
    if mask.shape.rank == 2:
        mask.shape.assert_is_compatible_with(labels.shape[:2])
        return labels, predictions, mask[..., tf.newaxis] & tf.ones_like(labels, tf.bool)
    mask.shape.assert_is_compatible_with(labels.shape)
    return labels, predictions, mask


def _steps(series: Tensor) -> Tensor:
    return series[:, 1:] - series[:, :-1]


def _squares(a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
    """Computes (a - b)^2 where valid and 0 elsewhere; all [B, K, D]."""
    return tf.square(tf.where(valid, a - b, 0))


def _half_mean(squares: Tensor, valid: Tensor) -> Tensor:
    """Computes sum_d 1/(2 N_d) sum_k squares[:, k, d], where N_d counts the True in valid[:, :, d].

    Squares [B, K, D] and valid [B, N, D] give [B]. A target with N_d = 0 adds 0.
    """
    counts = tf.reduce_sum(tf.cast(valid, squares.dtype), axis=1)
    halves = tf.math.divide_no_nan(tf.reduce_sum(squares, axis=1), 2 * counts)
    return tf.reduce_sum(halves, axis=1)


def _ranges(labels: Tensor, predictions: Tensor, members: Tensor) -> list[Tensor]:
    """Computes max - min of labels and of predictions over M sets of frames, for each target.

    Args:
      labels, predictions: [B, N, D].
      members: whether a set contains a frame, bool [B, M, N, D].

    Returns:
      The ranges of labels and of predictions, [B, M, D] each; not finite if a set is empty.
    """
    series = tf.concat([labels, predictions], axis=-1)[:, tf.newaxis]
    members = tf.concat([members, members], axis=-1)
    highest = tf.reduce_max(tf.where(members, series, series.dtype.min), axis=2)
    lowest = tf.reduce_min(tf.where(members, series, series.dtype.max), axis=2)
    return tf.split(highest - lowest, 2, axis=-1)

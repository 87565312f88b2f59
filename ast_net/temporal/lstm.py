"""The LSTM layer (Hochreiter and Schmidhuber, 1997), with the gradient of its recurrence by hand.

Letters: B sequences, N frames, F inputs, U units. The gates are in Keras's order: input i, forget
f, candidate g, output o.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


class LSTM(keras.layers.Layer):
    """An LSTM with the same weights as keras.layers.LSTM.

    The inputs' part of the gates is one matrix product for all frames, before the loop; stock Keras
    computes it frame by frame. There are no cuDNN operations, so XLA can compile the layer, and a
    model trained on a GPU can be served on a CPU. Under a mixed precision policy, only that matrix
    product has low precision; the recurrence and the states are float32.
    """

    def __init__(
        self, units: int, moments: tuple[np.ndarray, np.ndarray] | None = None, **kwargs
    ) -> None:
        """Creates the layer.

        Args:
          units: U.
          moments: mean and variance [F] of the inputs; if given, the inputs are standardised.
          **kwargs: those of keras.layers.Layer.
        """
        # With autocast, Keras would also cast the states to the policy's low precision.
        super().__init__(**{**kwargs, "autocast": False})
        self.units = units
        self.state_names = (f"{self.name}_h", f"{self.name}_c")
        if moments is not None:
            mean, variance = (np.asarray(moment, np.float64) for moment in moments)
            # As in keras.layers.Normalization.
            moments = mean, np.maximum(np.sqrt(variance), keras.config.epsilon())
        self._mean_and_deviation = moments

    def build(self, input_shape):
        gates = 4 * self.units
        self.kernel = self.add_weight((input_shape[-1], gates), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            (self.units, gates), "orthogonal", autocast=False, name="recurrent_kernel"
        )
        self.bias = self.add_weight((gates,), _forget_bias, autocast=False, name="bias")

    def compute_output_spec(self, inputs, has_face, initial_state=None, unroll=False):
        """Returns the shapes of `call`'s outputs, which Keras would otherwise find by tracing."""
        shapes = (*inputs.shape[:2], self.units), *[(inputs.shape[0], self.units)] * 2
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def folded_weights(self) -> list[np.ndarray]:
        """Computes the weights of the same LSTM without moments, in float64, rounded once.

        (x - mean) / std @ kernel + bias = x @ (kernel / std) + (bias - mean @ (kernel / std)).
        """
        kernel, recurrent_kernel, bias = self.get_weights()
        if self._mean_and_deviation is not None:
            mean, deviation = self._mean_and_deviation
            kernel = kernel / deviation[:, np.newaxis]
            bias = bias - mean @ kernel
        return [kernel.astype(np.float32), recurrent_kernel, bias.astype(np.float32)]

    def call(self, inputs, has_face, initial_state=None, unroll=False):
        """Runs over the frames and skips those without a face.

        Args:
          inputs: [B, N, F].
          has_face: bool [B, N]; where it is False, states and output stay as they are.
          initial_state: h and c, [B, U] each; None for zeros.
          unroll: whether to unroll the loop over the frames, which fixes N.

        Returns:
          The outputs [B, N, U], and h and c [B, U] after the last frame.
        """
        gates = self._input_gates(inputs)
        if initial_state is None:
            initial_state = [tf.zeros((tf.shape(inputs)[0], self.units))] * 2
        h, c = initial_state
        recurrent_kernel = self.recurrent_kernel.value
        if unroll:
            outputs = []
            for frame in range(inputs.shape[1]):
                skipped = ~has_face[:, frame, tf.newaxis]
                h, c, _ = _step(gates[:, frame], skipped, recurrent_kernel, h, c)
                outputs.append(h)
            return tf.stack(outputs, axis=1), h, c
        # The loop runs over the first axis: [N, B, ...].
        frames = tf.transpose(gates, (1, 0, 2))
        skipped = ~tf.transpose(has_face)[..., tf.newaxis]
        hs, h, c = _recurrence(frames, skipped, recurrent_kernel, h, c)
        return tf.transpose(hs, (1, 0, 2)), h, c

    def _input_gates(self, inputs: tf.Tensor) -> tf.Tensor:
        """Computes the inputs' part of the gates, [B, N, 4U] from [B, N, F]."""
        # One product of two matrices takes half the time of one for each of B sequences.
        rows = tf.reshape(inputs, (-1, inputs.shape[-1]))
        low, kernel, bias = self.compute_dtype, self.kernel.value, self.bias.value
        if self._mean_and_deviation is not None:
            mean, deviation = (x.astype(np.float32) for x in self._mean_and_deviation)
            kernel = kernel * (1 / deviation)[:, np.newaxis]
            if low == "float32":  # As in `folded_weights`, instead of standardising each frame.
                bias = bias - tf.linalg.matvec(kernel, mean, transpose_a=True)
            else:  # In low precision, what is left of features with a large mean would be coarse.
                rows = tf.cast(rows, tf.float32) - mean
        gates = tf.cast(tf.cast(rows, low) @ tf.cast(kernel, low), tf.float32) + bias
        return tf.reshape(gates, (-1, tf.shape(inputs)[1], 4 * self.units))


def _step(
    gates: tf.Tensor, skipped: tf.Tensor, recurrent_kernel: tf.Tensor, h: tf.Tensor, c: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Passes from one frame to the next.

    Args:
      gates: the inputs' part, [B, 4U].
      skipped: bool [B, 1].
      recurrent_kernel: [U, 4U].
      h, c: the states before the frame, [B, U].

    Returns:
      The states h and c after it, and the gates [B, 4U].
    """
    i, f, g, o = tf.split(gates + h @ recurrent_kernel, 4, axis=-1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    new_c = f * c + i * g
    new_h = o * tf.tanh(new_c)
    gates = tf.concat([i, f, g, o], axis=-1)
    return tf.where(skipped, h, new_h), tf.where(skipped, c, new_c), gates


@tf.custom_gradient
def _recurrence(
    frames: tf.Tensor, skipped: tf.Tensor, recurrent_kernel: tf.Tensor, h: tf.Tensor, c: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], Callable]:
    """Passes over all frames, with the arguments of `_step` as [N, B, ...].

    Returns h after each frame [N, B, U], and the last h and c. With TensorFlow's own gradient, the
    recurrent kernel's would be a product for each frame, and all that `_step` computes would be
    kept. Here only states and gates are, and the kernel's gradient is one product.
    """

    def forward(state: tuple, frame: tuple) -> tuple:
        (h, c, _), (gates, skipped) = state, frame
        return _step(gates, skipped, recurrent_kernel, h, c)

    nothing = tf.zeros_like(frames[0])
    hs, cs, gates = tf.scan(forward, (frames, skipped), (h, c, nothing))

    def gradient(d_hs: tf.Tensor, d_last_h: tf.Tensor, d_last_c: tf.Tensor) -> tuple:
        """d_x is the loss's derivative by x; y_x is y's derivative by x within a frame."""
        earlier_hs = tf.concat([h[tf.newaxis], hs[:-1]], axis=0)
        earlier_cs = tf.concat([c[tf.newaxis], cs[:-1]], axis=0)
        i, f, g, o = tf.split(gates, 4, axis=-1)
        tanh_c = tf.tanh(cs)
        c_i, c_f, c_g = g * i * (1 - i), earlier_cs * f * (1 - f), i * (1 - g**2)
        h_o, h_c = tanh_c * o * (1 - o), o * (1 - tanh_c**2)
        slopes = tf.where(skipped, 0.0, tf.concat([c_i, c_f, c_g, h_o], axis=-1))
        h_c, c_c = tf.where(skipped, 0.0, h_c), tf.where(skipped, 1.0, f)
        h_h = tf.cast(skipped, tf.float32)

        def backward(state: tuple, frame: tuple) -> tuple:
            d_h, d_c, _ = state
            d_output, slopes, h_c, c_c, h_h = frame
            d_h += d_output
            d_c += d_h * h_c
            d_gates = tf.concat([d_c, d_c, d_c, d_h], axis=-1) * slopes
            d_earlier_h = tf.matmul(d_gates, recurrent_kernel, transpose_b=True) + d_h * h_h
            return d_earlier_h, d_c * c_c, d_gates

        steps = (d_hs, slopes, h_c, c_c, h_h)
        d_h, d_c, d_gates = tf.scan(backward, steps, (d_last_h, d_last_c, nothing), reverse=True)
        d_recurrent_kernel = tf.einsum("nbu,nbg->ug", earlier_hs, d_gates)
        return d_gates, None, d_recurrent_kernel, d_h[0], d_c[0]

    return (hs, hs[-1], cs[-1]), gradient


def _forget_bias(shape, dtype=None):
    """Initial bias: 1 for the forget gate (Jozefowicz et al., ICML 2015), else 0, as in Keras."""
    zeros, ones = tf.zeros(shape[0] // 4, dtype), tf.ones(shape[0] // 4, dtype)
    return tf.concat([zeros, ones, zeros, zeros], axis=0)

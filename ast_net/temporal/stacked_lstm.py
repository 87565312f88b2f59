"""The stacked LSTM: fc6 of a clip to its valence and arousal (sections 3.3 and 4.3)."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from ast_net import files


def build_stacked_lstm(
    feature_size: int = 4096,
    units: Sequence[int] = (50, 40),
    targets: int = 2,
    policy: str = "float32",
    moments: tuple[np.ndarray, np.ndarray] | None = None,
) -> keras.Model:
    """Builds the temporal model [B, N, F] -> [B, N, D], for any N; 844,042 parameters by default.

    A frame without a face is a row of zeros: the LSTMs skip it, so that their state and the
    prediction stay what they were at the step before.

    Args:
      feature_size: F.
      units: cells of each layer, from the features up.
      targets: D.
      policy: a Keras dtype policy; mixed_bfloat16 computes the inputs' part of the gates in
        bfloat16.
      moments: for training, mean and variance [F] of the training features, to standardise them by.
        Without, features far from mean 0 and variance 1 saturate the gates, and the loss stays
        where it is. `folded` makes them part of the weights.
    """

    # One by one: Keras draws the seed of a layer's weights when the layer is made.
    def layers() -> Iterator[keras.layers.Layer]:
        if moments is not None:
            name = "standardise"
            yield keras.layers.Normalization(-1, *moments, dtype="float32", name=name)
        for number, size in enumerate(units, start=1):
            yield LSTM(size, dtype=policy, name=f"lstm_{number}")
        yield keras.layers.Dense(targets, dtype="float32", name="predictions")

    features = keras.Input((None, feature_size), name="features")
    predictions, _ = _applied(layers(), features)
    return keras.Model(features, predictions, name="stacked_lstm")


def folded(stacked_lstm: keras.Model) -> keras.Model:
    """Builds the network for inference: float32, standardising by the first LSTM's weights.

    (x - mean) / std @ kernel + bias = x @ (kernel / std) + (bias - (mean / std) @ kernel), computed
    in float64 and rounded once. Rows of zeros make no difference: the LSTMs skip them before and
    after.

    Args:
      stacked_lstm: of `build_stacked_lstm`, with or without moments, in any policy.
    """
    inputs, outputs = stacked_lstm.input.shape[-1], stacked_lstm.output.shape[-1]
    units = [layer.units for layer in stacked_lstm.layers if isinstance(layer, LSTM)]
    network = build_stacked_lstm(inputs, units, outputs)
    network.set_weights(stacked_lstm.get_weights())
    standardise, first = _layers(stacked_lstm)[0], _layers(network)[0]
    if isinstance(standardise, keras.layers.Normalization):
        moments = (standardise.mean, standardise.variance)
        mean, variance = (np.ravel(moment).astype(np.float64) for moment in moments)
        # As the layer divides.
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        kernel, bias = (np.asarray(w, np.float64) for w in (first.kernel, first.bias))
        first.kernel.assign(kernel / deviation[:, np.newaxis])
        first.bias.assign(bias - (mean / deviation) @ kernel)
    return network


def save(stacked_lstm: keras.Model, path: str | pathlib.Path) -> None:
    """Writes the weights of the `folded` model, whole or not at all.

    Args:
      stacked_lstm: of `build_stacked_lstm`.
      path: ends in .weights.h5.
    """
    network = folded(stacked_lstm)
    with files.whole(path) as temporary:
        network.save_weights(temporary)


def build_stateful(stacked_lstm: keras.Model, frames: int | None = None) -> keras.Model:
    """Builds a model of the same layers that takes and gives their states, to continue a sequence.

    Inputs and outputs are dicts: features [B, N, F] in, predictions [B, N, D] out, and the states
    of `state_sizes` both in and out; zeros start a sequence.

    Args:
      stacked_lstm: its weights are shared.
      frames: N, to compute that many frames without a loop; None for any N.
    """
    features = keras.Input((frames, stacked_lstm.input.shape[-1]), name="features")
    states = {n: keras.Input((size,), name=n) for n, size in state_sizes(stacked_lstm).items()}
    layers, unroll = _layers(stacked_lstm), frames is not None
    predictions, new_states = _applied(layers, features, states, unroll)
    outputs = {"predictions": predictions, **new_states}
    return keras.Model({"features": features, **states}, outputs, name="stateful_stacked_lstm")


def build_unrolled(stacked_lstm: keras.Model, frames: int) -> keras.Model:
    """Builds the same layers for clips of that many frames, [B, N, F] -> [B, N, D], without a loop.

    Args:
      stacked_lstm: its weights are shared.
      frames: N.
    """
    features = keras.Input((frames, stacked_lstm.input.shape[-1]), name="features")
    predictions, _ = _applied(_layers(stacked_lstm), features, unroll=True)
    return keras.Model(features, predictions, name="unrolled_stacked_lstm")


def state_sizes(stacked_lstm: keras.Model) -> dict[str, int]:
    """Returns the units of the states by name: lstm_k_h and lstm_k_c, [B, units], of LSTM k."""
    layers = [layer for layer in stacked_lstm.layers if isinstance(layer, LSTM)]
    return {name: layer.units for layer in layers for name in layer.state_names}


def _layers(stacked_lstm: keras.Model) -> list[keras.layers.Layer]:
    """The layers from the features up, without the operations that find frames without a face."""
    kinds = (keras.layers.Normalization, LSTM, keras.layers.Dense)
    return [layer for layer in stacked_lstm.layers if isinstance(layer, kinds)]


def _applied(
    layers: Iterable[keras.layers.Layer],
    features: keras.KerasTensor,
    states: Mapping[str, keras.KerasTensor] | None = None,
    unroll: bool = False,
) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
    """The layers on features [B, N, F]: predictions [B, N, D], and the states after them."""
    # False where a frame has no face: all its features are 0.
    present = keras.ops.any(keras.ops.not_equal(features, 0), axis=-1)
    hidden = features
    new_states: dict[str, keras.KerasTensor] = {}
    for layer in layers:
        if isinstance(layer, LSTM):
            initial = None if states is None else [states[name] for name in layer.state_names]
            hidden, *after = layer(hidden, present, initial, unroll=unroll)
            new_states.update(zip(layer.state_names, after, strict=True))
        else:
            hidden = layer(hidden)
    return hidden, new_states


class LSTM(keras.layers.Layer):
    """LSTM (Hochreiter and Schmidhuber, 1997) with the weights of keras.layers.LSTM, in its order.

    The inputs' part of the gates is one matrix product for all time steps, outside the loop; stock
    Keras does it step by step. It contains no cuDNN operation, so that XLA compiles it and a model
    trained on a GPU serves on a CPU. Under a mixed precision policy only that product is in low
    precision: the recurrence and the state stay float32.
    """

    def __init__(self, units: int, **kwargs):
        # Keras would cast the state to the policy's low precision, too.
        super().__init__(**{**kwargs, "autocast": False})
        self.units = units
        self.state_names = (f"{self.name}_h", f"{self.name}_c")

    def build(self, input_shape):
        gates = 4 * self.units
        self.kernel = self.add_weight((input_shape[-1], gates), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            (self.units, gates), "orthogonal", autocast=False, name="recurrent_kernel"
        )
        self.bias = self.add_weight((gates,), _forget_bias, autocast=False, name="bias")

    def compute_output_spec(self, inputs, present, initial_state=None, unroll=False):
        """Returns the shapes of what `call` returns; without it Keras traces `call` to find them."""
        shapes = (*inputs.shape[:2], self.units), *[(inputs.shape[0], self.units)] * 2
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def call(self, inputs, present, initial_state=None, unroll=False):
        """Runs over the frames, skipping those without a face.

        Args:
          inputs: [B, N, F].
          present: [B, N], True where there is a face; elsewhere state and output stay as they are.
          initial_state: h and c, [B, units] each; zeros by default.
          unroll: as operations one after the other, without a loop; N is fixed then.

        Returns:
          The outputs [B, N, units], and h and c [B, units] after the last frame.
        """
        low = self.compute_dtype
        gates = keras.ops.matmul(tf.cast(inputs, low), tf.cast(self.kernel, low))
        gates = tf.cast(gates, tf.float32) + self.bias
        if initial_state is None:
            initial_state = [tf.zeros((tf.shape(inputs)[0], self.units))] * 2
        state = tuple(initial_state)
        if unroll:
            outputs = []
            for frame in range(inputs.shape[1]):
                state = self._step(state, (gates[:, frame], present[:, frame, tf.newaxis]))
                outputs.append(state[0])
            return tf.stack(outputs, axis=1), *state
        frames = (tf.transpose(gates, (1, 0, 2)), tf.transpose(present)[..., tf.newaxis])
        h, c = tf.scan(self._step, frames, state)
        return tf.transpose(h, (1, 0, 2)), h[-1], c[-1]

    def _step(self, state, frame):
        (h, c), (gates, valid) = state, frame
        i, f, g, o = tf.split(gates + tf.matmul(h, self.recurrent_kernel), 4, axis=-1)
        new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        new_h = tf.sigmoid(o) * tf.tanh(new_c)
        return tf.where(valid, new_h, h), tf.where(valid, new_c, c)


def _forget_bias(shape, dtype=None):
    """Zeros, and ones for the forget gate (Jozefowicz et al., ICML 2015), as in stock Keras."""
    zeros, ones = tf.zeros(shape[0] // 4, dtype), tf.ones(shape[0] // 4, dtype)
    return tf.concat([zeros, ones, zeros, zeros], axis=0)

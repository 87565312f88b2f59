"""Builds the stacked LSTM, from fc6 features to valence and arousal (sections 3.3 and 4.3)."""

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

    A frame without a face has features of all zeros. The LSTMs skip it: their states and the
    prediction stay as they were at the previous frame.

    Args:
      feature_size: F.
      units: number of cells of each LSTM layer, first to last.
      targets: D.
      policy: a Keras dtype policy; mixed_bfloat16 computes the inputs' part of the gates in
        bfloat16.
      moments: mean and variance [F] of the training features; if given, the features are
        standardised. Otherwise features far from mean 0 and variance 1 saturate the gates in
        training, and the loss does not fall. `folded` merges the moments into the weights.
    """

    # A generator, because Keras draws the seed of a layer's weights when the layer is created.
    def layers() -> Iterator[keras.layers.Layer]:
        if moments is not None:
            name = "standardise"
            yield keras.layers.Normalization(-1, *moments, dtype="float32", name=name)
        for number, size in enumerate(units, start=1):
            yield LSTM(size, dtype=policy, name=f"lstm_{number}")
        yield keras.layers.Dense(targets, dtype="float32", name="predictions")

    features = keras.Input((None, feature_size), name="features")
    predictions, _ = _apply_layers(layers(), features)
    return keras.Model(features, predictions, name="stacked_lstm")


def folded(stacked_lstm: keras.Model) -> keras.Model:
    """Builds the network for inference: float32, with the moments merged into the first LSTM.

    (x - mean) / std @ kernel + bias = x @ (kernel / std) + (bias - (mean / std) @ kernel), computed
    in float64 and rounded once. Frames without a face are not affected, because the LSTMs skip
    them.

    Args:
      stacked_lstm: a model of `build_stacked_lstm`, with or without moments, in any policy.
    """
    inputs, outputs = stacked_lstm.input.shape[-1], stacked_lstm.output.shape[-1]
    units = [layer.units for layer in stacked_lstm.layers if isinstance(layer, LSTM)]
    network = build_stacked_lstm(inputs, units, outputs)
    network.set_weights(stacked_lstm.get_weights())
    standardise, first = _layers(stacked_lstm)[0], _layers(network)[0]
    if isinstance(standardise, keras.layers.Normalization):
        moments = (standardise.mean, standardise.variance)
        mean, variance = (np.ravel(moment).astype(np.float64) for moment in moments)
        # keras.layers.Normalization divides by this, too.
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        kernel, bias = (np.asarray(w, np.float64) for w in (first.kernel, first.bias))
        first.kernel.assign(kernel / deviation[:, np.newaxis])
        first.bias.assign(bias - (mean / deviation) @ kernel)
    return network


def save(stacked_lstm: keras.Model, path: str | pathlib.Path) -> None:
    """Writes the weights of the `folded` model, whole or not at all.

    Args:
      stacked_lstm: a model of `build_stacked_lstm`.
      path: the file; its name must end in .weights.h5.
    """
    network = folded(stacked_lstm)
    with files.whole(path) as temporary:
        network.save_weights(temporary)


def build_stateful(stacked_lstm: keras.Model, frames: int | None = None) -> keras.Model:
    """Builds a model that can continue a sequence: the LSTMs' states are inputs and outputs.

    Inputs and outputs are dicts. The inputs are features [B, N, F] and the states of `state_sizes`;
    states of all zeros start a sequence. The outputs are predictions [B, N, D] and the new states.

    Args:
      stacked_lstm: the model whose layers, and so weights, are shared.
      frames: N, if the model shall be for this number of frames and unrolled; None for any N.
    """
    features = keras.Input((frames, stacked_lstm.input.shape[-1]), name="features")
    states = {n: keras.Input((size,), name=n) for n, size in state_sizes(stacked_lstm).items()}
    layers, unroll = _layers(stacked_lstm), frames is not None
    predictions, new_states = _apply_layers(layers, features, states, unroll)
    outputs = {"predictions": predictions, **new_states}
    return keras.Model({"features": features, **states}, outputs, name="stateful_stacked_lstm")


def build_unrolled(stacked_lstm: keras.Model, frames: int) -> keras.Model:
    """Builds a model [B, N, F] -> [B, N, D] for a fixed N, with the loop over frames unrolled.

    Args:
      stacked_lstm: the model whose layers, and so weights, are shared.
      frames: N.
    """
    features = keras.Input((frames, stacked_lstm.input.shape[-1]), name="features")
    predictions, _ = _apply_layers(_layers(stacked_lstm), features, unroll=True)
    return keras.Model(features, predictions, name="unrolled_stacked_lstm")


def state_sizes(stacked_lstm: keras.Model) -> dict[str, int]:
    """Returns the size of each state by name: lstm_k_h and lstm_k_c, [B, units], of LSTM k."""
    layers = [layer for layer in stacked_lstm.layers if isinstance(layer, LSTM)]
    return {name: layer.units for layer in layers for name in layer.state_names}


def _layers(stacked_lstm: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers in order, without the operations that detect frames without a face."""
    kinds = (keras.layers.Normalization, LSTM, keras.layers.Dense)
    return [layer for layer in stacked_lstm.layers if isinstance(layer, kinds)]


def _apply_layers(
    layers: Iterable[keras.layers.Layer],
    features: keras.KerasTensor,
    states: Mapping[str, keras.KerasTensor] | None = None,
    unroll: bool = False,
) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
    """Applies layers to features [B, N, F]; returns predictions [B, N, D] and the final states."""
    # A frame without a face has features of all zeros.
    has_face = keras.ops.any(keras.ops.not_equal(features, 0), axis=-1)
    hidden = features
    new_states: dict[str, keras.KerasTensor] = {}
    for layer in layers:
        if isinstance(layer, LSTM):
            initial = None if states is None else [states[name] for name in layer.state_names]
            hidden, *final = layer(hidden, has_face, initial, unroll=unroll)
            new_states.update(zip(layer.state_names, final, strict=True))
        else:
            hidden = layer(hidden)
    return hidden, new_states


class LSTM(keras.layers.Layer):
    """An LSTM (Hochreiter and Schmidhuber, 1997) with the same weights as keras.layers.LSTM.

    The inputs' part of the gates is one matrix product for all frames, before the loop; stock Keras
    computes it frame by frame. There are no cuDNN operations, so XLA can compile the layer, and a
    model trained on a GPU can be served on a CPU. Under a mixed precision policy, only that matrix
    product has low precision; the recurrence and the states are float32.
    """

    def __init__(self, units: int, **kwargs):
        # With autocast, Keras would also cast the states to the policy's low precision.
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

    def compute_output_spec(self, inputs, has_face, initial_state=None, unroll=False):
        """Returns the shapes of `call`'s outputs, which Keras would otherwise find by tracing."""
        shapes = (*inputs.shape[:2], self.units), *[(inputs.shape[0], self.units)] * 2
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def call(self, inputs, has_face, initial_state=None, unroll=False):
        """Runs over the frames and skips those without a face.

        Args:
          inputs: [B, N, F].
          has_face: bool [B, N]; where it is False, states and output stay as they are.
          initial_state: h and c, [B, units] each; None for zeros.
          unroll: whether to unroll the loop over the frames, which fixes N.

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
                state = self._step(state, (gates[:, frame], has_face[:, frame, tf.newaxis]))
                outputs.append(state[0])
            return tf.stack(outputs, axis=1), *state
        # tf.scan runs over the first axis: [N, B, ...].
        frames = (tf.transpose(gates, (1, 0, 2)), tf.transpose(has_face)[..., tf.newaxis])
        h, c = tf.scan(self._step, frames, state)
        return tf.transpose(h, (1, 0, 2)), h[-1], c[-1]

    def _step(self, state, frame):
        (h, c), (gates, has_face) = state, frame
        i, f, g, o = tf.split(gates + tf.matmul(h, self.recurrent_kernel), 4, axis=-1)
        new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        new_h = tf.sigmoid(o) * tf.tanh(new_c)
        return tf.where(has_face, new_h, h), tf.where(has_face, new_c, c)


def _forget_bias(shape, dtype=None):
    """Initial bias: 1 for the forget gate (Jozefowicz et al., ICML 2015), else 0, as in Keras."""
    zeros, ones = tf.zeros(shape[0] // 4, dtype), tf.ones(shape[0] // 4, dtype)
    return tf.concat([zeros, ones, zeros, zeros], axis=0)

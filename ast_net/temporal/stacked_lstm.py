"""The stacked LSTM: fc6 of a clip to its valence and arousal (sections 3.3 and 4.3)."""

import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from ast_net import errors, shipped


def build_stacked_lstm(
    feature_size: int = 4096,
    units: Sequence[int] = (50, 40),
    targets: int = 2,
    policy: str = "float32",
    moments: tuple[np.ndarray, np.ndarray] | None = None,
) -> keras.Model:
    """The temporal model [B, N, F] -> [B, N, D], for any N; 844,042 parameters at these defaults.

    A frame without a face is a row of zeros: the LSTMs skip it, so that their state and the prediction
    stay what they were at the last face (with stride S, S frames earlier).

    Args:
      feature_size: F.
      units: cells of each layer, from the features up.
      targets: D.
      policy: a Keras dtype policy; mixed_bfloat16 computes the inputs' part of the gates in bfloat16.
      moments: mean and variance [F] of the training features, to standardise them by. Without, features
        far from mean 0 and variance 1 saturate the gates, and nothing is learned.
    """
    mean, variance = moments or (np.zeros(feature_size), np.ones(feature_size))
    features = keras.Input((None, feature_size), name="features")
    present = _present(features)
    hidden = keras.layers.Normalization(
        mean=mean, variance=variance, dtype="float32", name="standardise"
    )(features)
    for number, size in enumerate(units, start=1):
        hidden, _, _ = LSTM(size, dtype=policy, name=f"lstm_{number}")(hidden, present)
    predictions = keras.layers.Dense(targets, dtype="float32", name="predictions")(hidden)
    return keras.Model(features, predictions, name="stacked_lstm")


def load(path: str | pathlib.Path = shipped.STACKED_LSTM) -> keras.Model:
    """A trained temporal model; by default the package's own, for the features of its `compact`.

    Raises:
      InputError: the file is missing or not such a model.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise errors.InputError(f"{path}: no such model; train first, with --workdir={path.parent}")
    try:
        return keras.models.load_model(path)
    except (ValueError, OSError, KeyError) as error:
        raise errors.InputError(
            f"{path}: no model that can be read ({error}); train again in another workdir"
        ) from error


def build_stateful(stacked_lstm: keras.Model, frames: int | None = None) -> keras.Model:
    """The same layers with their state in the open, to go on where an earlier call stopped.

    Inputs and outputs are dicts: features [B, N, F] in, predictions [B, N, D] out, and for each LSTM k
    lstm_k_h and lstm_k_c [B, units] both in and out; zeros start a sequence.

    Args:
      stacked_lstm: its weights are shared.
      frames: N, to compute that many frames without a loop; None for any N.
    """
    features = keras.Input((frames, stacked_lstm.input.shape[-1]), name="features")
    inputs: dict[str, keras.KerasTensor] = {"features": features}
    outputs: dict[str, keras.KerasTensor] = {}
    present = _present(features)
    hidden = stacked_lstm.get_layer("standardise")(features)
    for layer in lstm_layers(stacked_lstm):
        names = (f"{layer.name}_h", f"{layer.name}_c")
        states = [keras.Input((layer.units,), name=name) for name in names]
        hidden, *new_states = layer(hidden, present, states, unroll=frames is not None)
        inputs.update(zip(names, states, strict=True))
        outputs.update(zip(names, new_states, strict=True))
    outputs["predictions"] = stacked_lstm.get_layer("predictions")(hidden)
    return keras.Model(inputs, outputs, name="stateful_stacked_lstm")


def lstm_layers(stacked_lstm: keras.Model) -> list["LSTM"]:
    """The LSTM layers, from the features up."""
    return [layer for layer in stacked_lstm.layers if isinstance(layer, LSTM)]


def _present(features):
    """[B, N, F] -> [B, N], False where a frame has no face, which all its features being 0 says."""
    return keras.ops.any(keras.ops.not_equal(features, 0), axis=-1)


@keras.saving.register_keras_serializable(package="ast_net")
class LSTM(keras.layers.Layer):
    """LSTM (Hochreiter and Schmidhuber, 1997) with the weights of keras.layers.LSTM, in its order.

    The inputs' part of the gates is one matrix product for all time steps, outside the loop; stock Keras
    does it step by step. It contains no cuDNN operation, so that XLA compiles it and a model trained
    on a GPU serves on a CPU. Under a mixed precision policy only that product is in low precision: the
    recurrence and the state stay float32.
    """

    def __init__(self, units: int, **kwargs):
        # Keras would cast the state to the policy's low precision, too.
        super().__init__(**{**kwargs, "autocast": False})
        self.units = units

    def build(self, input_shape):
        gates = 4 * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], gates), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, gates),
            initializer="orthogonal",
            autocast=False,
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(gates,), initializer=_forget_bias, autocast=False, name="bias"
        )

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

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}


def _forget_bias(shape, dtype=None):
    """Zeros, and ones for the forget gate (Jozefowicz et al., ICML 2015), as in stock Keras."""
    zeros, ones = tf.zeros(shape[0] // 4, dtype), tf.ones(shape[0] // 4, dtype)
    return tf.concat([zeros, ones, zeros, zeros], axis=0)

"""Builds the stacked LSTM, from fc6 features to valence and arousal (sections 3.3 and 4.3)."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np

from ast_net import files
from ast_net.temporal import lstm


def build_stacked_lstm(
    feature_size: int = 4096,
    units: Sequence[int] = (50, 40),
    targets: int = 2,
    policy: str = "float32",
    moments: tuple[np.ndarray, np.ndarray] | None = None,
    feature_dtype: str = "float32",
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
      feature_dtype: the input's type; float16 to train on features as they are stored, which takes
        half the memory until the first product.
    """

    # A generator, because Keras draws the seed of a layer's weights when the layer is created.
    def layers() -> Iterator[keras.layers.Layer]:
        for number, size in enumerate(units, start=1):
            first = moments if number == 1 else None
            yield lstm.LSTM(size, first, dtype=policy, name=f"lstm_{number}")
        yield keras.layers.Dense(targets, dtype="float32", name="predictions")

    features = keras.Input((None, feature_size), dtype=feature_dtype, name="features")
    predictions, _ = _apply_layers(layers(), features)
    return keras.Model(features, predictions, name="stacked_lstm")


def folded(stacked_lstm: keras.Model) -> keras.Model:
    """Builds the network for inference: float32, with the moments merged into the first LSTM.

    Frames without a face are not affected, because the LSTMs skip them.

    Args:
      stacked_lstm: a model of `build_stacked_lstm`, with or without moments, in any policy.
    """
    inputs, outputs = stacked_lstm.input.shape[-1], stacked_lstm.output.shape[-1]
    units = [layer.units for layer in _lstms(stacked_lstm)]
    network = build_stacked_lstm(inputs, units, outputs)
    network.set_weights(stacked_lstm.get_weights())
    _lstms(network)[0].set_weights(_lstms(stacked_lstm)[0].folded_weights())
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
    return {name: layer.units for layer in _lstms(stacked_lstm) for name in layer.state_names}


def _lstms(stacked_lstm: keras.Model) -> list[lstm.LSTM]:
    return [layer for layer in stacked_lstm.layers if isinstance(layer, lstm.LSTM)]


def _layers(stacked_lstm: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers in order, without the operations that detect frames without a face."""
    return [*_lstms(stacked_lstm), stacked_lstm.get_layer("predictions")]


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
        if isinstance(layer, lstm.LSTM):
            initial = None if states is None else [states[name] for name in layer.state_names]
            hidden, *final = layer(hidden, has_face, initial, unroll=unroll)
            new_states.update(zip(layer.state_names, final, strict=True))
        else:
            hidden = layer(hidden)
    return hidden, new_states

"""Builds the temporal model's two graphs, which every export format has."""

import keras

from ast_net.temporal import stacked_lstm, temporal_model

# Prefix of the new states of `step`: in OpenVINO and ONNX an output must not have an input's name.
NEXT = "next_"


def clips(model: temporal_model.TemporalModel, frames: int | None = None) -> keras.Model:
    """Builds features [B, N, F] -> each target by its name, [B, N].

    Args:
      model: the temporal model, whose weights the graph shares.
      frames: N, to compute exactly N frames without a loop; None for any N.
    """
    network = model.network
    if frames is not None:
        network = stacked_lstm.build_unrolled(network, frames)
    features = keras.Input((frames, model.spec.feature_size), name="features")
    outputs = _by_target(model, network(features))
    return keras.Model({"features": features}, outputs, name="temporal")


def step(model: temporal_model.TemporalModel) -> keras.Model:
    """Builds features [B, F], states lstm_k_h, lstm_k_c [B, units] -> each target [B], new states.

    Args:
      model: the temporal model, whose weights the graph shares.
    """
    stateful = stacked_lstm.build_stateful(model.network, frames=1)
    features = keras.Input((model.spec.feature_size,), name="features")
    sizes = stacked_lstm.state_sizes(model.network)
    states = {name: keras.Input((size,), name=name) for name, size in sizes.items()}
    answer = stateful({"features": keras.ops.expand_dims(features, 1), **states})
    new_states = {f"{NEXT}{name}": answer[name] for name in states}
    outputs = {**_by_target(model, answer["predictions"][:, 0]), **new_states}
    return keras.Model({"features": features, **states}, outputs, name="step")


def _by_target(model: temporal_model.TemporalModel, predictions) -> dict:
    """Splits predictions [..., D] into D arrays [...] by the names of the targets."""
    targets = model.spec.targets
    parts = keras.ops.split(predictions, len(targets), axis=-1)
    return {name: keras.ops.squeeze(part, -1) for name, part in zip(targets, parts, strict=True)}

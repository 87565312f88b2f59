"""Predicts faces that do not move, such as those of photographs."""

import math

import numpy as np

from ast_net.temporal import temporal_model

# How long the LSTM sees a still face, from states of zeros. The prediction has settled then
# (WORKSPACE_NOTES.md).
SECONDS = 5.0


def steps(time_step: float) -> int:
    """Returns how often the LSTM sees a still face, for a time step in seconds."""
    return math.ceil(SECONDS / time_step)


def predict(model: temporal_model.TemporalModel, features: np.ndarray) -> np.ndarray:
    """Predicts faces as at the end of films that show each of them, still, for SECONDS.

    Args:
      model: the temporal model.
      features: fc6 of the faces, [n, F].

    Returns:
      The predictions, float32 [n, D].
    """
    count = steps(model.spec.time_step)
    shown = np.repeat(features[:, np.newaxis].astype(np.float32), count, axis=1)
    return model.network.predict_on_batch(shown)[:, -1]

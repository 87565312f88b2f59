"""Valence and arousal of consecutive frames, as they come: causal, with constant time and memory a frame."""

import keras
import numpy as np
import tensorflow as tf

from ast_net.temporal import stacked_lstm as lstm


class StreamingPredictor:
    """Runs a stacked LSTM over a recording at the stride it was trained with.

    A recording has S interleaved phases: frames 0, S, 2S, ..., then 1, S + 1, ... and so on. Each is one
    sequence at the model's stride, with an LSTM state of its own that is carried from call to call, so
    that how a recording is divided into calls changes nothing. Where a frame has no face (all its
    features are 0) its phase's prediction stays what it was.
    """

    def __init__(self, stacked_lstm: keras.Model, stride: int):
        if stride < 1:
            raise ValueError(f"the stride must be at least 1, found {stride}")
        self._stride = stride
        self._feature_size = stacked_lstm.input.shape[-1]
        self._model = tf.function(lstm.build_stateful(stacked_lstm), reduce_retracing=True)
        self._state_sizes = {
            f"{layer.name}_{part}": layer.units
            for layer in lstm.lstm_layers(stacked_lstm)
            for part in "hc"
        }
        self.reset()

    def reset(self) -> None:
        """Forgets all frames: the next one is the first of a recording."""
        self._next_phase = 0
        self._states = {
            name: np.zeros((self._stride, size), np.float32)
            for name, size in self._state_sizes.items()
        }

    def predict(self, features: np.ndarray) -> np.ndarray:
        """fc6 of the recording's next frames [T, F] -> their predictions float32 [T, D].

        Raises:
          ValueError: the features are not [T, F].
        """
        if features.ndim != 2 or features.shape[1] != self._feature_size:
            raise ValueError(f"expected features [T, {self._feature_size}], found {features.shape}")
        if len(features) == 0:
            raise ValueError("expected at least one frame, found none")
        frames, stride = len(features), self._stride
        # Row r holds the frames of phase next_phase + r; zeros fill the last column, which the LSTM skips.
        steps = -(-frames // stride)
        padded = np.zeros((steps * stride, self._feature_size), np.float32)
        padded[:frames] = features
        rows = padded.reshape(steps, stride, -1).swapaxes(0, 1)[: min(frames, stride)]
        phases = (self._next_phase + np.arange(len(rows))) % stride
        inputs = {name: tf.constant(state[phases]) for name, state in self._states.items()}
        outputs = self._model({**inputs, "features": tf.constant(rows)})
        for name, state in self._states.items():
            state[phases] = outputs[name].numpy()
        self._next_phase = (self._next_phase + frames) % stride
        predictions = outputs["predictions"].numpy()
        return predictions.swapaxes(0, 1).reshape(-1, predictions.shape[-1])[:frames]

"""Predicts consecutive frames as they come: causal, with constant time and memory a frame."""

import copy

import keras
import numpy as np
import tensorflow as tf

from ast_net.temporal import stacked_lstm as lstm


class StreamingPredictor:
    """Runs a stacked LSTM over one face of a recording at the stride it was trained with.

    A recording has S interleaved phases: frames 0, S, 2S, ..., then 1, S + 1, ... and so on. Each
    is one sequence at the model's stride, with an LSTM state of its own that is carried from call
    to call, so that how a recording is divided into calls changes nothing. Where a frame has no
    face (all its features are 0) its phase's prediction stays what it was.
    """

    def __init__(self, stacked_lstm: keras.Model, stride: int, clip_frames: int | None = None):
        """Args:
        stacked_lstm: [B, N, F] -> [B, N, D].
        stride: S, frames between two frames that the LSTM sees in succession.
        clip_frames: N; every phase is cut into clips of N frames, each of which starts from
          nothing, as in training (section 3.1). None lets the state run on for the whole recording.
        """
        self._stride = stride
        self._clip_frames = clip_frames
        self._feature_size = stacked_lstm.input.shape[-1]
        self._state_sizes = lstm.state_sizes(stacked_lstm)
        signature = {name: tf.TensorSpec((None, size)) for name, size in self._state_sizes.items()}
        signature["features"] = tf.TensorSpec((None, None, self._feature_size))
        self._model = tf.function(lstm.build_stateful(stacked_lstm), input_signature=[signature])
        self.reset()

    def another(self, stride: int | None = None) -> "StreamingPredictor":
        """Returns a predictor for another face or, with a stride, another recording.

        It shares the network and starts anew.
        """
        result = copy.copy(self)
        result._stride = stride or self._stride
        result.reset()
        return result

    def reset(self) -> None:
        """Forgets all frames: the next one is the first of a recording."""
        self._frames = 0
        self._forget()

    def _forget(self) -> None:
        sizes = self._state_sizes.items()
        self._states = {name: np.zeros((self._stride, size), np.float32) for name, size in sizes}

    def predict(self, features: np.ndarray) -> np.ndarray:
        """fc6 of the recording's next frames [T, F] -> their predictions float32 [T, D].

        Raises:
          ValueError: the features are not [T, F], or there is no frame.
        """
        if features.ndim != 2 or features.shape[1] != self._feature_size:
            raise ValueError(f"expected features [T, {self._feature_size}], found {features.shape}")
        parts, rest = [], features
        while len(rest):
            frames = min(len(rest), self._frames_to_clip_end())
            parts.append(self._run(rest[:frames]))
            rest = rest[frames:]
        return np.concatenate(parts)

    def skip(self, frames: int) -> None:
        """Passes over frames without a face, or unseen ones: all states stay as they are."""
        if frames >= self._frames_to_clip_end():
            self._forget()
        self._frames += frames

    def _frames_to_clip_end(self) -> float:
        """Frames until the clips of all phases end, which they do together."""
        if self._clip_frames is None:
            return np.inf
        span = self._clip_frames * self._stride
        return span - self._frames % span

    def _run(self, features: np.ndarray) -> np.ndarray:
        """Predicts as `predict`, within a clip."""
        frames, stride = len(features), self._stride
        # Row r holds the frames of the r-th phase from now; the LSTM skips the zeros that fill up
        # the last column.
        steps = -(-frames // stride)
        padded = np.zeros((steps * stride, self._feature_size), np.float32)
        padded[:frames] = features
        rows = padded.reshape(steps, stride, -1).swapaxes(0, 1)[: min(frames, stride)]
        phases = (self._frames + np.arange(len(rows))) % stride
        inputs = {name: tf.constant(state[phases]) for name, state in self._states.items()}
        outputs = self._model({**inputs, "features": tf.constant(rows)})
        for name, state in self._states.items():
            state[phases] = outputs[name].numpy()
        # What is left is to count the frames, and to forget a clip that ends with them.
        self.skip(frames)
        predictions = outputs["predictions"].numpy()
        return predictions.swapaxes(0, 1).reshape(-1, predictions.shape[-1])[:frames]

"""Predicts consecutive frames as they come: causal, with constant time and memory a frame."""

import copy

import keras
import numpy as np
import tensorflow as tf

from ast_net.temporal import stacked_lstm as lstm
from ast_net.temporal import state_history


class StreamingPredictor:
    """Runs a stacked LSTM over one face of a recording at the time step it was trained with.

    The states are carried from call to call (`state_history.StateHistory`), so that how a recording
    is divided into calls changes nothing. Where a frame has no face (all its features are 0) the
    prediction stays what it was one time step before.
    """

    def __init__(
        self, stacked_lstm: keras.Model, time_step: float, clip_frames: int | None = None
    ) -> None:
        """Args:
        stacked_lstm: [B, N, F] -> [B, N, D].
        time_step: seconds between two frames that the LSTM sees in succession.
        clip_frames: N; a recording is cut into clips of N time steps, each of which starts from
          nothing, as in training (section 3.1). None lets the state run on for the whole recording.
        """
        self._feature_size = stacked_lstm.input.shape[-1]
        self._state_sizes = lstm.state_sizes(stacked_lstm)
        self._time_step = time_step
        self._clip_seconds = np.inf if clip_frames is None else clip_frames * time_step
        signature = {name: tf.TensorSpec((None, size)) for name, size in self._state_sizes.items()}
        signature["features"] = tf.TensorSpec((None, None, self._feature_size))
        self._model = tf.function(lstm.build_stateful(stacked_lstm), input_signature=[signature])
        self.reset()

    def another(self) -> "StreamingPredictor":
        """Returns a predictor for another face, or another recording, with the same network."""
        result = copy.copy(self)
        result.reset()
        return result

    def reset(self) -> None:
        """Forgets all frames: the next one is the first of a recording."""
        self._history = state_history.StateHistory(
            self._state_sizes, self._time_step, self._clip_seconds
        )

    def skip(self, times: np.ndarray) -> None:
        """Passes over frames without a face, or unseen ones, at times [T] in seconds."""
        self._history.skip(times)

    def predict(self, features: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Predicts the recording's next frames.

        Args:
          features: fc6 [T, F]; all zeros where there is no face.
          times: seconds [T], strictly increasing, after those of earlier calls.

        Returns:
          float32 [T, D].

        Raises:
          ValueError: the shapes differ from these, or there is no frame.
        """
        if features.shape != (len(times), self._feature_size) or not len(times):
            raise ValueError(
                f"expected features [T, {self._feature_size}] at {len(times)} times, found "
                f"{features.shape}"
            )
        previous = self._history.predecessors(times)
        parts, first = [], 0
        while first < len(times):
            last, rows = self._run_of(previous[first:])
            run = slice(first, first + last)
            parts.append(self._run(features[run], times[run], previous[first : first + rows]))
            first += last
        return np.concatenate(parts)

    def _run_of(self, previous: np.ndarray) -> tuple[int, int]:
        """How many of the next frames one call of the network predicts, and in how many sequences.

        Either none of them continues from another of them, or all are equally far from the frame they
        continue from, so that they form as many interleaved sequences.
        """
        independent = self._history.independent(previous)
        distances = self._history.frames + np.arange(len(previous)) - previous
        same = int(np.argmax(np.append(distances != distances[0], True)))
        # Without the last one: of the frame before its predecessor the state is not known afterwards.
        interleaved = same - 1 if previous[0] >= 0 else 0
        if interleaved > independent:
            return interleaved, int(distances[0])
        return independent, independent

    def _run(self, features: np.ndarray, times: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """Predicts frames that are n interleaved sequences, whose first frames continue from n others."""
        rows, frames = len(previous), len(features)
        steps = -(-frames // rows)
        # The LSTM skips the zeros that fill up the last column.
        padded = np.zeros((steps * rows, self._feature_size), np.float32)
        padded[:frames] = features
        sequences = padded.reshape(steps, rows, -1).swapaxes(0, 1)
        inputs = {name: tf.constant(s) for name, s in self._history.states(previous).items()}
        outputs = self._model({**inputs, "features": tf.constant(sequences)})
        # Sequence r ends with one of the last frames; in the order of the frames it is the k-th.
        order = (frames - rows + np.arange(rows)) % rows
        self._history.append(times, {name: outputs[name].numpy()[order] for name in inputs})
        predictions = outputs["predictions"].numpy()
        return predictions.swapaxes(0, 1).reshape(-1, predictions.shape[-1])[:frames]

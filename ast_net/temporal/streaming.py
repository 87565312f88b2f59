"""Predicts frames as they arrive: causally, with constant time and memory per frame."""

import copy
from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
import tensorflow as tf

from ast_net.temporal import stacked_lstm as lstm
from ast_net.temporal import state_history


class StreamingPredictor:
    """Runs a stacked LSTM over one face of a recording, at the time step it was trained with.

    States are kept from call to call (`state_history.StateHistory`), so the predictions do not
    depend on how a recording is divided into calls. A frame without a face (features of all zeros)
    has the same prediction as the frame one time step earlier.
    """

    def __init__(
        self, stacked_lstm: keras.Model, time_step: float, clip_frames: int | None = None
    ) -> None:
        """Args:
        stacked_lstm: the temporal model, [B, N, F] -> [B, N, D].
        time_step: seconds between two successive frames of the LSTM's input.
        clip_frames: N. If given, the states are reset after every N time steps, as in training
          (section 3.1). None keeps them for the whole recording.
        """
        self._feature_size = stacked_lstm.input.shape[-1]
        self._state_sizes = lstm.state_sizes(stacked_lstm)
        self._time_step = time_step
        self._clip_seconds = np.inf if clip_frames is None else clip_frames * time_step
        signature = {name: tf.TensorSpec((None, size)) for name, size in self._state_sizes.items()}
        signature["features"] = tf.TensorSpec((None, None, self._feature_size))
        # Autograph would find nothing to convert, and take as long as the tracing itself.
        model = lstm.build_stateful(stacked_lstm)
        self._model = tf.function(model, input_signature=[signature], autograph=False)
        self.reset()

    def another(self) -> Self:
        """Returns a new predictor for another face or recording, with the same network."""
        result = copy.copy(self)
        result.reset()
        return result

    def reset(self) -> None:
        """Forgets all frames; the next frame is the first one of a recording."""
        self._history = state_history.StateHistory(
            self._state_sizes, self._time_step, self._clip_seconds
        )

    def skip(self, times: np.ndarray) -> None:
        """Skips frames without a face, or frames that were not decoded, at times [T] in seconds."""
        self._history.skip(times)

    def predict(self, features: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Predicts the recording's next frames.

        Args:
          features: fc6 features [T, F]; all zeros for a frame without a face.
          times: seconds [T], strictly increasing, later than those of earlier calls.

        Returns:
          The predictions, float32 [T, D].

        Raises:
          ValueError: a shape is wrong, or there are no frames.
        """
        if features.shape != (len(times), self._feature_size) or not len(times):
            raise ValueError(
                f"expected features [T, {self._feature_size}] at {len(times)} times, found "
                f"{features.shape}"
            )
        predecessors = self._history.predecessors(times)
        predictions, first = [], 0
        while first < len(times):
            count, sequences = self._next_call(predecessors[first:])
            frames = slice(first, first + count)
            initial = predecessors[first : first + sequences]
            predictions.append(self._predict(features[frames], times[frames], initial))
            first += count
        return np.concatenate(predictions)

    @classmethod
    def predict_together(
        cls,
        predictors: Sequence[Self],
        features: Sequence[np.ndarray],
        times: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """Predicts the next frames of several faces, each with its predictor (`another`).

        Args:
          predictors: one for each face.
          features: those of each face, as in `predict`; T may differ.
          times: seconds [T] for each face.

        Returns:
          For each face, float32 [T, D].
        """
        return [p.predict(f, t) for p, f, t in zip(predictors, features, times, strict=True)]

    def _next_call(self, predecessors: np.ndarray) -> tuple[int, int]:
        """Returns how many frames the network's next call can predict, and as how many sequences.

        The frames of a call are of one of two kinds. Either all of their predecessors are frames of
        earlier calls; then each frame is a sequence of its own. Or each frame follows its
        predecessor at the same distance S; then the frames are S interleaved sequences.

        Args:
          predecessors: predecessors of the frames that are still to be predicted, [T].
        """
        independent = self._history.independent(predecessors)
        distances = self._history.frames + np.arange(len(predecessors)) - predecessors
        # The number of frames before the first one with a different distance.
        equal = int(np.argmax(np.append(distances != distances[0], True)))
        # The last of them is left to the next call. The frame after it may have the same
        # predecessor, and a call keeps only the states of its latest S frames, without that one.
        interleaved = equal - 1 if predecessors[0] >= 0 else 0
        if interleaved > independent:
            return interleaved, int(distances[0])
        return independent, independent

    def _predict(self, features: np.ndarray, times: np.ndarray, initial: np.ndarray) -> np.ndarray:
        """Predicts frames that are n interleaved sequences, in one call of the network.

        Args:
          features: [T, F].
          times: seconds, [T].
          initial: predecessors of the first n frames, [n].
        """
        rows, frames = len(initial), len(features)
        steps = -(-frames // rows)
        # Frame i is step i // n of sequence i % n. The last step is filled up with zeros, which the
        # LSTM skips.
        padded = np.zeros((steps * rows, self._feature_size), np.float32)
        padded[:frames] = features
        sequences = padded.reshape(steps, rows, -1).swapaxes(0, 1)
        inputs = {name: tf.constant(s) for name, s in self._history.states(initial).items()}
        outputs = self._model({**inputs, "features": tf.constant(sequences)})
        # The final states are those after the last n frames. Sort them from sequences to frames.
        order = (frames - rows + np.arange(rows)) % rows
        self._history.append(times, {name: outputs[name].numpy()[order] for name in inputs})
        predictions = outputs["predictions"].numpy()
        return predictions.swapaxes(0, 1).reshape(-1, predictions.shape[-1])[:frames]

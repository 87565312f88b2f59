"""The LSTM's states after a face's latest frames, from which its next frames continue."""

from collections.abc import Mapping

import numpy as np

from ast_net.temporal import timing


class StateHistory:
    """Keeps the states of as many frames as the next ones may continue from.

    A frame continues from the frame nearest to one time step before it (`timing.predecessors`). So a
    recording has interleaved phases, each of which is one sequence at the model's time step: at a
    constant frame rate frames 0, S, 2S, ..., then 1, S + 1, ... and so on.

    Frames are numbered from the recording's first, 0.
    """

    def __init__(
        self, state_sizes: Mapping[str, int], time_step: float, clip_seconds: float = np.inf
    ) -> None:
        """Args:
        state_sizes: the units of each state, by its name.
        time_step: seconds.
        clip_seconds: every phase starts from nothing after each so many seconds, as in training.
        """
        self._time_step, self._clip_seconds = time_step, clip_seconds
        self._states = {n: np.zeros((0, size), np.float32) for n, size in state_sizes.items()}
        self._times = self._beginning = np.zeros(0)
        self.frames = 0

    def predecessors(self, times: np.ndarray) -> np.ndarray:
        """Returns the frame that each of the next frames continues from, int64 [T]; -1 for none.

        Args:
          times: of the next frames, seconds, [T].
        """
        kept = len(self._times)
        together = np.append(self._times, times)
        beginning = np.append(self._beginning, times[:2])[:2]
        result = timing.predecessors(together, self._time_step, beginning)[kept:]
        clips = np.floor((together - beginning[0] + timing.TOLERANCE) / self._clip_seconds)
        continues = (result >= 0) & (clips[result] == clips[kept:])
        return np.where(continues, result + self.frames - kept, -1)

    def independent(self, predecessors: np.ndarray) -> int:
        """Returns how many of the next frames continue from none of each other."""
        return int(np.argmax(np.append(predecessors, self.frames) >= self.frames))

    def states(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the states after frames [n] that `predecessors` named; zeros for -1."""
        rows = frames - (self.frames - len(self._times))
        result = {}
        for name, values in self._states.items():
            result[name] = np.zeros((len(frames), values.shape[1]), np.float32)
            result[name][frames >= 0] = values[rows[frames >= 0]]
        return result

    def append(self, times: np.ndarray, states: Mapping[str, np.ndarray]) -> None:
        """Adds the next frames.

        Args:
          times: of the frames, seconds, [T].
          states: after each of the last n of them, [n, units]. If n is less than T, no later frame
            may continue from what is left out, or from before it.
        """
        self._beginning = np.append(self._beginning, times[:2])[:2]
        new = len(next(iter(states.values())))
        old = len(self._times) if new == len(times) else 0
        self.frames += len(times)
        self._times = np.concatenate([self._times[:old], times[len(times) - new :]])
        # The next frame continues from the last one that is a time step before this one, or later.
        first = np.searchsorted(self._times, self._times[-1] - self._time_step) - 1
        kept = slice(max(0, int(first)), None)
        self._times = self._times[kept]
        for name, values in states.items():
            self._states[name] = np.concatenate([self._states[name][:old], values])[kept]

    def skip(self, times: np.ndarray) -> None:
        """Adds frames without a face, or unseen ones: their states are those they continue from.

        Args:
          times: of the frames, seconds, [T].
        """
        while len(times):
            frames = self.predecessors(times)
            independent = self.independent(frames)
            self.append(times[:independent], self.states(frames[:independent]))
            times = times[independent:]

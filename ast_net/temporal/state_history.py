"""Keeps the LSTM's states after a face's latest frames, so that later frames can continue them."""

from collections.abc import Mapping

import numpy as np

from ast_net.temporal import timing


class StateHistory:
    """The LSTM's states after the latest frames of a recording.

    A frame continues from its predecessor: the frame nearest to one time step earlier
    (`timing.predecessors`). So a recording consists of interleaved sequences, each at the model's
    time step. At a constant frame rate these are frames 0, S, 2S, ..., frames 1, S + 1, 2S + 1,
    ..., and so on. Only the states from which later frames can continue are kept.

    Attributes:
      frames: number of frames so far. The recording's first frame has number 0.
    """

    def __init__(
        self, state_sizes: Mapping[str, int], time_step: float, clip_seconds: float = np.inf
    ) -> None:
        """Args:
        state_sizes: size of each state, by name.
        time_step: the model's time step, in seconds.
        clip_seconds: length of a clip. With each new clip all sequences start again with states of
          zeros, as in training. Infinite for no clips.
        """
        self._time_step, self._clip_seconds = time_step, clip_seconds
        # Times [K] and states [K, units] of the latest K frames.
        self._times = np.zeros(0)
        self._states = {n: np.zeros((0, size), np.float32) for n, size in state_sizes.items()}
        # Times of the recording's first two frames.
        self._first_times = np.zeros(0)
        self.frames = 0

    def predecessors(self, times: np.ndarray) -> np.ndarray:
        """Returns the frame that each of the next frames continues from, int64 [T]; -1 if none.

        Args:
          times: times of the next frames in seconds, [T].
        """
        kept = len(self._times)
        all_times = np.append(self._times, times)
        first_times = np.append(self._first_times, times[:2])[:2]
        result = timing.predecessors(all_times, self._time_step, first_times)[kept:]
        # A frame does not continue from a frame of an earlier clip.
        clips = np.floor((all_times - first_times[0] + timing.TOLERANCE) / self._clip_seconds)
        continues = (result >= 0) & (clips[result] == clips[kept:])
        # From indices into all_times to frame numbers.
        return np.where(continues, result + self.frames - kept, -1)

    def independent(self, predecessors: np.ndarray) -> int:
        """Returns how many of the next frames, from the first, have their predecessors in the past.

        Args:
          predecessors: the result of `predecessors` for the next frames, [T].
        """
        return int(np.argmax(np.append(predecessors, self.frames) >= self.frames))

    def states(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the states after frames that `predecessors` returned, [n, units]; zeros for -1.

        Args:
          frames: numbers of frames, [n].
        """
        rows = frames - (self.frames - len(self._times))
        result = {}
        for name, values in self._states.items():
            result[name] = np.zeros((len(frames), values.shape[1]), np.float32)
            result[name][frames >= 0] = values[rows[frames >= 0]]
        return result

    def append(self, times: np.ndarray, states: Mapping[str, np.ndarray]) -> None:
        """Adds the next frames.

        Args:
          times: times of the frames in seconds, [T].
          states: states after each of the last n of these frames, [n, units]. If n < T, no later
            frame may continue from a frame before these n.
        """
        self._first_times = np.append(self._first_times, times[:2])[:2]
        new = len(next(iter(states.values())))
        old = len(self._times) if new == len(times) else 0
        self.frames += len(times)
        self._times = np.concatenate([self._times[:old], times[len(times) - new :]])
        # Later frames continue from the last frame that is a whole time step before the latest one,
        # or from a frame after it. Forget the frames before.
        first = np.searchsorted(self._times, self._times[-1] - self._time_step) - 1
        kept = slice(max(0, int(first)), None)
        self._times = self._times[kept]
        for name, values in states.items():
            self._states[name] = np.concatenate([self._states[name][:old], values])[kept]

    def skip(self, times: np.ndarray) -> None:
        """Adds frames without a face, or frames that were skipped. They keep the states unchanged.

        Args:
          times: times of the frames in seconds, [T].
        """
        while len(times):
            predecessors = self.predecessors(times)
            independent = self.independent(predecessors)
            self.append(times[:independent], self.states(predecessors[:independent]))
            times = times[independent:]

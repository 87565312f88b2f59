"""Six simulated raters, who lag behind the face and disagree as RECOLA's do.

The numbers follow from what is published of RECOLA's raters; where nothing is, a comment says so.

- Agreement: AVEC 2016 (Valstar et al., AVEC '16), the table on inter-rater reliability. It has the
  mean RMSE, CC and CCC of the pairs of raters, before and after each rater's ratings of a recording
  were moved to the gold standard's level. tests/demo/test_raters.py holds them against ours; they are
  quoted there without the paper at hand, and are to be compared with it.
- Delay: the log of AVEC 2018's baseline on RECOLA (github.com/AudioVisualEmotionChallenge/AVEC2018,
  scripts_GES/TestPred/trace.txt), which has the best delay for each kind of features.
- Range of delays: Mariooryad and Busso (IEEE Trans. Affective Computing 6, 2015), on SEMAINE.
- Slider: ANNEMO, the tool for RECOLA's ratings (Ringeval et al., FG 2013).
"""

import dataclasses
import statistics

import numpy as np

from ast_net.demo import synthetic_face

NAMES = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")

# Seconds, the raters' mean: the median of the best delays of AVEC 2018's appearance, action unit
# and geometric features, 2.8, 2.4 and 2.4 s for arousal, 2.0, 2.4 and 2.8 s for valence. Its bags
# of visual words, at 0.4 and 0 s, are left out: each sums up some seconds of video.
REACTION_DELAY = 2.4
# Seconds around that mean, so that delays are 1.0 to 4.2 s. Mariooryad and Busso found 1 to 6 s,
# depending on the rater, the target and the behaviour; how they are distributed is not published.
_DELAY_OFFSETS = (-1.4, -0.9, -0.4, 0.1, 0.8, 1.8)

# RECOLA's ratings come every 0.04 s, from a slider from -1 to 1 in steps of 0.01 (ANNEMO).
RATING_STEP = 0.04
_SLIDER_STEP = 0.01

# Seconds. How fast raters err is not published: no faster than the face changes, and as slowly as a
# recording allows.
_ERROR_PERIODS = (7.0, 40.0)


@dataclasses.dataclass(frozen=True)
class _Disagreement:
    """How six raters differ on a target. All but gain are standard deviations.

    Attributes:
      gain: what they make of a change of the true value by 1, the median rater.
      gain_spread: of the logarithm of their gains.
      bias: of what a rater always adds.
      mood: of what a rater adds to one recording.
      error: of how far a rater mistakes the true value for some seconds.
    """

    gain: float
    gain_spread: float
    bias: float
    mood: float
    error: float


# Solved by least squares for the six figures of AVEC 2016 on each target, over 12 recordings of
# each of 12 seeds, none of them the demo's.
_DISAGREEMENT = {
    "valence": _Disagreement(gain=0.39, gain_spread=0.16, bias=0.07, mood=0.05, error=0.20),
    "arousal": _Disagreement(gain=0.50, gain_spread=0.41, bias=0.13, mood=0.08, error=0.21),
}


@dataclasses.dataclass(frozen=True)
class Rater:
    """One rater's habits on a target; they stay the same for all recordings.

    Attributes:
      gain, bias: what they make of the true value.
      mood: standard deviation of what they add to a recording.
      error: standard deviation of how far they mistake the true value for some seconds.
      delay: seconds by which they lag behind the face.
    """

    gain: float
    bias: float
    mood: float
    error: float
    delay: float

    def rate(self, rng: np.random.Generator, times: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Rates a recording.

        Args:
          rng: decides this rater's errors on this recording.
          times: [R] seconds.
          seen: [R] true values, those of `delay` seconds before.

        Returns:
          float64 [R] in [-1, 1], in the slider's steps.
        """
        mood = self.mood * rng.normal()
        error = self.error * synthetic_face.smooth_noise(rng, times, _ERROR_PERIODS)
        said = self.gain * (seen + error) + self.bias + mood
        return np.clip(np.round(said / _SLIDER_STEP) * _SLIDER_STEP, -1, 1)


def panel(rng: np.random.Generator, target: str) -> list[Rater]:
    """Gathers the six raters of a target, in the order of NAMES.

    Their gains, biases and delays are spread evenly, and the generator says who has which: six
    random draws would agree now more, now less than RECOLA's.
    """
    spread = _DISAGREEMENT[target]
    normal = statistics.NormalDist()
    scores = np.array([normal.inv_cdf((r + 0.5) / len(NAMES)) for r in range(len(NAMES))])
    scores /= scores.std()
    gains = spread.gain * np.exp(spread.gain_spread * rng.permutation(scores))
    biases = spread.bias * rng.permutation(scores)
    delays = REACTION_DELAY + rng.permutation(_DELAY_OFFSETS)
    return [
        Rater(gain, bias, spread.mood, spread.error, delay)
        for gain, bias, delay in zip(gains.tolist(), biases.tolist(), delays.tolist())
    ]

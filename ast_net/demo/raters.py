"""Simulates six raters, who lag behind the face and disagree with each other as RECOLA's do.

The numbers follow from what is published about RECOLA's raters; a comment says where nothing is.

- Agreement: AVEC 2016 (Valstar et al., AVEC '16), the table on inter-rater reliability. It has the
  mean RMSE, CC and CCC of the pairs of raters, before and after each rater's ratings of a recording
  are moved to the level of the gold standard. tests/demo/test_raters.py compares ours with these
  figures. They are quoted there without the paper at hand, and must be checked against it.
- Delay: the log of AVEC 2018's baseline on RECOLA (github.com/AudioVisualEmotionChallenge/AVEC2018,
  scripts_GES/TestPred/trace.txt), which has the best delay for each kind of features.
- Range of delays: Mariooryad and Busso (IEEE Trans. Affective Computing 6, 2015), on SEMAINE.
- Slider: ANNEMO, the tool with which RECOLA was rated (Ringeval et al., FG 2013).
"""

import dataclasses
import statistics

import numpy as np

from ast_net.demo import synthetic_face

NAMES = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")

# The raters' mean delay in seconds: the median of the best delays of AVEC 2018's appearance, action
# unit and geometric features, 2.8, 2.4 and 2.4 s for arousal, 2.0, 2.4 and 2.8 s for valence. Its
# bags of visual words (0.4 and 0 s) are left out, because each covers some seconds of video.
REACTION_DELAY = 2.4
# The raters' deviations from that mean in seconds, which give delays of 1.0 to 4.2 s. Mariooryad
# and Busso found 1 to 6 s, depending on the rater, the target and the behaviour; the distribution
# is not published.
_DELAY_OFFSETS = (-1.4, -0.9, -0.4, 0.1, 0.8, 1.8)

# RECOLA has a rating every 0.04 s, from a slider that goes from -1 to 1 in steps of 0.01 (ANNEMO).
RATING_STEP = 0.04
_SLIDER_STEP = 0.01

# The periods of the raters' errors in seconds, an assumption: not shorter than those of the face,
# and up to the length of a recording.
_ERROR_PERIODS = (7.0, 40.0)


@dataclasses.dataclass(frozen=True)
class _Disagreement:
    """How the six raters differ on a target. All except `gain` are standard deviations.

    Attributes:
      gain: the median rater's change of rating when the true value changes by 1.
      gain_spread: of the logarithm of the gains.
      bias: of the constant that a rater adds to all recordings.
      mood: of the constant that a rater adds to one recording.
      error: of a rater's slowly varying error in perceiving the true value.
    """

    gain: float
    gain_spread: float
    bias: float
    mood: float
    error: float


# Fitted by least squares to the six figures of AVEC 2016 for each target, on 12 recordings of each
# of 12 seeds, none of which is the demo's seed.
_DISAGREEMENT = {
    "valence": _Disagreement(gain=0.39, gain_spread=0.16, bias=0.07, mood=0.05, error=0.20),
    "arousal": _Disagreement(gain=0.50, gain_spread=0.41, bias=0.13, mood=0.08, error=0.21),
}


@dataclasses.dataclass(frozen=True)
class Rater:
    """How one rater rates a target; the same for all recordings.

    Attributes:
      gain: change of the rating when the true value changes by 1.
      bias: constant that is added to all ratings.
      mood: standard deviation of the constant that is added to one recording.
      error: standard deviation of the slowly varying error in perceiving the true value.
      delay: reaction delay in seconds.
    """

    gain: float
    bias: float
    mood: float
    error: float
    delay: float

    def rate(self, rng: np.random.Generator, times: np.ndarray, delayed: np.ndarray) -> np.ndarray:
        """Rates a recording.

        Args:
          rng: determines the rater's mood and errors in this recording.
          times: [R] seconds.
          delayed: [R] the true values `delay` seconds before these times.

        Returns:
          float64 [R] in [-1, 1], rounded to the slider's steps.
        """
        mood = self.mood * rng.normal()
        error = self.error * synthetic_face.smooth_noise(rng, times, _ERROR_PERIODS)
        ratings = self.gain * (delayed + error) + self.bias + mood
        return np.clip(np.round(ratings / _SLIDER_STEP) * _SLIDER_STEP, -1, 1)


def panel(rng: np.random.Generator, target: str) -> list[Rater]:
    """Returns the six raters of a target, in the order of NAMES.

    The gains, biases and delays have fixed, evenly spread values, which are assigned to raters at
    random. The agreement of six raters with random values would vary too much around RECOLA's.
    """
    disagreement = _DISAGREEMENT[target]
    normal = statistics.NormalDist()
    # Six quantiles of a normal distribution, scaled to unit variance.
    scores = np.array([normal.inv_cdf((r + 0.5) / len(NAMES)) for r in range(len(NAMES))])
    scores /= scores.std()
    gains = disagreement.gain * np.exp(disagreement.gain_spread * rng.permutation(scores))
    biases = disagreement.bias * rng.permutation(scores)
    delays = REACTION_DELAY + rng.permutation(_DELAY_OFFSETS)
    return [
        Rater(gain, bias, disagreement.mood, disagreement.error, delay)
        for gain, bias, delay in zip(gains.tolist(), biases.tolist(), delays.tolist())
    ]

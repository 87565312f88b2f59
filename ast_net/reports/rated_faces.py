"""Scores of valence and arousal on still pictures that people rated, and of smiles."""

from collections.abc import Callable, Sequence

import numpy as np

from ast_net.reports import tables
from ast_net.temporal import metrics

# A smile is noticed if valence rises by this much.
NOTICED_RISE = 0.2
# The part of its change that a response has to reach.
RESPONSE = 0.8
# Intervals are of groups of at least so many people.
_LEAST_PEOPLE = 6
_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)


def rating_scores(ratings: np.ndarray, predictions: np.ndarray, expressions: Sequence[str]) -> dict:
    """Compares predictions of one target with people's ratings.

    Args:
      ratings, predictions: of n pictures, [n].
      expressions: of each picture, [n].

    Returns:
      {"cc", "ccc", "rmse", "within"}; `within` is the CC that is left when each expression's mean
      is taken from ratings and predictions.
    """
    if not len(ratings) == len(predictions) == len(expressions):
        raise ValueError("expected as many ratings, predictions and expressions")
    names = np.asarray(expressions)
    residuals = [np.array(series, np.float64) for series in (ratings, predictions)]
    for series in residuals:
        for name in set(expressions):
            series[names == name] -= series[names == name].mean()
    return {
        "cc": metrics.pearson_cc(ratings, predictions),
        "ccc": metrics.concordance_cc(ratings, predictions),
        "rmse": metrics.rmse(ratings, predictions),
        "within": metrics.pearson_cc(*residuals),
    }


def auc(lower: np.ndarray, higher: np.ndarray) -> float:
    """Computes the share of pairs in which the second value is above the first; ties count half."""
    differences = np.asarray(higher)[np.newaxis] - np.asarray(lower)[:, np.newaxis]
    return float((np.sign(differences).mean() + 1) / 2)


def noticed(neutral: np.ndarray, smiling: np.ndarray) -> float:
    """Computes the share of people whose value rises by NOTICED_RISE when they smile."""
    return float(np.mean(smiling - neutral >= NOTICED_RISE))


def mean_rise(neutral: np.ndarray, smiling: np.ndarray) -> float:
    """Computes the mean rise when people smile."""
    return float(np.mean(smiling - neutral))


_SMILE_SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": auc,
    "rise": mean_rise,
    "noticed": noticed,
}


def smile_scores(
    groups: Sequence[Sequence[str]], neutral: np.ndarray, smiling: np.ndarray
) -> list[tables.Row]:
    """Scores how well valence tells smiling from neutral faces, for everybody and by group.

    Args:
      groups: of each person, such as ("female", "black"), [n].
      neutral, smiling: valence of each person, [n].

    Returns:
      A row for everybody and for each group with {"group", "people"} and, for each of auc, rise and
      noticed (the share of people whose valence rises by NOTICED_RISE), its value and the ends of a
      95 % bootstrap interval over people, `_low` and `_high`; None for small groups.
    """
    names = sorted({name for person in groups for name in person})
    members = {"all": np.arange(len(groups))}
    for name in names:
        members[name] = np.array([k for k, person in enumerate(groups) if name in person])
    rows = []
    for name, people in members.items():
        row: tables.Row = {"group": name, "people": len(people)}
        for score, compute in _SMILE_SCORES.items():
            row[score] = compute(neutral[people], smiling[people])
            row[f"{score}_low"], row[f"{score}_high"] = _interval(
                compute, neutral[people], smiling[people]
            )
        rows.append(row)
    return rows


def _interval(
    compute: Callable[[np.ndarray, np.ndarray], float], neutral: np.ndarray, smiling: np.ndarray
) -> tuple[float | None, float | None]:
    if len(neutral) < _LEAST_PEOPLE:
        return None, None
    drawn = np.random.default_rng(0).integers(len(neutral), size=(_RESAMPLES, len(neutral)))
    low, high = np.percentile([compute(neutral[k], smiling[k]) for k in drawn], _INTERVAL)
    return float(low), float(high)


def smoothed(series: np.ndarray, frames: int) -> np.ndarray:
    """Averages a series [..., T] over the frames in (t - step / 2, t + step / 2].

    Args:
      series: evenly spaced.
      frames: their number in a step.
    """
    after = frames // 2
    before = frames - 1 - after
    sums = np.cumsum(np.insert(series, 0, 0, axis=-1), axis=-1)
    first = np.maximum(np.arange(series.shape[-1]) - before, 0)
    end = np.minimum(np.arange(series.shape[-1]) + after + 1, series.shape[-1])
    return (sums[..., end] - sums[..., first]) / (end - first)


def response_seconds(times: np.ndarray, series: np.ndarray, cut: float) -> float | None:
    """Computes the time from a cut until a series has made RESPONSE of its change.

    The change is from half a second before the cut, which smoothing does not reach, to the end.

    Args:
      times: seconds, [T].
      series: [T].
      cut: seconds.

    Returns:
      Seconds, not below 0; None if the series does not change.
    """
    start = series[np.searchsorted(times, cut - 0.5)]
    change = series[-1] - start
    if change == 0:
        return None
    # Rounding should not cost a frame.
    reached = times[np.argmax((series - start) / change >= RESPONSE - 1e-6)]
    return max(float(reached - cut), 0.0)

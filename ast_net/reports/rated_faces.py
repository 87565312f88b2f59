"""Scores valence and arousal on still pictures: against people's ratings, and on smiles."""

from collections.abc import Callable, Sequence

import numpy as np

from ast_net.reports import tables
from ast_net.temporal import metrics

# A smile is noticed if valence rises by this much.
NOTICED_RISE = 0.2
# The fraction of its change after which a response counts as made.
RESPONSE = 0.8
# Smaller groups have no intervals.
_MIN_PEOPLE = 6
_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)


def rating_scores(ratings: np.ndarray, predictions: np.ndarray, expressions: Sequence[str]) -> dict:
    """Compares predictions of one target with people's ratings.

    Args:
      ratings, predictions: mean rating and prediction of each picture, [n].
      expressions: name of each picture's expression, [n].

    Returns:
      {"cc", "ccc", "rmse", "within"}; `within` is the CC after the mean of each expression has been
      subtracted from the ratings and the predictions.
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
    """Computes the fraction of pairs with `higher` above `lower`; ties count as half a pair."""
    differences = np.asarray(higher)[np.newaxis] - np.asarray(lower)[:, np.newaxis]
    return float((np.sign(differences).mean() + 1) / 2)


def noticed(neutral: np.ndarray, smiling: np.ndarray) -> float:
    """Computes the fraction of people whose valence rises by NOTICED_RISE when they smile."""
    return float(np.mean(smiling - neutral >= NOTICED_RISE))


def mean_rise(neutral: np.ndarray, smiling: np.ndarray) -> float:
    """Computes the mean rise of valence when people smile."""
    return float(np.mean(smiling - neutral))


_SMILE_SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": auc,
    "rise": mean_rise,
    "noticed": noticed,
}


def smile_scores(
    groups: Sequence[Sequence[str]], neutral: np.ndarray, smiling: np.ndarray
) -> list[tables.Row]:
    """Scores how well valence separates smiling from neutral faces, for everybody and by group.

    Args:
      groups: the groups of each person, such as ("female", "black"), [n].
      neutral, smiling: valence of each person's neutral and smiling picture, [n].

    Returns:
      A row for everybody and for each group: {"group", "people"}, and auc, rise and noticed (the
      fraction of people whose valence rises by NOTICED_RISE). Each of these has a 95 % bootstrap
      interval over people, from `_low` to `_high`; None for small groups.
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
    if len(neutral) < _MIN_PEOPLE:
        return None, None
    drawn = np.random.default_rng(0).integers(len(neutral), size=(_RESAMPLES, len(neutral)))
    low, high = np.percentile([compute(neutral[k], smiling[k]) for k in drawn], _INTERVAL)
    return float(low), float(high)


def smoothed(series: np.ndarray, frames: int) -> np.ndarray:
    """Computes a moving average over `frames` frames; one with an even number looks further ahead.

    Args:
      series: evenly spaced values, [..., T].
      frames: number of frames to average.
    """
    after = frames // 2
    before = frames - 1 - after
    sums = np.cumsum(np.insert(series, 0, 0, axis=-1), axis=-1)
    first = np.maximum(np.arange(series.shape[-1]) - before, 0)
    end = np.minimum(np.arange(series.shape[-1]) + after + 1, series.shape[-1])
    return (sums[..., end] - sums[..., first]) / (end - first)


def response_seconds(times: np.ndarray, series: np.ndarray, cut: float) -> float | None:
    """Computes the time from a cut until a series has made RESPONSE of its change.

    The change is that from half a second before the cut, which is earlier than smoothing reaches,
    to the end.

    Args:
      times: time of each value in seconds, [T].
      series: values, [T].
      cut: time of the cut in seconds.

    Returns:
      Seconds, at least 0; None if the series does not change.
    """
    start = series[np.searchsorted(times, cut - 0.5)]
    change = series[-1] - start
    if change == 0:
        return None
    # The tolerance keeps rounding errors from delaying the response by a frame.
    reached = times[np.argmax((series - start) / change >= RESPONSE - 1e-6)]
    return max(float(reached - cut), 0.0)

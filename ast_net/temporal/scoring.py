"""Scores predictions over recordings, by the challenges' protocol and by that of training.

The two protocols:
- `rated`: every frame with a rating counts, as in the challenges. A rating at time t is compared
  with the prediction at t - delay. A frame without a face has the prediction of the last frame with
  a face, or of the first one if there is none before it.
- `seen`: only frames with a face count. Each is compared with the rating `delay` seconds later;
  frames without such a rating do not count.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

from ast_net.temporal import metrics, timing

PROTOCOLS = ("rated", "seen")
METRICS: dict[str, Callable[..., float]] = {
    "cc": metrics.pearson_cc,
    "ccc": metrics.concordance_cc,
    "rmse": metrics.rmse,
}
# The name of the mean over targets, computed for each recording (the paper's Tables 2 to 4).
AVERAGE = "average"
# A series counts as constant if its standard deviation is below this; rating scales are coarser.
CONSTANT = 1e-5
# Bootstrap intervals need at least this many recordings.
_MIN_RECORDINGS, _CONFIDENCE, _RESAMPLES = 6, 0.95, 9999


@dataclasses.dataclass(frozen=True)
class RecordingPrediction:
    """Ratings and predictions of a recording's T frames.

    Attributes:
      recording: the recording's name.
      timestamps: float64 [T], seconds.
      face: bool [T], whether the frame shows a face.
      labels: float32 [T, D], the gold standard at the timestamps; NaN where there is none.
      predictions: float32 [T, D], the model's prediction at each frame.
    """

    recording: str
    timestamps: np.ndarray
    face: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Labels and predictions to compare, for one target of one recording: the frames that count.

    Attributes:
      labels, predictions: float64 [n].
      face: bool [n], whether the frame shows a face.
      frames: int64 [n], the frames' numbers, increasing.
      enough: whether the frames last at least as long as a clip; if not, CC and CCC are undefined.
    """

    labels: np.ndarray
    predictions: np.ndarray
    face: np.ndarray
    frames: np.ndarray
    enough: bool


def hold_over_gaps(face: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Replaces the prediction of a frame without a face by that of the last frame with a face.

    Frames before the first face get the first face's prediction. Without any face, the predictions
    are returned unchanged.

    Args:
      face: bool [T], whether the frame shows a face.
      predictions: [T, D].
    """
    if not face.any():
        return predictions
    # The number of the latest frame with a face, up to and including each frame; -1 if none.
    latest = np.maximum.accumulate(np.where(face, np.arange(len(face)), -1))
    return predictions[np.where(latest < 0, np.argmax(face), latest)]


def predictions_for_ratings(
    prediction: RecordingPrediction,
    reaction_delay: Sequence[float],
    rating_times: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the predictions that `rated` compares with ratings at given times, float64 [R, D].

    Args:
      prediction: ratings and predictions of a recording.
      reaction_delay: seconds by which the ratings of each target lag, [D].
      rating_times: times of the ratings in seconds, [R]; None for the times of the frames.
    """
    series = hold_over_gaps(prediction.face, prediction.predictions).astype(np.float64)
    times = prediction.timestamps
    if rating_times is None:
        rating_times = times
    # Outside the recording, np.interp returns the first or the last prediction.
    columns = [
        np.interp(rating_times - delay, times, column)
        for delay, column in zip(reaction_delay, series.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def pairs(
    prediction: RecordingPrediction,
    reaction_delay: Sequence[float],
    protocol: str,
    clip_seconds: float = 0.0,
) -> list[Pairs]:
    """Returns the pairs of label and prediction that a protocol compares, for each target.

    Args:
      prediction: ratings and predictions of a recording.
      reaction_delay: seconds by which the ratings of each target lag, [D].
      protocol: "rated" or "seen".
      clip_seconds: time from the first to the last frame of a clip.
    """
    times, labels = prediction.timestamps, prediction.labels.astype(np.float64)
    predictions = prediction.predictions.astype(np.float64)
    if protocol == "rated":
        predictions = predictions_for_ratings(prediction, reaction_delay)
    else:
        later = timing.delayed_ratings(times, reaction_delay, times, labels)
        labels = np.where(prediction.face[:, np.newaxis], later, np.nan)
    interval = timing.interval(times)
    result = []
    for column, series in enumerate(labels.T):
        frames = np.flatnonzero(np.isfinite(series))
        enough = (len(frames) - 1) * interval >= clip_seconds - timing.TOLERANCE
        result.append(
            Pairs(
                series[frames],
                predictions[frames, column],
                prediction.face[frames],
                frames,
                bool(len(frames)) and enough,
            )
        )
    return result


def score_recording(pairs: Pairs) -> dict:
    """Scores one target of one recording.

    A constant prediction has CC 0 and CCC 0. CC and CCC are None (undefined) if the gold standard
    is constant or there are too few frames; RMSE is None if there are no frames.

    Returns:
      "frames": number of frames that count.
      "face": fraction of these frames that show a face.
      "constant": whether the prediction is constant.
      "cc", "ccc", "rmse": the scores.
      "smoothness": for "labels" and "predictions", the mean absolute difference of neighbouring
        frames.
    """
    labels, predictions = pairs.labels, pairs.predictions
    count = len(labels)
    constant = bool(count and predictions.std() < CONSTANT)
    scores: dict = dict.fromkeys(METRICS)
    if count:
        scores["rmse"] = metrics.rmse(labels, predictions)
    if pairs.enough and labels.std() >= CONSTANT:
        for name in ("cc", "ccc"):
            scores[name] = 0.0 if constant else METRICS[name](labels, predictions)
    neighbours = np.diff(pairs.frames) == 1
    smoothness = {
        name: float(np.abs(np.diff(series))[neighbours].mean()) if neighbours.any() else None
        for name, series in (("labels", labels), ("predictions", predictions))
    }
    return {
        "frames": count,
        "face": float(pairs.face.mean()) if count else None,
        "constant": constant,
        **scores,
        "smoothness": smoothness,
    }


def score(
    predictions: Sequence[RecordingPrediction],
    targets: Sequence[str],
    reaction_delay: Sequence[float],
    clip_seconds: float = 0.0,
    intervals: bool = True,
) -> dict:
    """Scores all recordings by both protocols.

    Args:
      predictions: ratings and predictions of the recordings.
      targets: names of the D targets.
      reaction_delay: seconds by which the ratings of each target lag, [D].
      clip_seconds: a recording whose frames last less than this has no CC and CCC.
      intervals: whether to compute bootstrap intervals, which takes a while.

    Returns:
      {"protocols": {protocol: {target: summary}},
       "recordings": {name: {protocol: {target: scores}}}}.
      The targets include "average": in each recording, the mean over the targets that are defined.
      The scores of a recording are those of `score_recording`. A summary has "frames", "face" and
      "smoothness" as there, over all recordings; "constant", the number of recordings with a
      CC and a constant prediction; "left_out", the names of recordings without a CC; and for each
      of "cc", "ccc" and "rmse" a dict:
      "mean", "sd" (with n - 1 in the denominator), "min", "max": over recordings.
      "interval": 95 % bootstrap interval of the mean, if there are at least six recordings.
      "concatenated": over all frames as a single series, including recordings without a CC.
      Undefined values are None.
    """
    result: dict = {"protocols": {}, "recordings": {p.recording: {} for p in predictions}}
    for protocol in PROTOCOLS:
        pairs_of = [pairs(p, reaction_delay, protocol, clip_seconds) for p in predictions]
        rows: dict[str, list[dict]] = {}
        concatenated: dict[str, dict] = {}
        for column, target in enumerate(targets):
            rows[target] = [score_recording(recording[column]) for recording in pairs_of]
            concatenated[target] = score_recording(_concatenate([r[column] for r in pairs_of]))
        rows[AVERAGE] = [_average([rows[t][k] for t in targets]) for k in range(len(pairs_of))]
        concatenated[AVERAGE] = _average([concatenated[target] for target in targets])
        names = [p.recording for p in predictions]
        result["protocols"][protocol] = {
            target: _summarise(names, rows[target], concatenated[target], intervals)
            for target in rows
        }
        for number, name in enumerate(names):
            result["recordings"][name][protocol] = {t: rows[t][number] for t in rows}
    return result


def _concatenate(parts: Sequence[Pairs]) -> Pairs:
    """Concatenates recordings, with a gap in the frame numbers between two of them."""
    # + 2 instead of + 1, so that the last frame and the next recording's first are no neighbours.
    starts = np.cumsum([0, *(p.frames[-1] + 2 if len(p.frames) else 0 for p in parts)])
    return Pairs(
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.predictions for p in parts]),
        np.concatenate([p.face for p in parts]),
        np.concatenate([p.frames + start for p, start in zip(parts, starts)]),
        any(p.enough for p in parts),
    )


def _average(rows: Sequence[dict]) -> dict:
    """Averages the scores of a recording's targets, over those that are defined."""
    result: dict = {name: mean([row[name] for row in rows]) for name in ("face", *METRICS)}
    result["frames"] = round(float(np.mean([row["frames"] for row in rows])))
    smoothness = [row["smoothness"] for row in rows]
    result["smoothness"] = {n: mean([s[n] for s in smoothness]) for n in smoothness[0]}
    return {**result, "constant": any(row["constant"] for row in rows)}


def _summarise(
    names: Sequence[str], rows: Sequence[dict], concatenated: dict, intervals: bool
) -> dict:
    """Summarises the scores of a target over recordings."""
    result = {
        "frames": concatenated["frames"],
        "face": concatenated["face"],
        "constant": sum(row["constant"] for row in rows if row["cc"] is not None),
        "left_out": [name for name, row in zip(names, rows) if row["cc"] is None],
        "smoothness": concatenated["smoothness"],
    }
    for metric in METRICS:
        values = np.array([row[metric] for row in rows if row[metric] is not None], np.float64)
        result[metric] = {
            "mean": float(values.mean()) if len(values) else None,
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "min": float(values.min()) if len(values) else None,
            "max": float(values.max()) if len(values) else None,
            "interval": _interval(values) if intervals else None,
            "concatenated": concatenated[metric],
        }
    return result


def _interval(values: np.ndarray) -> list[float] | None:
    """Computes a bootstrap interval of the mean (bias-corrected, accelerated) with a fixed seed."""
    if len(values) < _MIN_RECORDINGS:
        return None
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    rng = np.random.default_rng(0)
    options = {"confidence_level": _CONFIDENCE, "n_resamples": _RESAMPLES, "rng": rng}
    interval = scipy.stats.bootstrap((values,), np.mean, **options).confidence_interval
    return [float(interval.low), float(interval.high)]


def mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None

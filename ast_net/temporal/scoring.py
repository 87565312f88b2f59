"""Scores of predictions over recordings, as the challenges count them and as training sees them.

Two protocols:
- `rated`: every frame that has a rating counts, as in the challenges. A rating made at time t is
  compared with the prediction for t - delay. While no face is seen the last face's prediction stands,
  before the first face the first one.
- `seen`: only frames with a face count, each compared with the rating that was made `delay` seconds
  later. Frames without such a rating are left out.
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
# The mean of the targets, recording by recording (the paper's Tables 2 to 4).
AVERAGE = "average"
# A series whose standard deviation is below this is constant: no rater's scale is so fine.
CONSTANT = 1e-5
# From so many recordings on there is an interval, of this confidence, from so many resamples.
_RECORDINGS, _CONFIDENCE, _RESAMPLES = 6, 0.95, 9999


@dataclasses.dataclass(frozen=True)
class RecordingPrediction:
    """What was rated and what was predicted of a recording's T frames.

    Attributes:
      recording: the recording's name.
      timestamps: float64 [T], seconds.
      face: bool [T], whether a face is seen.
      labels: float32 [T, D], the gold standard at these times; NaN where there is none.
      predictions: float32 [T, D], what the model says at each frame.
    """

    recording: str
    timestamps: np.ndarray
    face: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pairs:
    """What is compared in one recording and one target, frame by frame.

    Attributes:
      labels, predictions: float64 [n].
      face: bool [n], whether a face is seen.
      frames: int64 [n], the frames' numbers, increasing.
      enough: whether they are as many as one clip lasts; fewer have no CC and CCC.
    """

    labels: np.ndarray
    predictions: np.ndarray
    face: np.ndarray
    frames: np.ndarray
    enough: bool


def held(face: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Returns the predictions [T, D], each frame without a face having the last face's.

    Before the first face it is the first face's; without any face they stay as they are.

    Args:
      face: bool [T].
      predictions: [T, D].
    """
    if not face.any():
        return predictions
    latest = np.maximum.accumulate(np.where(face, np.arange(len(face)), -1))
    return predictions[np.where(latest < 0, np.argmax(face), latest)]


def predictions_for_ratings(
    prediction: RecordingPrediction,
    reaction_delay: Sequence[float],
    rating_times: np.ndarray | None = None,
) -> np.ndarray:
    """Returns what `rated` compares with the ratings made at some times, float64 [R, D].

    Args:
      prediction: of a recording.
      reaction_delay: seconds by which the ratings lag, of each target.
      rating_times: [R] seconds; None for the times of the frames.
    """
    series = held(prediction.face, prediction.predictions).astype(np.float64)
    times = prediction.timestamps
    rated = times if rating_times is None else rating_times
    # np.interp gives the first prediction for what lies before it, and the last for what lies after.
    columns = [
        np.interp(rated - d, times, p) for d, p in zip(reaction_delay, series.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def pairs(
    prediction: RecordingPrediction,
    reaction_delay: Sequence[float],
    protocol: str,
    clip_seconds: float = 0.0,
) -> list[Pairs]:
    """Returns what a protocol compares, for each target.

    Args:
      prediction: of a recording.
      reaction_delay: seconds by which the ratings lag, of each target.
      protocol: rated or seen.
      clip_seconds: from the first to the last frame of a clip.
    """
    times, labels = prediction.timestamps, prediction.labels.astype(np.float64)
    predictions = prediction.predictions.astype(np.float64)
    if protocol == "rated":
        predictions = predictions_for_ratings(prediction, reaction_delay)
    result = []
    for column, delay in enumerate(reaction_delay):
        series = labels[:, column]
        if protocol == "seen":
            later = timing.interpolate(times + delay, times, labels[:, [column]])
            series = np.where(prediction.face, later[:, 0], np.nan)
        frames = np.flatnonzero(np.isfinite(series))
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
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
    """Scores one recording in one target.

    A constant prediction has CC 0 and CCC 0. They are undefined (None) where the gold standard is
    constant or the frames are too few; RMSE where there is no frame.

    Returns:
      {"frames", "face": the share of them with a face, "constant": whether the prediction is,
      "cc", "ccc", "rmse", "smoothness": {"labels", "predictions"}: the mean absolute difference of
      neighbouring frames}.
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
      predictions: of the recordings.
      targets: the names of the D targets.
      reaction_delay: seconds by which the ratings lag, of each target.
      clip_seconds: a recording with fewer frames than last so long has no CC and CCC.
      intervals: whether to compute intervals, which takes a while.

    Returns:
      {"protocols": {protocol: {target or "average": {"frames", "face", "constant", "left_out",
      "smoothness", "cc"|"ccc"|"rmse": {"mean", "sd", "min", "max", "interval", "concatenated"}}}},
      "recordings": {name: {protocol: {target or "average": as of `score_recording`}}}}.
      "frames" are the frames that count, "face" the share of them with a face, "constant" the number
      of recordings whose prediction is constant, "left_out" those without a CC. Means and sd (n - 1
      in the denominator) are over recordings; the interval is a 95 % bootstrap interval of the mean,
      from six recordings on. "average" is the mean of the targets in each recording, over those that
      are defined. "concatenated" is over all frames in one series, recordings without a CC included.
      What is undefined is None.
    """
    result: dict = {"protocols": {}, "recordings": {p.recording: {} for p in predictions}}
    for protocol in PROTOCOLS:
        compared = [pairs(p, reaction_delay, protocol, clip_seconds) for p in predictions]
        rows: dict[str, list[dict]] = {}
        together: dict[str, dict] = {}
        for column, target in enumerate(targets):
            rows[target] = [score_recording(recording[column]) for recording in compared]
            together[target] = score_recording(_joined([r[column] for r in compared]))
        rows[AVERAGE] = [_averaged([rows[t][k] for t in targets]) for k in range(len(compared))]
        together[AVERAGE] = _averaged([together[target] for target in targets])
        names = [p.recording for p in predictions]
        result["protocols"][protocol] = {
            target: _over_recordings(names, rows[target], together[target], intervals)
            for target in rows
        }
        for number, name in enumerate(names):
            result["recordings"][name][protocol] = {t: rows[t][number] for t in rows}
    return result


def _joined(parts: Sequence[Pairs]) -> Pairs:
    """All recordings in one series; between two of them lies a gap."""
    starts = np.cumsum([0, *(p.frames[-1] + 2 if len(p.frames) else 0 for p in parts)])
    return Pairs(
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.predictions for p in parts]),
        np.concatenate([p.face for p in parts]),
        np.concatenate([p.frames + start for p, start in zip(parts, starts)]),
        any(p.enough for p in parts),
    )


def _averaged(rows: Sequence[dict]) -> dict:
    """The mean of the targets of one recording, over those that are defined."""
    result: dict = {name: _mean([row[name] for row in rows]) for name in ("face", *METRICS)}
    result["frames"] = round(float(np.mean([row["frames"] for row in rows])))
    smoothness = [row["smoothness"] for row in rows]
    result["smoothness"] = {n: _mean([s[n] for s in smoothness]) for n in smoothness[0]}
    return {**result, "constant": any(row["constant"] for row in rows)}


def _over_recordings(
    names: Sequence[str], rows: Sequence[dict], together: dict, intervals: bool
) -> dict:
    result = {
        "frames": together["frames"],
        "face": together["face"],
        "constant": sum(row["constant"] for row in rows),
        "left_out": [name for name, row in zip(names, rows) if row["cc"] is None],
        "smoothness": together["smoothness"],
    }
    for metric in METRICS:
        values = np.array([row[metric] for row in rows if row[metric] is not None], np.float64)
        result[metric] = {
            "mean": float(values.mean()) if len(values) else None,
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "min": float(values.min()) if len(values) else None,
            "max": float(values.max()) if len(values) else None,
            "interval": _interval(values) if intervals else None,
            "concatenated": together[metric],
        }
    return result


def _interval(values: np.ndarray) -> list[float] | None:
    """A bootstrap interval of the mean (bias-corrected and accelerated), the same in every call."""
    if len(values) < _RECORDINGS:
        return None
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    rng = np.random.default_rng(0)
    options = {"confidence_level": _CONFIDENCE, "n_resamples": _RESAMPLES, "rng": rng}
    interval = scipy.stats.bootstrap((values,), np.mean, **options).confidence_interval
    return [float(interval.low), float(interval.high)]


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None

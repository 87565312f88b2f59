"""Estimates the reaction delay of the raters for each target, from features and ratings.

The delay is the one at which a linear model of the features best predicts the ratings that are made
that much later, on recordings that it was not fitted to (after Mariooryad and Busso, IEEE Trans.
Affective Computing 6, 2015, who maximise mutual information). For a fair comparison, all delays use
the same frames, the same folds and the same ridge penalty.

Letters: T frames of a recording, F features, C components, K delays, D targets.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.linalg
import tensorflow as tf

from ast_net import errors
from ast_net.records import clips, example_format
from ast_net.temporal import timing

# Delays that are tried, in seconds. Raters lag by one to four seconds; the range is wider, so that
# a peak is not at its end.
DELAYS = np.round(np.arange(31) * 0.2, 1)
_COMPONENTS = 64
# Ridge penalties that are tried, relative to the mean variance of the components. The best one
# depends on how much data there is.
_RIDGES = (0.01, 0.1, 1.0, 10.0)
_MAX_FOLDS = 20
# Features predict ratings if the CC is this many standard errors (over folds) above 0. The best of
# many delays and ridges is used, which by chance alone reaches about two.
_MIN_STANDARD_ERRORS = 4.0
# A delay is used if it improves the CC by at least this much, and by at least this many standard
# errors of the improvement.
_MIN_GAIN, _MIN_GAIN_STANDARD_ERRORS = 0.01, 2.0


@dataclasses.dataclass(frozen=True)
class DelaySearch:
    """The result of a search for the reaction delay.

    Attributes:
      delays: float64 [K], the delays that were tried, in seconds.
      cc: float64 [K, D], the CC at each delay between predictions and ratings of recordings that
        were not used for the fit, averaged over folds; NaN for a constant target.
      seconds: float64 [D], the chosen delay of each target.
      predicted: bool [D], whether the features predict the ratings at all; if not, the delay is 0.
      recordings: the number of recordings used.
      frames: the number of frames used.
    """

    delays: np.ndarray
    cc: np.ndarray
    seconds: np.ndarray
    predicted: np.ndarray
    recordings: int
    frames: int


class _Moments(NamedTuple):
    """Sums of products over the frames of a fold, with components x and labels y.

    The mean over each recording is subtracted before. Moments can be added and subtracted.
    """

    frames: int
    features: np.ndarray  # x x^T, [C, C]
    cross: np.ndarray  # x y^T, [C, K D]
    labels: np.ndarray  # y^2, [K D]


def search(segments: tf.data.Dataset, targets: int, delays: np.ndarray = DELAYS) -> DelaySearch:
    """Estimates the reaction delay of each target.

    The features are standardised and projected on their principal components. The mean over each
    recording is subtracted from features and ratings, so that the person's identity explains
    nothing. Ridge regression from components to ratings is cross-validated over recordings, and the
    delay with the highest CC is chosen. The delay is 0 if the features do not predict the ratings
    (the CC is less than four standard errors above 0), or if the best delay is not clearly better
    than none (by 0.01, and by two standard errors of the difference).

    Args:
      segments: examples of `example_format.features_dict` of the training recordings (only these),
        those of a recording in order; read twice.
      targets: D.
      delays: [K] seconds, increasing from 0.

    Raises:
      InputError: fewer than two recordings have frames that are rated at all delays, or the best
        delay is the longest, so that the true one may be longer still.
    """
    projection = _projection(segments, delays)
    folds, recordings = _folds(segments, delays, projection)
    cc = _cross_validate(folds).reshape(len(folds), len(_RIDGES), len(delays), targets)
    results = [_choose(cc[..., column], delays) for column in range(targets)]
    curves, best, predicted = (np.stack(part, axis=-1) for part in zip(*results))
    frames = sum(fold.frames for fold in folds)
    return DelaySearch(delays, curves, best, predicted, recordings, frames)


def _recordings(
    segments: tf.data.Dataset, delays: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the features [T, F] of each recording and its ratings at all delays [T, K D], centred.

    The T frames are FIT_INTERVAL apart; all show a face and are rated at every delay.
    """
    for _, pieces in example_format.by_recording(segments):
        features, labels = zip(*(_rated_frames(piece, delays) for piece in pieces))
        x, y = (np.concatenate(parts).astype(np.float64) for parts in (features, labels))
        if len(x) > 1:
            yield x - x.mean(axis=0), y - y.mean(axis=0)


def _rated_frames(piece: example_format.Piece, delays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of a piece's frames that are used, and their ratings at all delays."""
    segment, rows = piece.segment, example_format.seen_frames(piece, example_format.FIT_INTERVAL)
    queries = (segment["timestamps"].numpy()[rows, np.newaxis] + delays).ravel()
    series = (tensor.numpy() for tensor in clips.rating_series(segment))
    ratings = timing.interpolate(queries, *series)
    ratings = ratings.reshape(len(rows), -1)
    complete = np.isfinite(ratings).all(axis=1)
    return segment["features"].numpy()[rows[complete]], ratings[complete]


def _projection(segments: tf.data.Dataset, delays: np.ndarray) -> np.ndarray:
    """Returns the projection [F, C] of features on their first principal components.

    Raises:
      InputError: fewer than two recordings can be used.
    """
    gram, count, recordings = np.zeros(()), 0, 0
    for features, _ in _recordings(segments, delays):
        gram = gram + features.T @ features
        count, recordings = count + len(features), recordings + 1
    if recordings < 2:
        raise errors.InputError(
            f"{recordings} training recordings have frames with a face that are rated until "
            f"{delays[-1]:g} s later; finding the reaction delay needs at least two: give the "
            "delay in seconds, `reaction_delay=2.0`, or add `train_recordings`"
        )
    variance = gram.diagonal() / count
    # As in `Records.moments`: features that are almost always 0 must not outweigh the others.
    scale = 1 / np.sqrt(variance + 0.01 * variance.mean() + np.finfo(float).tiny)
    size = len(gram)
    first = max(0, size - _COMPONENTS)
    _, vectors = scipy.linalg.eigh(
        gram / count * np.outer(scale, scale), subset_by_index=[first, size - 1]
    )
    return scale[:, np.newaxis] * vectors


def _folds(
    segments: tf.data.Dataset, delays: np.ndarray, projection: np.ndarray
) -> tuple[list[_Moments], int]:
    """Deals recordings to up to 20 folds; returns their moments and the number of recordings."""
    folds: list[_Moments] = []
    number = -1
    for number, (features, labels) in enumerate(_recordings(segments, delays)):
        x = features @ projection
        moments = _Moments(len(x), x.T @ x, x.T @ labels, np.square(labels).sum(axis=0))
        if number < _MAX_FOLDS:
            folds.append(moments)
        else:
            folds[number % _MAX_FOLDS] = _sum(folds[number % _MAX_FOLDS], moments)
    return folds, number + 1


def _sum(one: _Moments, other: _Moments) -> _Moments:
    return _Moments(*map(operator.add, one, other))


def _cross_validate(folds: list[_Moments]) -> np.ndarray:
    """Returns the CC of each fold, ridge and column of ratings, [folds, ridges, K D]."""
    total = functools.reduce(_sum, folds)
    result = np.full((len(folds), len(_RIDGES), len(total.labels)), np.nan)
    for f, fold in enumerate(folds):
        # The fit sees all folds but this one.
        fitted = _Moments(*map(operator.sub, total, fold))
        size = len(fitted.features)
        for r, ridge in enumerate(_RIDGES):
            penalty = ridge * np.trace(fitted.features) / size + np.finfo(float).tiny
            weights = scipy.linalg.solve(
                fitted.features + penalty * np.eye(size), fitted.cross, assume_a="pos"
            )
            # With p = weights^T x, all means being 0: CC = sum(p y) / sqrt(sum(p^2) sum(y^2)).
            covariance = (weights * fold.cross).sum(axis=0)
            variances = (weights * (fold.features @ weights)).sum(axis=0) * fold.labels
            defined = variances > 0
            result[f, r, defined] = covariance[defined] / np.sqrt(variances[defined])
    return result


def _choose(cc: np.ndarray, delays: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """Chooses the delay of a target.

    Args:
      cc: [folds, ridges, K].
      delays: [K].

    Returns:
      The mean CC [K] with the best ridge, the delay in seconds, and whether the features predict
      the ratings.

    Raises:
      InputError: the best delay is the longest.
    """
    cc = cc[~np.isnan(cc).any(axis=(1, 2))]
    if len(cc) < 2:
        return np.full(len(delays), np.nan), 0.0, False
    mean = cc.mean(axis=0)
    ridge, best = np.unravel_index(mean.argmax(), mean.shape)
    gain = cc[:, ridge, best] - cc[:, ridge, 0]
    if mean[ridge, best] < _MIN_STANDARD_ERRORS * _standard_error(cc[:, ridge, best]):
        return mean[ridge], 0.0, False
    if gain.mean() < max(_MIN_GAIN, _MIN_GAIN_STANDARD_ERRORS * _standard_error(gain)):
        return mean[ridge], 0.0, True
    if best == len(delays) - 1:
        raise errors.InputError(
            f"the CC between features and ratings still rises at a reaction delay of "
            f"{delays[-1]:g} s (from {mean[ridge, 0]:.3f} to {mean[ridge, best]:.3f}), which is "
            "longer than raters take; check the times of the ratings, or give the delay in "
            "seconds, `reaction_delay=2.0`"
        )
    return mean[ridge], float(delays[best]), True


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))

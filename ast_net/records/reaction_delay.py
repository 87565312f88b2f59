"""How long raters lag behind the face, found from features and ratings together, for each target.

The lag is the one at which a linear model of the features explains best what the raters say that much
later, on recordings it was not fitted on (after Mariooryad and Busso, IEEE Trans. Affective Computing 6,
2015, who maximise mutual information). So that delays are compared fairly, every delay sees the same
frames, the same folds and the same ridge.

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

# Seconds. Raters lag by one to four seconds; a peak needs room on either side of it.
DELAYS = np.round(np.arange(31) * 0.2, 1)
# Ratings and faces change slowly: more frames than five a second cost time and tell nothing new.
_FRAME_STEP = 0.2
_COMPONENTS = 64
# Of the components' mean variance. What a linear model can take depends on the length of the recordings.
_RIDGES = (0.01, 0.1, 1.0, 10.0)
_MAX_FOLDS = 20
# Features predict ratings if their CC is this many standard errors (over folds) above 0: the highest of
# many is taken, so that chance alone makes two.
_PREDICTS = 4.0
# A delay must be better than none by this much, and by this many standard errors of the difference.
_WORTHWHILE, _SURE = 0.01, 2.0


@dataclasses.dataclass(frozen=True)
class DelaySearch:
    """What the search saw, and what came out.

    Attributes:
      delays: float64 [K], seconds.
      cc: float64 [K, D], at each delay the CC between predictions and ratings of recordings left out of
        the fit, the mean over folds; NaN for a target that is constant.
      seconds: float64 [D], each target's delay, one of the delays.
      predicted: bool [D], whether features predict the ratings at all; if not, the delay is 0.
      recordings, frames: how many were used.
    """

    delays: np.ndarray
    cc: np.ndarray
    seconds: np.ndarray
    predicted: np.ndarray
    recordings: int
    frames: int


class _Moments(NamedTuple):
    """Sums over a fold's frames, each recording's own means taken off; added and subtracted by part."""

    frames: int
    features: np.ndarray  # [C, C]
    both: np.ndarray  # [C, K D]
    labels: np.ndarray  # [K D]


def search(segments: tf.data.Dataset, targets: int, delays: np.ndarray = DELAYS) -> DelaySearch:
    """Finds each target's reaction delay. Give it the training recordings and no others.

    Features are standardised and brought to their principal components; features and ratings lose their
    means over each recording, so that who is in the picture explains nothing. Ridge regression from the
    one to the other is cross-validated over recordings. The delay with the highest CC is taken. It is 0
    where features predict nothing (a CC below four standard errors over folds), or the best delay is not
    clearly better than none (by 0.01, and by two standard errors of the difference).

    Args:
      segments: examples of `example_format.features_dict`, those of a recording in order; read twice.
      targets: D.
      delays: [K] seconds, increasing from 0.

    Raises:
      InputError: fewer than two recordings have frames that are rated at all delays, or the best delay
        is the longest, so that the true one may lie beyond.
    """
    projection = _projection(segments, delays)
    folds, recordings = _folds(segments, delays, projection)
    cc = _cross_validate(folds).reshape(len(folds), len(_RIDGES), len(delays), targets)
    chosen = [_choose(cc[..., column], delays) for column in range(targets)]
    curves, best, predicted = (np.stack(part, axis=-1) for part in zip(*chosen))
    frames = sum(fold.frames for fold in folds)
    return DelaySearch(delays, curves, best, predicted, recordings, frames)


def _recordings(
    segments: tf.data.Dataset, delays: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each recording's features [T, F] and its ratings at all delays [T, K D], without their means.

    T counts the frames, five a second, that show a face and are rated at every delay.
    """
    for _, pieces in example_format.by_recording(segments):
        features, labels = zip(*(_rated_frames(piece, delays) for piece in pieces))
        x, y = (np.concatenate(parts).astype(np.float64) for parts in (features, labels))
        if len(x) > 1:
            yield x - x.mean(axis=0), y - y.mean(axis=0)


def _rated_frames(piece: example_format.Piece, delays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features of a piece's frames that count, and their ratings at all delays."""
    segment, new = piece
    times = segment["timestamps"].numpy()
    step = float(np.median(np.diff(times))) if len(times) > 1 else _FRAME_STEP
    frames = int(segment["first_frame"]) + np.arange(new)
    every = max(1, round(_FRAME_STEP / step))
    chosen = np.flatnonzero((frames % every == 0) & segment["mask"].numpy()[:new])
    queries = (times[chosen, np.newaxis] + delays).ravel()
    rated = timing.interpolate(queries, *(t.numpy() for t in clips.rating_series(segment)))
    rated = rated.reshape(len(chosen), -1)
    complete = np.isfinite(rated).all(axis=1)
    return segment["features"].numpy()[chosen[complete]], rated[complete]


def _projection(segments: tf.data.Dataset, delays: np.ndarray) -> np.ndarray:
    """What brings features to their first principal components, [F, C].

    Raises:
      InputError: fewer than two recordings can be used.
    """
    gram, count, recordings = np.zeros(()), 0, 0
    for features, _ in _recordings(segments, delays):
        gram, count, recordings = (
            gram + features.T @ features,
            count + len(features),
            recordings + 1,
        )
    if recordings < 2:
        raise errors.InputError(
            f"{recordings} training recordings have frames with a face that are rated from then until "
            f"{delays[-1]:g} s later; finding the reaction delay takes two or more: give it in seconds, "
            "`reaction_delay=2.0`, or name more `train_recordings`"
        )
    variance = gram.diagonal() / count
    # As in `store.Records.moments`: what hardly ever fires must not outweigh all others.
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
    """The moments of up to 20 folds, to which recordings are dealt in turn, and the recordings' number."""
    folds: list[_Moments] = []
    number = -1
    for number, (features, labels) in enumerate(_recordings(segments, delays)):
        x = features @ projection
        moments = _Moments(len(x), x.T @ x, x.T @ labels, np.square(labels).sum(axis=0))
        if number < _MAX_FOLDS:
            folds.append(moments)
        else:
            folds[number % _MAX_FOLDS] = _added(folds[number % _MAX_FOLDS], moments)
    return folds, number + 1


def _added(one: _Moments, other: _Moments) -> _Moments:
    return _Moments(*map(operator.add, one, other))


def _cross_validate(folds: list[_Moments]) -> np.ndarray:
    """The CC of each fold, ridge and column of ratings, [folds, ridges, K D]."""
    total = functools.reduce(_added, folds)
    result = np.full((len(folds), len(_RIDGES), len(total.labels)), np.nan)
    for f, fold in enumerate(folds):
        fitted = _Moments(*map(operator.sub, total, fold))
        size = len(fitted.features)
        for r, ridge in enumerate(_RIDGES):
            penalty = ridge * np.trace(fitted.features) / size + np.finfo(float).tiny
            weights = scipy.linalg.solve(
                fitted.features + penalty * np.eye(size), fitted.both, assume_a="pos"
            )
            covariance = (weights * fold.both).sum(axis=0)
            variance = (weights * (fold.features @ weights)).sum(axis=0) * fold.labels
            defined = variance > 0
            result[f, r, defined] = covariance[defined] / np.sqrt(variance[defined])
    return result


def _choose(cc: np.ndarray, delays: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The curve [K] of the ridge that reaches the highest CC, the delay, and whether anything is predicted.

    Args:
      cc: [folds, ridges, K].
      delays: [K].

    Raises:
      InputError: the best delay is the longest.
    """
    cc = cc[~np.isnan(cc).any(axis=(1, 2))]
    if len(cc) < 2:
        return np.full(len(delays), np.nan), 0.0, False
    mean = cc.mean(axis=0)
    ridge, best = np.unravel_index(mean.argmax(), mean.shape)
    gain = cc[:, ridge, best] - cc[:, ridge, 0]
    if mean[ridge, best] < _PREDICTS * _standard_error(cc[:, ridge, best]):
        return mean[ridge], 0.0, False
    if gain.mean() < max(_WORTHWHILE, _SURE * _standard_error(gain)):
        return mean[ridge], 0.0, True
    if best == len(delays) - 1:
        raise errors.InputError(
            f"the CC between features and ratings still rises at a reaction delay of {delays[-1]:g} s (from "
            f"{mean[ridge, 0]:.3f} to {mean[ridge, best]:.3f}), which is longer than any rater's: look at "
            "the ratings' times, or give the delay in seconds, `reaction_delay=2.0`"
        )
    return mean[ridge], float(delays[best]), True


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))

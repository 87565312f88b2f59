"""Baselines that a temporal model should beat: the mean rating, and ridge regression on frames.

Both are fitted on the training partition, to the ratings made one reaction delay after each frame.
They write the same evaluation files as a run.
"""

import functools
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import config, workdir
from ast_net.records import catalogue, clips, example_format, record_files
from ast_net.reports import evaluation
from ast_net.temporal import timing

# Candidate penalties, relative to the mean variance of the features.
_PENALTIES = np.logspace(-4, 4, 9)
# Number of groups of training recordings in the cross-validation that chooses the penalty.
_GROUPS = 5


class LinearModel:
    """Predicts each frame independently: features [T, F] @ weights [F, D] + bias [D]."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def reset(self) -> None:
        """Does nothing, because no prediction depends on earlier frames."""

    def predict(self, features: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Predicts frames, float32 [T, D]; `times` is not used."""
        return (features @ self.weights + self.bias).astype(np.float32)


def fit_mean(records: record_files.Records, delays: Sequence[float]) -> LinearModel:
    """Fits the mean rating of all training frames that have a face and a rating.

    Args:
      records: the data set; only its training partition is used.
      delays: the reaction delay of each target, in seconds.
    """
    total, count = np.zeros(len(delays)), np.zeros(len(delays), int)
    for _, labels in _training_frames(records, delays, 0.0):
        total += np.nansum(labels, axis=0, dtype=np.float64)
        count += np.isfinite(labels).sum(axis=0)
    weights = np.zeros((records.feature_size, len(delays)), np.float32)
    return LinearModel(weights, total / np.maximum(count, 1))


def fit_ridge(records: record_files.Records, delays: Sequence[float]) -> LinearModel:
    """Fits ridge regression on the standardised features, separately for each target.

    The penalty is chosen by cross-validation over groups of training recordings.

    Args:
      records: the data set; only its training partition is used.
      delays: the reaction delay of each target, in seconds.
    """
    mean, variance = records.moments()
    columns = [
        _fit_target(records, delays, target, mean, np.sqrt(variance))
        for target in range(len(delays))
    ]
    weights = np.stack([column[:-1] for column in columns], axis=1)
    bias = np.array([column[-1] for column in columns])
    return LinearModel(weights.astype(np.float32), bias)


class _Moments(NamedTuple):
    """Sums over frames of x x^T [F + 1, F + 1], x y [F + 1] and y^2; the last element of x is 1."""

    xx: np.ndarray
    xy: np.ndarray
    yy: float


def _fit_target(
    records: record_files.Records,
    delays: Sequence[float],
    target: int,
    mean: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """Returns the weights of the unstandardised features and the bias, [F + 1]."""
    groups: list[_Moments] = []
    recordings = _training_frames(records, delays, example_format.FIT_INTERVAL)
    for number, (features, labels) in enumerate(recordings):
        rated = np.isfinite(labels[:, target])
        x = (features[rated] - mean) / scale
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(np.float64)
        y = labels[rated, target].astype(np.float64)
        xx = tf.matmul(x, x, transpose_a=True).numpy()
        moments = _Moments(xx, y @ x, float(y @ y))
        if number < _GROUPS:
            groups.append(moments)
        else:
            groups[number % _GROUPS] = _sum([groups[number % _GROUPS], moments])
    total = _sum(groups)
    penalty = choose_penalty(groups)
    logging.debug(f"ridge regression of {records.targets[target]}: penalty {penalty:g}")
    solution = _solve(total, penalty)
    # w . (x - mean) / scale + b = (w / scale) . x + (b - (w / scale) . mean).
    weights = solution[:-1] / scale
    return np.append(weights, solution[-1] - weights @ mean)


def choose_penalty(groups: Sequence[_Moments]) -> float:
    """Returns the penalty with the smallest squared error in leave-one-group-out cross-validation.

    With a single group nothing is left to fit on, and the middle penalty is returned.
    """
    if len(groups) == 1:
        return float(np.median(_PENALTIES))
    errors = np.zeros(len(_PENALTIES))
    for left_out in range(len(groups)):
        fitted = _sum([group for number, group in enumerate(groups) if number != left_out])
        tested = groups[left_out]
        for number, penalty in enumerate(_PENALTIES):
            w = _solve(fitted, penalty)
            # |y - X w|^2 = y . y - 2 w . X^T y + w . X^T X w.
            errors[number] += tested.yy - 2 * w @ tested.xy + w @ tested.xx @ w
    return float(_PENALTIES[errors.argmin()])


def _sum(groups: Sequence[_Moments]) -> _Moments:
    return functools.reduce(lambda one, other: _Moments(*map(operator.add, one, other)), groups)


def _solve(moments: _Moments, penalty: float) -> np.ndarray:
    """Minimises |y - X w|^2 + penalty * mean variance * n |w|^2; the bias is not penalised."""
    diagonal = moments.xx.diagonal()[:-1]
    penalties = np.append(np.full(len(diagonal), penalty * diagonal.mean()), 0.0)
    # Without any rated frame, the matrix would be singular.
    regular = moments.xx + np.diag(penalties + np.finfo(float).tiny)
    # TensorFlow solves this on one thread. The threads of NumPy's and SciPy's libraries wait for
    # each other in busy loops, which takes 50 times as long while other processes are running.
    factor = tf.linalg.cholesky(regular)
    return tf.linalg.cholesky_solve(factor, moments.xy[:, np.newaxis]).numpy()[:, 0]


def _training_frames(
    records: record_files.Records, delays: Sequence[float], seconds: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields features [T, F] and delayed ratings [T, D] of each training recording.

    The T frames are those with a face, `seconds` apart.
    """
    for _, pieces in example_format.by_recording(records.segments("train")):
        parts = []
        for piece in pieces:
            segment, rows = piece.segment, example_format.seen_frames(piece, seconds)
            times = segment["timestamps"].numpy()[rows]
            series = (tensor.numpy() for tensor in clips.rating_series(segment))
            ratings = timing.delayed_ratings(times, delays, *series)
            parts.append((segment["features"].numpy()[rows], ratings))
        features, labels = (np.concatenate(part) for part in zip(*parts))
        yield features.astype(np.float32), labels


FITS = {"mean": fit_mean, "ridge": fit_ridge}


def evaluate(
    row: str,
    experiment: config.Experiment,
    records: record_files.Records,
    splits: Sequence[str],
) -> None:
    """Fits a baseline and writes the evaluation files of a run to the workdir.

    Args:
      row: one of `config.BASELINES`.
      experiment: gives the workdir, data set, targets, clip and reaction delay.
      records: the records of the data set.
      splits: the partitions to evaluate.

    Raises:
      InputError: the records are damaged.
    """
    delays = experiment.reaction_delay.per_target(len(experiment.targets))
    with records.naming_damage():
        model = FITS[row](records, delays)
    for split in splits:
        with records.naming_damage():
            predictions = list(evaluation.predict(model, records.segments(split)))
        evaluation.report(
            workdir.evaluation_folder(str(experiment.workdir), experiment.dataset, split),
            predictions,
            experiment.targets,
            evaluation.EvaluationSetup(split, 0, "none", False, delays),
            experiment.clip.seconds(records.time_step),
            catalogue.data_set(experiment).reader,
        )

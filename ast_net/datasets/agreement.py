"""Measures how well raters agree: pairwise CC and CCC, and Cronbach's alpha.

Ratings are [R, raters], NaN where a rating is missing.
"""

from collections.abc import Callable

import numpy as np

from ast_net.temporal import metrics


def pairwise(ratings: np.ndarray, metric: Callable[..., float]) -> np.ndarray:
    """Computes a metric for each pair of raters, over the times that both have rated.

    Args:
      ratings: [R, raters].
      metric: a symmetric metric such as `metrics.pearson_cc`.

    Returns:
      float64 [raters, raters], symmetric; NaN on the diagonal, for pairs that have no rated time in
      common, and where the metric is undefined because one rater is constant.
    """
    rated = ~np.isnan(ratings)
    raters = ratings.shape[1]
    result = np.full((raters, raters), np.nan)
    for r in range(raters):
        for s in range(r):
            both = rated[:, r] & rated[:, s]
            result[r, s] = result[s, r] = metric(ratings[:, r], ratings[:, s], both)
    return result


def against_others(ratings: np.ndarray, metric: Callable[..., float]) -> np.ndarray:
    """Computes a metric between each rater and the mean of the others.

    This is the score of a human rater against a gold standard made without that rater. Only the
    times count that the rater and at least one other have rated.

    Args:
      ratings: [R, raters].
      metric: as in `pairwise`.

    Returns:
      float64 [raters]; NaN as in `pairwise`.
    """
    rated = ~np.isnan(ratings)
    result = np.full(ratings.shape[1], np.nan)
    for rater in range(ratings.shape[1]):
        others = np.delete(ratings, rater, axis=1)
        count = np.delete(rated, rater, axis=1).sum(axis=1)
        mean = np.nansum(others, axis=1) / np.maximum(count, 1)
        result[rater] = metric(ratings[:, rater], mean, rated[:, rater] & (count > 0))
    return result


def mean_concordance(ratings: np.ndarray) -> np.ndarray:
    """Computes c_r, the mean concordance correlation of each rater with the others.

    A pair is compared over the times that both have rated; a pair without such times is left out.
    A rater who is constant, or the only one, gets 0.

    Args:
      ratings: [R, raters].

    Returns:
      float64 [raters].
    """
    concordance = np.nan_to_num(pairwise(ratings, metrics.concordance_cc))
    rated = ~np.isnan(ratings)
    # Which pairs have a rated time in common, [raters, raters].
    compared = (rated[:, :, np.newaxis] & rated[:, np.newaxis]).any(axis=0)
    np.fill_diagonal(compared, False)
    return concordance.sum(axis=1) / np.maximum(compared.sum(axis=1), 1)


def cronbach_alpha(ratings: np.ndarray) -> float:
    """Computes Cronbach's alpha (Psychometrika 16, 1951) with the k raters as items.

    alpha = k / (k - 1) (1 - sum of the raters' variances / variance of their sum), over the times
    that all have rated. A rater without any rating is ignored.

    Args:
      ratings: [R, raters].

    Returns:
      alpha, or NaN with fewer than two raters, without a time that all have rated, or if the sum of
      the ratings is constant.
    """
    ratings = ratings[:, ~np.isnan(ratings).all(axis=0)]
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    raters = ratings.shape[1]
    if raters < 2 or len(complete) == 0:
        return float("nan")
    variance_of_sum = complete.sum(axis=1).var()
    if variance_of_sum <= 1e-12 * complete.var(axis=0).sum() or not variance_of_sum:
        return float("nan")
    return float(raters / (raters - 1) * (1 - complete.var(axis=0).sum() / variance_of_sum))

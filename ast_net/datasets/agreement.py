"""How well raters agree: pairwise CC and CCC, and Cronbach's alpha.

Ratings are [R, raters], NaN where one is missing.
"""

from collections.abc import Callable

import numpy as np

from ast_net.temporal import metrics


def pairwise(ratings: np.ndarray, metric: Callable[..., float]) -> np.ndarray:
    """A metric between each two raters, where both have rated.

    Args:
      ratings: [R, raters].
      metric: such as `metrics.pearson_cc`, symmetric.

    Returns:
      float64 [raters, raters], symmetric; NaN on the diagonal, where two have no frame in common,
      and where the metric is undefined as one of them is constant there.
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
    """A metric between each rater and the mean of the others, where he and one of them have rated.

    It says how well somebody who has seen the recording agrees with a gold standard of the others.

    Args:
      ratings: [R, raters].
      metric: as of `pairwise`.

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

    A pair is compared where both have rated; a pair that has no frame in common is left out. A
    rater who is constant there, or alone, agrees with nobody: 0.

    Args:
      ratings: [R, raters].

    Returns:
      float64 [raters].
    """
    concordance = np.nan_to_num(pairwise(ratings, metrics.concordance_cc))
    rated = ~np.isnan(ratings)
    compared = (rated[:, :, np.newaxis] & rated[:, np.newaxis]).any(axis=0)
    np.fill_diagonal(compared, False)
    return concordance.sum(axis=1) / np.maximum(compared.sum(axis=1), 1)


def cronbach_alpha(ratings: np.ndarray) -> float:
    """Computes Cronbach's alpha (Psychometrika 16, 1951), raters as items, where all have rated.

    k / (k - 1) (1 - sum of the raters' variances / variance of their sum). A rater without any
    rating is as if not there. NaN with fewer than two raters, without a frame that all of them
    rated, or where their sum is constant.

    Args:
      ratings: [R, raters].
    """
    ratings = ratings[:, ~np.isnan(ratings).all(axis=0)]
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    raters = ratings.shape[1]
    if raters < 2 or len(complete) == 0:
        return float("nan")
    whole = complete.sum(axis=1).var()
    if whole <= 1e-12 * complete.var(axis=0).sum() or not whole:
        return float("nan")
    return float(raters / (raters - 1) * (1 - complete.var(axis=0).sum() / whole))

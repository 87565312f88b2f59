"""One gold standard from several raters."""

import warnings

import numpy as np

from ast_net.temporal import metrics


def agreement(ratings: np.ndarray) -> np.ndarray:
    """How well each rater agrees with the others: c_r, the mean concordance correlation with each of them.

    A pair is compared where both have rated; a pair that has no frame in common is left out. A rater who
    is constant there, or alone, agrees with nobody: 0.

    Args:
      ratings: [R, raters], NaN where a rating is missing.

    Returns:
      float64 [raters].
    """
    rated = ~np.isnan(ratings)
    raters = ratings.shape[1]
    concordance = np.full((raters, raters), np.nan)
    for r in range(raters):
        for s in range(r):
            both = rated[:, r] & rated[:, s]
            if both.any():
                ccc = metrics.concordance_cc(ratings[:, r], ratings[:, s], both)
                concordance[r, s] = concordance[s, r] = np.nan_to_num(ccc)
    compared = ~np.isnan(concordance)
    return np.nansum(concordance, axis=1) / np.maximum(compared.sum(axis=1), 1)


def gold_standard(ratings: np.ndarray, name: str = "ratings") -> np.ndarray:
    """The gold standard of the AVEC challenges 2015 to 2018, for one recording and one target.

    With c_r a rater's agreement and m_r its mean, m = sum(c_r m_r) / sum(c_r), and the gold standard is
    the mean over raters of (rating_r - m_r + m). Missing ratings are left out of every moment, population
    moments throughout.
    One rater gives its own ratings. A constant rater has no weight in m, but its centred zeros count
    in the mean over raters, as the formula has it. A rater without any rating is as if not there.

    Only the gold standard's level depends on m, not its course. Where raters agree so badly that the
    weights sum to less than nothing, or negative ones carry m outside of the raters' means, the formula
    is followed with a RuntimeWarning; where they sum to nothing it is undefined, and the plain mean of
    m_r takes its place, with the same warning.

    Args:
      ratings: [R, raters], NaN where a rating is missing.
      name: what to call these ratings in the warning.

    Returns:
      float64 [R], NaN where nobody has rated.

    Raises:
      ValueError: ratings are not [R, raters], or one is infinite.
    """
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or np.isinf(ratings).any():
        raise ValueError(f"expected finite or missing ratings [R, raters], found {ratings.shape}")
    ratings = ratings[:, ~np.isnan(ratings).all(axis=0)]
    if ratings.shape[1] == 0:
        return np.full(len(ratings), np.nan)
    means = np.nanmean(ratings, axis=0)
    level = _level(means, agreement(ratings), name)
    shifted = ratings - means + level
    raters = (~np.isnan(shifted)).sum(axis=1)
    return np.where(raters > 0, np.nansum(shifted, axis=1) / np.maximum(raters, 1), np.nan)


def _level(means: np.ndarray, weights: np.ndarray, name: str) -> float:
    """m, from m_r [raters] and c_r [raters]."""
    if len(means) == 1:
        return float(means[0])
    total = weights.sum()
    level = float((weights * means).sum() / total) if total else float(means.mean())
    # A weighted mean leaves its values' range by rounding, or where weights are negative.
    if total > 0 and means.min() - 1e-9 <= level <= means.max() + 1e-9:
        return level
    warnings.warn(
        f"{name}: the raters do not agree (concordance with the others "
        f"{', '.join(f'{weight:.3f}' for weight in weights)}), so the gold standard's level "
        f"{level:.3f}, beside raters' means from {means.min():.3f} to {means.max():.3f}, means little; "
        "check the ratings",
        RuntimeWarning,
        stacklevel=3,
    )
    return level

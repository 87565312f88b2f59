"""Computes one gold standard from the ratings of several raters."""

import numpy as np
from absl import logging

from ast_net.datasets import agreement, annotations

# If the ratings of two targets end farther apart than this many seconds, a file may be truncated.
_END_TOLERANCE = 1.0


def of_targets(name: str, ratings: dict[str, annotations.Ratings]) -> tuple[np.ndarray, np.ndarray]:
    """Computes the gold standard of all targets of a recording.

    Targets may be rated at different times. Moving the raters to a common level can push a gold
    standard out of [-1, 1]; it is clipped, with a warning.

    Args:
      name: name of the recording, for warnings.
      ratings: the ratings of each of the D targets.

    Returns:
      times: float64 [R], seconds: all times at which some target is rated.
      gold: float64 [R, D], NaN where a target is not rated.
    """
    times = np.unique(np.concatenate([rated.times for rated in ratings.values()]))
    gold = np.full((len(times), len(ratings)), np.nan)
    for column, (target, rated) in enumerate(ratings.items()):
        rows = np.searchsorted(times, rated.times)
        gold[rows, column] = gold_standard(rated.values, f"{name}, {target}")
        if np.isnan(rated.values).all():
            logging.warning(f"{name}: {target} has no ratings")
    ends = {target: rated.times[-1] for target, rated in ratings.items()}
    if max(ends.values()) - min(ends.values()) > _END_TOLERANCE:
        listed = ", ".join(f"{target} at {end:.2f} s" for target, end in ends.items())
        logging.warning(
            f"{name}: the ratings end at different times ({listed}); check that no file is "
            "truncated"
        )
    outside = int((np.abs(gold) > 1).sum())
    if outside:
        logging.warning(f"{name}: {outside} values of the gold standard were clipped to [-1, 1]")
    return times, np.clip(gold, -1, 1)


def gold_standard(ratings: np.ndarray, name: str = "ratings") -> np.ndarray:
    """Computes the gold standard of the AVEC challenges 2015 to 2018, for one recording and target.

    With m_r the mean of rater r and c_r its agreement with the others (`mean_concordance`), the
    common level is m = sum(c_r m_r) / sum(c_r), and the gold standard is the mean over raters of
    (rating_r - m_r + m). All moments are population moments, over the ratings that are not missing.
    With a single rater, the gold standard is that rater's ratings. A constant rater has no weight
    in m, but counts in the mean over raters, as the formula has it. A rater without any rating is
    ignored.

    m shifts the gold standard as a whole and does not change its shape. If the weights sum to 0, or
    negative weights carry m outside the range of the m_r, the unweighted mean of the m_r is used
    instead, with a warning. The same warning is logged if the weights sum to less than 0.

    Args:
      ratings: [R, raters], NaN where a rating is missing.
      name: name of these ratings in the warning.

    Returns:
      float64 [R], NaN where no rater has a rating.

    Raises:
      ValueError: the shape is not [R, raters], or a rating is infinite.
    """
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or np.isinf(ratings).any():
        raise ValueError(f"expected finite or missing ratings [R, raters], found {ratings.shape}")
    ratings = ratings[:, ~np.isnan(ratings).all(axis=0)]
    if ratings.shape[1] == 0:
        return np.full(len(ratings), np.nan)
    if ratings.shape[1] == 1:
        return ratings[:, 0]
    means = np.nanmean(ratings, axis=0)
    weights = agreement.mean_concordance(ratings)
    total = weights.sum()
    level = (weights * means).sum() / total if total else np.inf
    # With negative weights, a weighted mean can lie outside the range of its values. The margin
    # allows for rounding.
    inside = means.min() - 1e-9 <= level <= means.max() + 1e-9
    if not inside:
        level = means.mean()
    if total <= 0 or not inside:
        concordance = ", ".join(f"{weight:.3f}" for weight in weights)
        logging.warning(
            f"{name}: the raters do not agree (mean CCC of each with the others: {concordance}), "
            f"so the level of the gold standard, {level:.3f}, is not reliable (the raters' means "
            f"range from {means.min():.3f} to {means.max():.3f}); check the ratings"
        )
    shifted = ratings - means + level
    raters = (~np.isnan(shifted)).sum(axis=1)
    # np.nanmean would warn of times without any rating.
    return np.where(raters > 0, np.nansum(shifted, axis=1) / np.maximum(raters, 1), np.nan)

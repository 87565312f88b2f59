"""One gold standard from several raters."""

import numpy as np
from absl import logging

from ast_net.datasets import agreement, annotations

# Targets whose ratings end farther apart than this many seconds: is a file cut off?
_ENDS_TOGETHER = 1.0


def of_targets(name: str, ratings: dict[str, annotations.Ratings]) -> tuple[np.ndarray, np.ndarray]:
    """The gold standard of all targets of a recording, NaN where a target was not rated.

    Targets may be rated at different times. By its level a gold standard can leave the scale of its
    ratings, [-1, 1]: it is cut off there, with a warning.

    Args:
      name: the recording's.
      ratings: of each of the D targets.

    Returns:
      times: float64 [R], seconds, those of all targets.
      gold: float64 [R, D].
    """
    times = np.unique(np.concatenate([rated.times for rated in ratings.values()]))
    gold = np.full((len(times), len(ratings)), np.nan)
    for column, (target, rated) in enumerate(ratings.items()):
        rows = np.searchsorted(times, rated.times)
        gold[rows, column] = gold_standard(rated.values, f"{name}, {target}")
        if np.isnan(rated.values).all():
            logging.warning(f"{name}: nobody has rated its {target}")
    ends = {target: rated.times[-1] for target, rated in ratings.items()}
    if max(ends.values()) - min(ends.values()) > _ENDS_TOGETHER:
        listed = ", ".join(f"{target} at {end:.2f} s" for target, end in ends.items())
        logging.warning(f"{name}: ratings end at different times, {listed}: is a file cut off?")
    beyond = int((np.abs(gold) > 1).sum())
    if beyond:
        logging.warning(f"{name}: {beyond} values of the gold standard cut off at -1 or 1")
    return times, np.clip(gold, -1, 1)


def gold_standard(ratings: np.ndarray, name: str = "ratings") -> np.ndarray:
    """The gold standard of the AVEC challenges 2015 to 2018, for one recording and one target.

    With c_r a rater's agreement and m_r its mean, m = sum(c_r m_r) / sum(c_r), and the gold
    standard is the mean over raters of (rating_r - m_r + m). Missing ratings are left out of every
    moment, population moments throughout.
    One rater gives its own ratings. A constant rater has no weight in m, but its centred zeros
    count in the mean over raters, as the formula has it. A rater without any rating is as if not
    there.

    Only the gold standard's level depends on m, not its course. Where raters agree so badly that
    the weights sum to less than nothing, a warning is logged. Where they sum to nothing, or
    negative ones carry m outside of the raters' means, m means nothing, and the plain mean of m_r
    takes its place, with the same warning.

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
    if ratings.shape[1] == 1:
        return ratings[:, 0]
    means = np.nanmean(ratings, axis=0)
    weights = agreement.mean_concordance(ratings)
    total = weights.sum()
    level = (weights * means).sum() / total if total else np.inf
    # A weighted mean leaves its values' range by rounding, or where weights are negative.
    inside = means.min() - 1e-9 <= level <= means.max() + 1e-9
    if not inside:
        level = means.mean()
    if total <= 0 or not inside:
        concordance = ", ".join(f"{weight:.3f}" for weight in weights)
        logging.warning(
            f"{name}: the raters do not agree (concordance with the others {concordance}), so"
            f" the gold standard's level, {level:.3f} of raters' means from {means.min():.3f} "
            f"to {means.max():.3f}, means little; check the ratings"
        )
    shifted = ratings - means + level
    raters = (~np.isnan(shifted)).sum(axis=1)
    return np.where(raters > 0, np.nansum(shifted, axis=1) / np.maximum(raters, 1), np.nan)

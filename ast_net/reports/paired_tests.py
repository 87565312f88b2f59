"""Whether one loss does better than another over the same recordings.

Seeds are averaged first: they are repetitions, not recordings.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

# Below so many recordings no p can be small: with five, the smallest is 1/16.
MIN_RECORDINGS = 6


class Difference(NamedTuple):
    """How a row differs from the reference.

    Attributes:
      recordings: how many have a CC in both.
      mean: of the differences, row - reference; NaN without a recording.
      better: in how many recordings the row is better.
      p: of Wilcoxon's signed-rank test, two-sided; None below MIN_RECORDINGS.
      adjusted: p after Holm's correction for the number of rows.
    """

    recordings: int
    mean: float
    better: int
    p: float | None
    adjusted: float | None


def compare(
    rows: Mapping[str, Mapping[str, float]], reference: Mapping[str, float]
) -> dict[str, Difference]:
    """Compares rows with a reference, recording by recording.

    Args:
      rows: {row: {recording: CC, the mean over seeds}}.
      reference: {recording: CC, the mean over seeds}.
    """
    paired = {}
    for row, values in rows.items():
        both = [recording for recording in reference if recording in values]
        paired[row] = np.array([values[r] - reference[r] for r in both], np.float64)
    p = {row: wilcoxon(d) for row, d in paired.items() if len(d) >= MIN_RECORDINGS}
    adjusted = dict(zip(p, holm([*p.values()]), strict=True))
    return {
        row: Difference(
            len(differences),
            float(differences.mean()) if len(differences) else float("nan"),
            int((differences > 0).sum()),
            p.get(row),
            adjusted.get(row),
        )
        for row, differences in paired.items()
    }


def wilcoxon(differences: np.ndarray) -> float:
    """Returns p of Wilcoxon's signed-rank test (Biometrics 1, 1945), two-sided; 1 if all are 0.

    Exact up to 50 differences without ties; zeros are dropped.

    Args:
      differences: [n].
    """
    if not np.any(differences):
        return 1.0
    return float(scipy.stats.wilcoxon(differences).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Returns p adjusted for their number (Holm, Scand. J. of Statistics 6, 1979), in their order.

    The k-th smallest of m, from 0, is multiplied by m - k; none is below a smaller one, or above 1.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    stepped = np.maximum.accumulate(np.asarray(p, np.float64)[order] * factors)
    result = np.empty(len(p))
    result[order] = np.minimum(stepped, 1)
    return result.tolist()

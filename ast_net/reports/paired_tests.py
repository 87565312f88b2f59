"""Tests whether one loss gives a higher CC than another on the same recordings.

Seeds are averaged first, because they are repetitions and not independent recordings.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

# With fewer recordings, p cannot be small: with five, the smallest possible p is 1/16.
MIN_RECORDINGS = 6


class Difference(NamedTuple):
    """The difference between a row and the reference row.

    Attributes:
      recordings: the number of recordings with a CC in both rows.
      mean: the mean difference of CC, row - reference; NaN without recordings.
      better: the number of recordings in which the row has the higher CC.
      p: p of Wilcoxon's two-sided signed-rank test; None below MIN_RECORDINGS.
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
    """Compares rows with a reference row, recording by recording.

    Args:
      rows: {row: {recording: mean CC over seeds}}.
      reference: {recording: mean CC over seeds}.
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
    """Returns p of Wilcoxon's two-sided signed-rank test (Biometrics 1, 1945).

    p is exact for up to 50 differences without ties. Zeros are dropped; if all differences are 0, p
    is 1.

    Args:
      differences: [n].
    """
    if not np.any(differences):
        return 1.0
    return float(scipy.stats.wilcoxon(differences).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number (Holm, Scand. J. of Statistics 6, 1979).

    The k-th smallest of m p-values, counted from 0, is multiplied by m - k. The results are then
    raised where necessary to keep the order, and limited to 1.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    stepped = np.maximum.accumulate(np.asarray(p, np.float64)[order] * factors)
    result = np.empty(len(p))
    result[order] = np.minimum(stepped, 1)
    return result.tolist()

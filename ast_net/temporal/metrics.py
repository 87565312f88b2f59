"""Agreement of predictions with ratings (section 4.2), on 1-D series, in float64.

All take a mask that is True where a frame counts, use population moments (divide by n), give NaN
where nothing counts, and raise ValueError where shapes differ.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Series: TypeAlias = npt.ArrayLike


def pearson_cc(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Pearson's correlation coefficient, the paper's CC; NaN if either series is constant."""
    g, p = _valid(labels, predictions, mask)
    if _constant(g) or _constant(p):
        return float("nan")
    return float(np.mean((g - g.mean()) * (p - p.mean())) / (g.std() * p.std()))


def concordance_cc(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Lin's concordance correlation (Biometrics 45, 1989); NaN if either series is constant.

    2 cov(g, p) / (var(g) + var(p) + (mean(g) - mean(p))^2): unlike CC it drops where the scale or
    the level is wrong.
    """
    g, p = _valid(labels, predictions, mask)
    if _constant(g) or _constant(p):
        return float("nan")
    covariance = np.mean((g - g.mean()) * (p - p.mean()))
    return float(2 * covariance / (g.var() + p.var() + (g.mean() - p.mean()) ** 2))


def rmse(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Root of the mean squared error."""
    g, p = _valid(labels, predictions, mask)
    return float(np.sqrt(np.mean((g - p) ** 2))) if g.size else float("nan")


def _constant(series: np.ndarray) -> bool:
    return series.size == 0 or bool(np.ptp(series) == 0)


def _valid(labels, predictions, mask) -> tuple[np.ndarray, np.ndarray]:
    g, p = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    if g.ndim != 1 or g.shape != p.shape:
        raise ValueError(f"expected two series [T], found shapes {g.shape} and {p.shape}")
    if mask is None:
        return g, p
    valid = np.asarray(mask, bool)
    if valid.shape != g.shape:
        raise ValueError(f"expected a mask of shape {g.shape}, found {valid.shape}")
    return g[valid], p[valid]

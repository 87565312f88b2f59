"""Measures the agreement of predictions with ratings (section 4.2).

All functions take 1-D series and a mask that is True for valid frames. They compute in float64 with
population moments (divided by n), return NaN if no frame is valid, and raise ValueError if shapes
differ.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Series: TypeAlias = npt.ArrayLike


def pearson_cc(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Computes Pearson's correlation coefficient, the paper's CC; NaN if a series is constant."""
    g, p = _valid(labels, predictions, mask)
    if _constant(g) or _constant(p):
        return float("nan")
    return float(np.mean((g - g.mean()) * (p - p.mean())) / (g.std() * p.std()))


def concordance_cc(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Computes Lin's concordance correlation (Biometrics 45, 1989); NaN if a series is constant.

    2 cov(g, p) / (var(g) + var(p) + (mean(g) - mean(p))^2). Unlike CC, it is lower if the
    predictions have the wrong scale or mean.
    """
    g, p = _valid(labels, predictions, mask)
    if _constant(g) or _constant(p):
        return float("nan")
    covariance = np.mean((g - g.mean()) * (p - p.mean()))
    return float(2 * covariance / (g.var() + p.var() + (g.mean() - p.mean()) ** 2))


def rmse(labels: Series, predictions: Series, mask: Series | None = None) -> float:
    """Computes the root mean squared error."""
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

"""Compares the metrics with SciPy and with values computed by hand."""

import numpy as np
import pytest
import scipy.stats

from ast_net.temporal import metrics

ALL = [metrics.pearson_cc, metrics.concordance_cc, metrics.rmse]


def test_pearson_equals_scipy(rng):
    g, p = rng.normal(size=(2, 200))
    p += g
    assert metrics.pearson_cc(g, p) == pytest.approx(
        scipy.stats.pearsonr(g, p).statistic, abs=1e-12
    )


def test_concordance_by_hand():
    # Means 2 and 4, population variances 2/3 and 8/3, covariance 4/3.
    ccc = metrics.concordance_cc([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert ccc == pytest.approx(2 * (4 / 3) / (2 / 3 + 8 / 3 + 4))


def test_rmse_by_hand():
    assert metrics.rmse([0.0, 0.0, 0.0], [1.0, 2.0, 2.0]) == pytest.approx(np.sqrt(3))


def test_concordance_depends_on_scale_and_mean_but_correlation_does_not(rng):
    g = rng.normal(size=100)
    assert metrics.pearson_cc(g, 3 * g + 1) == pytest.approx(1)
    assert metrics.concordance_cc(g, g) == pytest.approx(1)
    assert metrics.concordance_cc(g, 3 * g + 1) < 0.7


@pytest.mark.parametrize("metric", ALL)
def test_mask_equals_leaving_frames_out(metric, rng):
    g, p = rng.normal(size=(2, 50))
    mask = rng.random(50) > 0.5
    assert metric(np.where(mask, g, np.nan), p, mask) == metric(g[mask], p[mask])


@pytest.mark.parametrize("metric", ALL[:2])
def test_constant_series_has_no_correlation(metric, rng):
    constant, varying = np.full(10, 0.1), rng.normal(size=10)
    assert np.isnan(metric(constant, varying))
    assert np.isnan(metric(varying, constant))
    assert np.isnan(metric(constant, constant))


@pytest.mark.parametrize("metric", ALL)
def test_metrics_without_valid_frames_are_nan(metric):
    assert np.isnan(metric([1.0, 2.0], [3.0, 5.0], [False, False]))


@pytest.mark.parametrize("metric", ALL)
def test_wrong_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"two series \[T\]"):
        metric(np.zeros(3), np.zeros(1))
    with pytest.raises(ValueError, match=r"two series \[T\]"):
        metric(np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="mask of shape"):
        metric(np.zeros(3), np.zeros(3), [True])

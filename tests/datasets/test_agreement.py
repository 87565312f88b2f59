"""Agreement between raters, compared with SciPy and with other forms of the formulas."""

import numpy as np
import pytest
import scipy.stats

from ast_net.datasets import agreement
from ast_net.temporal import metrics


@pytest.fixture
def ratings(rng):
    """[200, 4] with missing values in every column."""
    trajectory = np.cumsum(rng.normal(size=200)) / 10
    values = trajectory[:, np.newaxis] * [1.0, 0.5, -0.2, 1.5] + [0, 1, 0, 2]
    values += rng.normal(0, 0.3, (200, 4))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_pairwise_cc_equals_scipy(ratings):
    result = agreement.pairwise(ratings, metrics.pearson_cc)
    for r in range(4):
        assert np.isnan(result[r, r])
        for s in range(4):
            both = ~np.isnan(ratings[:, r] + ratings[:, s])
            if r != s:
                expected = scipy.stats.pearsonr(ratings[both, r], ratings[both, s]).statistic
                assert result[r, s] == pytest.approx(expected, abs=1e-12)


def test_pairwise_ccc_equals_its_formula_by_cc(ratings):
    result = agreement.pairwise(ratings, metrics.concordance_cc)
    both = ~np.isnan(ratings[:, 0] + ratings[:, 3])
    x, y = ratings[both, 0], ratings[both, 3]
    # CCC = CC C_b, where Lin's C_b depends on the scale shift and the location shift.
    scale, location = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    expected = scipy.stats.pearsonr(x, y).statistic * 2 / (scale + 1 / scale + location**2)
    assert result[0, 3] == result[3, 0] == pytest.approx(expected, abs=1e-12)


def test_pairs_that_cannot_be_compared_are_nan_but_the_others_are_not(ratings):
    ratings[:100, 0] = np.nan
    ratings[100:, 1] = np.nan
    ratings[:, 2] = 0.5
    result = agreement.pairwise(ratings, metrics.pearson_cc)
    np.testing.assert_array_equal(
        np.isfinite(result),
        [
            [False, False, False, True],
            [False, False, False, True],
            [False] * 4,
            [True, True, False, False],
        ],
    )


def test_mean_concordance_leaves_out_pairs_without_common_times(ratings):
    ratings[:100, 0] = np.nan
    ratings[100:, 1] = np.nan
    ccc = agreement.pairwise(ratings, metrics.concordance_cc)
    result = agreement.mean_concordance(ratings)
    assert result[0] == pytest.approx((ccc[0, 2] + ccc[0, 3]) / 2)
    assert result[3] == pytest.approx((ccc[3, 0] + ccc[3, 1] + ccc[3, 2]) / 3)
    assert agreement.mean_concordance(ratings[:, :1]) == 0


def test_alpha_equals_the_covariance_form(ratings):
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    covariance = np.cov(complete.T)
    between = (covariance.sum() - np.trace(covariance)) / 12
    expected = 4 * between / (np.trace(covariance) / 4 + 3 * between)
    assert agreement.cronbach_alpha(ratings) == pytest.approx(expected, abs=1e-12)
    with_empty = np.column_stack([ratings, np.full(200, np.nan)])
    assert agreement.cronbach_alpha(with_empty) == agreement.cronbach_alpha(ratings)


def test_alpha_by_hand():
    # Variances 2/3 and 8/3, variance of the sum 6: 2 (1 - 10/18) = 8/9. Perfect agreement gives 1.
    ramp = np.array([0.0, 1.0, 2.0])
    assert agreement.cronbach_alpha(np.stack([ramp, 2 * ramp], 1)) == pytest.approx(8 / 9)
    assert agreement.cronbach_alpha(np.stack([ramp, ramp + 1], 1)) == pytest.approx(1)


@pytest.mark.parametrize(
    "undefined",
    [
        np.arange(5.0)[:, np.newaxis],
        np.ones((5, 3)),
        np.array([[1.0, np.nan], [np.nan, 2.0]]),
        np.stack([np.sin(np.arange(9)), -np.sin(np.arange(9))], axis=1),
        np.zeros((0, 3)),
    ],
)
def test_alpha_is_nan_where_it_is_undefined(undefined):
    assert np.isnan(agreement.cronbach_alpha(undefined))


def test_each_rater_against_the_mean_of_the_others(rng):
    ratings = rng.normal(size=(40, 3))
    ratings[:5, 2] = np.nan
    ratings[7] = [0.5, np.nan, np.nan]  # nobody else has rated
    result = agreement.against_others(ratings, metrics.pearson_cc)
    shared = np.delete(ratings, 7, axis=0)
    for rater in range(3):
        others = np.nanmean(np.delete(shared, rater, axis=1), axis=1)
        both = np.isfinite(shared[:, rater])
        expected = np.corrcoef(shared[both, rater], others[both])[0, 1]
        assert result[rater] == pytest.approx(expected)
    assert np.isnan(agreement.against_others(ratings[:, :1], metrics.pearson_cc)).all()

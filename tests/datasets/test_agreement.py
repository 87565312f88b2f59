"""Agreement between raters against SciPy, and against formulas written otherwise."""

import numpy as np
import pytest
import scipy.stats

from ast_net.datasets import agreement
from ast_net.temporal import metrics


@pytest.fixture
def ratings(rng):
    """[200, 4] with missing values in every column."""
    course = np.cumsum(rng.normal(size=200)) / 10
    values = (
        course[:, np.newaxis] * [1.0, 0.5, -0.2, 1.5] + rng.normal(0, 0.3, (200, 4)) + [0, 1, 0, 2]
    )
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_pairwise_cc_equals_scipy(ratings):
    found = agreement.pairwise(ratings, metrics.pearson_cc)
    for r in range(4):
        assert np.isnan(found[r, r])
        for s in range(4):
            both = ~np.isnan(ratings[:, r] + ratings[:, s])
            if r != s:
                expected = scipy.stats.pearsonr(ratings[both, r], ratings[both, s]).statistic
                assert found[r, s] == pytest.approx(expected, abs=1e-12)


def test_pairwise_ccc_equals_its_formula_by_cc(ratings):
    found = agreement.pairwise(ratings, metrics.concordance_cc)
    both = ~np.isnan(ratings[:, 0] + ratings[:, 3])
    x, y = ratings[both, 0], ratings[both, 3]
    # Lin's C_b: the part of CCC that is not CC, of the scale shift and the location shift.
    scale, location = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    expected = scipy.stats.pearsonr(x, y).statistic * 2 / (scale + 1 / scale + location**2)
    assert found[0, 3] == found[3, 0] == pytest.approx(expected, abs=1e-12)


def test_pairs_that_cannot_be_compared_are_nan_but_the_others_are_not(ratings):
    ratings[:100, 0] = np.nan
    ratings[100:, 1] = np.nan
    ratings[:, 2] = 0.5
    found = agreement.pairwise(ratings, metrics.pearson_cc)
    np.testing.assert_array_equal(
        np.isfinite(found),
        [
            [False, False, False, True],
            [False, False, False, True],
            [False] * 4,
            [True, True, False, False],
        ],
    )


def test_mean_concordance_leaves_out_whom_one_never_met(ratings):
    ratings[:100, 0] = np.nan
    ratings[100:, 1] = np.nan
    ccc = agreement.pairwise(ratings, metrics.concordance_cc)
    found = agreement.mean_concordance(ratings)
    assert found[0] == pytest.approx((ccc[0, 2] + ccc[0, 3]) / 2)
    assert found[3] == pytest.approx((ccc[3, 0] + ccc[3, 1] + ccc[3, 2]) / 3)
    assert agreement.mean_concordance(ratings[:, :1]) == 0


def test_alpha_equals_the_covariance_form(ratings):
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    covariance = np.cov(complete.T)
    between = (covariance.sum() - np.trace(covariance)) / 12
    expected = 4 * between / (np.trace(covariance) / 4 + 3 * between)
    assert agreement.cronbach_alpha(ratings) == pytest.approx(expected, abs=1e-12)
    silent = np.column_stack([ratings, np.full(200, np.nan)])
    assert agreement.cronbach_alpha(silent) == agreement.cronbach_alpha(ratings)


def test_alpha_by_hand():
    # Variances 2/3 and 8/3, of the sum 6: 2 (1 - 10/18) = 8/9. One who agrees wholly gives 1.
    course = np.array([0.0, 1.0, 2.0])
    assert agreement.cronbach_alpha(np.stack([course, 2 * course], 1)) == pytest.approx(8 / 9)
    assert agreement.cronbach_alpha(np.stack([course, course + 1], 1)) == pytest.approx(1)


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
    found = agreement.against_others(ratings, metrics.pearson_cc)
    frame = np.delete(ratings, 7, axis=0)
    for rater in range(3):
        others = np.nanmean(np.delete(frame, rater, axis=1), axis=1)
        both = np.isfinite(frame[:, rater])
        expected = np.corrcoef(frame[both, rater], others[both])[0, 1]
        assert found[rater] == pytest.approx(expected)
    assert np.isnan(agreement.against_others(ratings[:, :1], metrics.pearson_cc)).all()

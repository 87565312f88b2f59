"""The gold standard, compared with its formula computed number by number."""

import math
import warnings
from unittest import mock

import numpy as np
import pytest
from absl import logging

from ast_net.datasets import agreement, annotations, gold_standard


def loop_ccc(x, y):
    pairs = [(a, b) for a, b in zip(x, y) if not (math.isnan(a) or math.isnan(b))]
    if not pairs:
        return None
    n = len(pairs)
    mean_x, mean_y = math.fsum(a for a, _ in pairs) / n, math.fsum(b for _, b in pairs) / n
    var_x = math.fsum((a - mean_x) ** 2 for a, _ in pairs) / n
    var_y = math.fsum((b - mean_y) ** 2 for _, b in pairs) / n
    cov = math.fsum((a - mean_x) * (b - mean_y) for a, b in pairs) / n
    denominator = var_x + var_y + (mean_x - mean_y) ** 2
    return 2 * cov / denominator if denominator else 0.0


def loop_gold_standard(ratings):
    columns = [list(column) for column in ratings.T]
    means, weights = [], []
    for r, column in enumerate(columns):
        others = [loop_ccc(column, other) for s, other in enumerate(columns) if s != r]
        others = [ccc for ccc in others if ccc is not None]
        weights.append(math.fsum(others) / len(others) if others else 0.0)
        rated = [value for value in column if not math.isnan(value)]
        means.append(math.fsum(rated) / len(rated))
    level = math.fsum(w * m for w, m in zip(weights, means)) / math.fsum(weights)
    gold = []
    for row in ratings:
        values = [v - m + level for v, m in zip(row, means) if not math.isnan(v)]
        gold.append(math.fsum(values) / len(values) if values else math.nan)
    return np.array(gold)


def raters(rng, frames=400, count=6):
    trajectory = np.cumsum(rng.normal(size=frames)) / 20
    gains, biases = rng.uniform(0.5, 1.5, count), rng.uniform(-0.4, 0.4, count)
    return trajectory[:, None] * gains + biases + rng.normal(0, 0.05, (frames, count))


@pytest.fixture(autouse=True)
def logged():
    """Collects the logged warnings; NumPy's warnings are errors."""
    messages = []

    def log(message, *values):
        messages.append(message % values)

    with warnings.catch_warnings(), mock.patch.object(logging, "warning", log):
        warnings.simplefilter("error")
        yield messages


def test_equals_the_formula(rng):
    ratings = raters(rng)
    np.testing.assert_allclose(
        gold_standard.gold_standard(ratings), loop_gold_standard(ratings), rtol=0, atol=1e-9
    )


def test_leaves_missing_ratings_out_of_every_moment(rng):
    ratings = raters(rng)
    ratings[rng.random(ratings.shape) < 0.2] = np.nan
    ratings[100:110] = np.nan
    ratings[:200, 0] = np.nan
    gold = gold_standard.gold_standard(ratings)
    np.testing.assert_allclose(gold, loop_gold_standard(ratings), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.isnan(gold), np.isnan(ratings).all(axis=1))


def test_a_pair_without_a_common_time_is_left_out(rng):
    ratings = raters(rng, count=3)
    ratings[:200, 0] = np.nan
    ratings[200:, 1] = np.nan
    np.testing.assert_allclose(
        gold_standard.gold_standard(ratings), loop_gold_standard(ratings), rtol=0, atol=1e-9
    )


def test_with_one_rater_the_gold_standard_is_its_ratings(rng):
    ratings = raters(rng, count=1)
    ratings[3] = np.nan
    np.testing.assert_allclose(gold_standard.gold_standard(ratings), ratings[:, 0], atol=1e-15)


def test_two_raters_by_hand():
    # The weights are equal, so the level is the mean of 0 and 1.
    gold = gold_standard.gold_standard(np.array([[-1.0, 0.5], [0.0, 1.0], [1.0, 1.5]]))
    np.testing.assert_allclose(gold, [-0.25, 0.5, 1.25])


def test_a_constant_rater_has_no_weight_but_counts_in_the_mean(rng):
    ratings = raters(rng, count=3)
    constant = np.column_stack([ratings, np.full(len(ratings), 0.9)])
    assert agreement.mean_concordance(constant)[3] == 0
    gold = gold_standard.gold_standard(constant)
    np.testing.assert_allclose(gold, loop_gold_standard(constant), rtol=0, atol=1e-9)
    without = gold_standard.gold_standard(ratings)
    assert gold.std() == pytest.approx(0.75 * without.std())


def test_a_rater_without_ratings_is_ignored(rng):
    ratings = raters(rng, count=3)
    with_empty = np.column_stack([ratings, np.full(len(ratings), np.nan)])
    np.testing.assert_array_equal(
        gold_standard.gold_standard(with_empty), gold_standard.gold_standard(ratings)
    )
    assert np.isnan(gold_standard.gold_standard(np.full((5, 2), np.nan))).all()
    assert gold_standard.gold_standard(np.zeros((0, 6))).shape == (0,)


def test_warns_if_all_raters_are_constant(logged):
    ratings = np.tile([0.1, 0.3], (5, 1))
    np.testing.assert_allclose(gold_standard.gold_standard(ratings, "P16, valence"), 0.2)
    assert "P16, valence: the raters do not agree" in logged[0]


def test_warns_if_raters_contradict_each_other(logged):
    curve = np.sin(np.arange(100) / 5)
    ratings = np.stack([curve, -curve + 0.5], axis=1)
    gold = gold_standard.gold_standard(ratings)
    np.testing.assert_allclose(gold, ratings.mean(axis=1), atol=1e-9)
    assert "do not agree" in logged.pop()
    # With weights of both signs, the formula's level lies outside the raters' means, and their
    # unweighted mean replaces it.
    mixed = np.stack([curve, 0.9 * curve, 1.0 - 0.5 * curve], axis=1)
    weights = agreement.mean_concordance(mixed)
    assert (weights > 0).any() and (weights < 0).any()
    assert not 0 < loop_gold_standard(mixed).mean() < 1
    gold = gold_standard.gold_standard(mixed)
    np.testing.assert_allclose(gold, mixed.mean(axis=1), atol=1e-9)
    assert "do not agree" in logged.pop()


def test_does_not_warn_if_raters_agree(rng, logged):
    gold_standard.gold_standard(raters(rng))
    assert not logged


def rated(times, *values):
    return annotations.Ratings(np.array(times), np.array(values).T, tuple("abcd"[: len(values)]))


def test_targets_rated_at_different_times_keep_their_times(logged):
    ratings = {
        "valence": rated([0.0, 0.1, 0.2], [0.1, 0.2, 0.3]),
        "arousal": rated([0.0, 0.15], [-0.5, -0.6]),
    }
    times, gold = gold_standard.of_targets("P16", ratings)
    np.testing.assert_array_equal(times, [0, 0.1, 0.15, 0.2])
    expected = [[0.1, -0.5], [0.2, np.nan], [np.nan, -0.6], [0.3, np.nan]]
    np.testing.assert_array_equal(gold, expected)
    assert not logged


def test_warns_if_ratings_are_truncated_missing_or_out_of_range(logged):
    long, short = np.arange(50) / 10, np.arange(20) / 10
    gold_standard.of_targets(
        "P16", {"valence": rated(long, long / 9), "arousal": rated(short, short / 9)}
    )
    message = logged.pop()
    assert "ratings end at different times (valence at 4.90 s, arousal at 1.90 s)" in message
    gold_standard.of_targets("P16", {"valence": rated(short, np.full(20, np.nan))})
    assert "P16: valence has no ratings" in logged.pop()
    # Two raters on different levels; the last rating, a high one, is only the lower rater's.
    low = np.array([*np.arange(9) / 20, 1.0])
    high = np.array([*low[:9] + 0.5, np.nan])
    ratings = rated(np.arange(10) / 10, low, high)
    assert loop_gold_standard(ratings.values)[9] > 1.1
    _, gold = gold_standard.of_targets("P16", {"valence": ratings})
    assert gold[9, 0] == 1
    assert logged == ["P16: 1 values of the gold standard were clipped to [-1, 1]"]


@pytest.mark.parametrize("ratings", [np.zeros(5), np.full((5, 2), np.inf)])
def test_refuses_invalid_ratings(ratings):
    with pytest.raises(ValueError, match="expected finite or missing ratings"):
        gold_standard.gold_standard(ratings)

"""Scores of rated pictures and of smiles, against values computed by hand."""

import numpy as np
import pytest
import scipy.stats

from ast_net.reports import rated_faces


def test_scores_of_ratings_by_hand():
    ratings = np.array([0.0, 0.2, 0.8, 1.0])
    predictions = np.array([0.2, 0.0, 0.6, 0.4])
    found = rated_faces.rating_scores(ratings, predictions, ["sad", "sad", "happy", "happy"])
    # Deviations from the means 0.5 and 0.3: products 0.05, 0.09, 0.09, 0.05; squares 0.68 and 0.2.
    assert found["cc"] == pytest.approx(0.28 / np.sqrt(0.68 * 0.2))
    assert found["ccc"] == pytest.approx(2 * 0.28 / (0.68 + 0.2 + 4 * 0.2**2))
    assert found["rmse"] == pytest.approx(np.sqrt((0.04 + 0.04 + 0.04 + 0.36) / 4))
    # Each expression by itself falls where the ratings rise.
    assert found["within"] == pytest.approx(-1.0)


def test_auc_counts_pairs_and_halves_ties(rng):
    # Of nine pairs five rise and two tie.
    assert rated_faces.auc(np.array([0, 1, 3]), np.array([1, 2, 3])) == pytest.approx(6 / 9)
    lower, higher = rng.normal(size=30), rng.normal(0.5, size=20)
    expected = scipy.stats.mannwhitneyu(higher, lower).statistic / 600
    assert rated_faces.auc(lower, higher) == pytest.approx(expected)


def test_smiles_by_group():
    groups = [("female", "black")] * 3 + [("male", "white")] * 6
    neutral = np.zeros(9)
    smiling = np.array([0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5, -0.1, -0.1])
    rows = {row["group"]: row for row in rated_faces.smile_scores(groups, neutral, smiling)}
    assert [(name, row["people"]) for name, row in rows.items()] == [
        ("all", 9),
        ("black", 3),
        ("female", 3),
        ("male", 6),
        ("white", 6),
    ]
    assert rows["all"]["auc"] == pytest.approx(7 / 9)
    assert rows["female"]["rise"] == pytest.approx(0.2)
    assert rows["female"]["noticed"] == pytest.approx(2 / 3)
    assert rows["female"]["auc_low"] is None  # Three people are too few.
    assert rows["male"]["auc"] == pytest.approx(4 / 6)
    # Of six people k notice with the binomial distribution's probability.
    low, high = scipy.stats.binom.ppf([0.025, 0.975], 6, 4 / 6) / 6
    assert rows["male"]["noticed_low"] == pytest.approx(low)
    assert rows["male"]["noticed_high"] == pytest.approx(high)


def test_smoothing_takes_the_frames_of_a_step():
    series = np.arange(8.0) ** 2
    # Four frames: one before, two after.
    found = rated_faces.smoothed(series, 4)
    expected = [series[max(k - 1, 0) : k + 3].mean() for k in range(8)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(rated_faces.smoothed(series, 1), series)
    np.testing.assert_allclose(rated_faces.smoothed(np.stack([series, -series]), 4)[1], -found)


def test_response_is_the_time_to_four_fifths_of_the_change():
    times = np.arange(60) / 10
    for sign in (1, -1):
        # From the cut at 2 s on in ten steps of 0.1 s.
        series = 0.3 + sign * np.clip((times - 2) / 1.0, 0, 1)
        assert rated_faces.response_seconds(times, series, 2.0) == pytest.approx(0.8, abs=0.11)
    jump = np.where(times >= 2, 1.0, 0.0)
    assert rated_faces.response_seconds(times, jump, 2.0) == pytest.approx(0.0)
    assert rated_faces.response_seconds(times, np.ones(60), 2.0) is None

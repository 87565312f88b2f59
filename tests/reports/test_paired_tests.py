"""Wilcoxon's test and Holm's correction, compared with their definitions."""

import itertools

import numpy as np
import pytest

from ast_net.reports import paired_tests


def exact_p(differences):
    """Computes p by trying all signs: the share with a rank sum as small as the actual one."""
    differences = np.asarray(differences)
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    total = ranks.sum()

    def smaller(signs):
        positive = ranks[np.asarray(signs, bool)].sum()
        return min(positive, total - positive)

    actual = smaller(differences > 0)
    possible = [smaller(signs) for signs in itertools.product((0, 1), repeat=len(ranks))]
    return np.mean([value <= actual for value in possible])


@pytest.mark.parametrize("count", [6, 9, 12])
def test_wilcoxon_agrees_with_trying_all_signs(rng, count):
    differences = rng.normal(0.3, 1.0, count)
    assert paired_tests.wilcoxon(differences) == pytest.approx(exact_p(differences))


def test_only_zeros_give_a_p_of_1():
    assert paired_tests.wilcoxon(np.zeros(8)) == 1.0


def test_holm_gives_values_computed_by_hand():
    # Sorted: 0.01, 0.02, 0.03, 0.4, times 4, 3, 2, 1; each at least as large as the previous.
    assert paired_tests.holm([0.03, 0.01, 0.4, 0.02]) == pytest.approx([0.06, 0.04, 0.4, 0.06])
    assert paired_tests.holm([0.6, 0.7]) == [1.0, 1.0]
    assert paired_tests.holm([]) == []


def test_holm_rejects_the_same_as_the_step_down_rule(rng):
    """The rule rejects while the k-th smallest p, counted from 0, is at most level / (m - k)."""
    for _ in range(50):
        p = rng.uniform(0, 0.05, 7)
        for level in (0.01, 0.05):
            rejected = set()
            for k, index in enumerate(np.argsort(p)):
                if p[index] > level / (len(p) - k):
                    break
                rejected.add(int(index))
            adjusted = np.array(paired_tests.holm(p))
            assert set(np.flatnonzero(adjusted <= level).tolist()) == rejected


def test_recordings_are_paired_by_name_and_few_recordings_have_no_p():
    reference = {f"P{k}": 0.5 for k in range(7)}
    better = {f"P{k}": 0.5 + 0.01 * (k + 1) for k in reversed(range(7))} | {"P9": -1.0}
    few = {f"P{k}": 0.4 for k in range(5)}
    rows = paired_tests.compare({"a": better, "b": few}, reference)
    assert rows["a"].recordings == 7 and rows["a"].better == 7
    assert rows["a"].mean == pytest.approx(0.04)
    assert rows["a"].p == rows["a"].adjusted == pytest.approx(2 / 2**7)
    assert rows["b"].mean == pytest.approx(-0.1)
    assert rows["b"].p is None and rows["b"].adjusted is None

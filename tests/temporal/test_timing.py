"""Compares predecessors, successors and interpolation with plain loops and NumPy."""

import numpy as np
import pytest

from ast_net.temporal import timing

STEP = 0.4


def slow_predecessors(times, step):
    """Finds predecessors by the rules of the docstring, frame by frame."""
    result = []
    for i, time in enumerate(times):
        query = time - step
        earlier = [j for j in range(i) if times[j] <= time - step / 2 + 1e-6]
        if not earlier or query < times[0] - (times[1] - times[0]) / 2 - 1e-6:
            result.append(-1)
            continue
        nearest = min(abs(times[j] - query) for j in earlier)
        result.append(max(j for j in earlier if abs(times[j] - query) <= nearest + 1e-6))
    return result


def cases():
    rng = np.random.default_rng(0)
    return {
        "constant": np.arange(80) / 25,
        "rising": np.concatenate([np.arange(30) / 15, 2 + np.arange(60) / 30]),
        "falling": np.concatenate([np.arange(60) / 60, 1 + np.arange(30) / 12]),
        "gap": np.concatenate([np.arange(40) / 25, 5 + np.arange(40) / 25]),
        "jitter": np.cumsum(rng.uniform(0.005, 0.09, 120)),
        "slow": np.arange(12) * 1.0,
        "three": np.array([0.0, 0.001, 0.101]),
        "one": np.array([3.0]),
    }


@pytest.mark.parametrize("case", cases())
def test_predecessors_are_nearest_to_one_time_step_earlier(case):
    times = cases()[case]
    np.testing.assert_array_equal(timing.predecessors(times, STEP), slow_predecessors(times, STEP))


@pytest.mark.parametrize("case", cases())
def test_successors_are_predecessors_with_time_reversed(case):
    times = cases()[case]
    count = len(times)
    backwards = np.array(slow_predecessors(-times[::-1], STEP))
    np.testing.assert_array_equal(timing.successors(times, STEP), count - 1 - backwards[::-1])


@pytest.mark.parametrize(("rate", "stride"), [(25, 10), (30, 12), (60, 24), (15, 6), (1, 1)])
def test_constant_rate_gives_the_papers_stride(rate, stride):
    times = np.round(np.arange(200) / rate, 6)
    numbers = np.arange(200)
    expected = np.where(numbers < stride, -1, numbers - stride)
    np.testing.assert_array_equal(timing.predecessors(times, STEP), expected)
    following = np.minimum(numbers + stride, 200)
    np.testing.assert_array_equal(timing.successors(times, STEP), following)
    chains = timing.chains(times, STEP, 5)
    plain = numbers[:, np.newaxis] + stride * np.arange(5)
    np.testing.assert_array_equal(chains, np.where(plain < 200, plain, 200))


def test_part_of_a_recording_has_the_same_predecessors(rng):
    times = np.cumsum(rng.uniform(0.01, 0.08, 100))
    whole = timing.predecessors(times, STEP)
    part = timing.predecessors(times[40:], STEP, times[:2])
    # Frames whose predecessor lies in the part keep it.
    inside = whole[40:] >= 40
    np.testing.assert_array_equal(part[inside] + 40, whole[40:][inside])
    assert (timing.predecessors(times[40:], STEP)[inside] >= 0).all()
    late = times[40:] >= times[40] + STEP / 2
    assert (part[late] >= 0).all(), "only the recording's first frames have no predecessor"


def test_interpolation_equals_numpy(rng):
    times = np.cumsum(rng.uniform(0.01, 0.1, 50))
    values = rng.normal(size=(50, 2))
    queries = rng.uniform(times[0], times[-1], 30)
    result = timing.interpolate(queries, times, values)
    expected = np.stack([np.interp(queries, times, column) for column in values.T], axis=1)
    np.testing.assert_allclose(result, expected, rtol=1e-9)


def test_interpolation_at_edges_and_next_to_missing_values():
    times = np.array([0.0, 0.1, 0.2])
    values = np.array([[1.0], [np.nan], [3.0]], np.float32)
    queries = np.array([-0.01, 0.0, 0.05, 0.1, 0.2, 0.21])
    result = timing.interpolate(queries, times, values)[:, 0]
    np.testing.assert_array_equal(result, [np.nan, 1, np.nan, np.nan, 3, np.nan])


def test_each_target_has_its_reaction_delay(rng):
    rating_times = np.cumsum(rng.uniform(0.01, 0.1, 50))
    ratings = rng.normal(size=(50, 2))
    times = np.linspace(rating_times[0], rating_times[-1], 20)
    delays = (0.0, 0.7)
    result = timing.delayed_ratings(times, delays, rating_times, ratings)
    expected = [
        np.interp(times + delay, rating_times, column, right=np.nan)
        for delay, column in zip(delays, ratings.T)
    ]
    np.testing.assert_allclose(result, np.stack(expected, axis=1), rtol=1e-9)
    with pytest.raises(ValueError):
        timing.delayed_ratings(times, delays[:1], rating_times, ratings)


def test_interval_is_the_median_step():
    assert timing.interval(np.array([1.0, 1.5, 1.6, 1.8, 9.0])) == pytest.approx(0.35)
    assert timing.interval(np.array([3.0])) == 0.0
    assert timing.interval(np.array([3.0]), single=0.4) == 0.4

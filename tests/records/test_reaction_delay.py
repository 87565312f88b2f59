"""The search for the reaction delay, on synthetic features and ratings with a known delay."""

import numpy as np
import pytest
import tensorflow as tf

from ast_net import errors
from ast_net.demo import synthetic_face
from ast_net.records import example_format, reaction_delay

RATE = 10.0


def smooth(rng, times, count=2):
    return np.stack(
        [synthetic_face.smooth_noise(rng, times, (4.0, 15.0)) for _ in range(count)], axis=1
    )


def stored(times, valid, labels, features, name):
    """Returns the segments of a recording as they are stored."""
    frames = example_format.RecordingFrames(name, times, valid, labels)
    examples = example_format.examples(frames, features.astype(np.float16), overlap=20)
    return [{key: tf.constant(value) for key, value in example.items()} for example in examples]


def segments_with(rng, delays, recordings=4, seconds=30.0, signal=1.0):
    """Makes segments of recordings with the given reaction delays of valence and arousal.

    The features are noisy mixtures of the true values and of two equally slow disturbances, with
    an offset for each recording, and 0 where there is no face. The ratings have slow errors.
    """
    mixing = rng.normal(size=(4, 12))
    result = []
    for number in range(recordings):
        times = np.arange(round(seconds * RATE)) / RATE + rng.uniform(0, 0.04)
        grid = np.arange(-10, seconds + 1, 0.1)
        truth, disturbance = smooth(rng, grid), smooth(rng, times)
        expressed = np.stack([np.interp(times, grid, curve) for curve in truth.T], axis=1)
        labels = np.stack(
            [np.interp(times - delay, grid, curve) for delay, curve in zip(delays, truth.T)],
            axis=1,
        )
        labels += 0.3 * smooth(rng, times)
        features = np.concatenate([signal * expressed, disturbance], axis=1) @ mixing
        features += rng.normal(size=features.shape) + 3 * rng.normal(size=12)
        valid = rng.random(len(times)) < 0.9
        features[~valid] = 0
        labels[120:124] = np.nan
        result += stored(times, valid, 0.3 * labels, features, f"P{number}")
    return result


@pytest.mark.parametrize("delays", [(0.0, 2.0), (0.8, 3.6), (2.0, 0.8), (3.6, 0.0)])
@pytest.mark.parametrize("seed", range(4))
def test_finds_the_delay_of_each_target(delays, seed):
    rng = np.random.default_rng(seed)
    result = reaction_delay.search(segments_with(rng, delays), 2)
    assert np.abs(result.seconds - delays).max() < 0.4 + 1e-9
    assert (result.seconds[np.array(delays) == 0] == 0).all()
    assert result.cc.shape == (31, 2)
    assert result.recordings == 4


def test_one_target_by_itself(rng):
    segments = segments_with(rng, (0.8, 2.0))
    for segment in segments:
        for name in ("labels", "later_labels"):
            segment[name] = segment[name][:, 1:]
    result = reaction_delay.search(segments, 1)
    assert result.seconds == pytest.approx([2.0], abs=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_uninformative_features_give_no_delay(seed):
    rng = np.random.default_rng(seed)
    segments = segments_with(rng, (2.0, 2.0), recordings=20, signal=0.0)
    result = reaction_delay.search(segments, 2)
    np.testing.assert_array_equal(result.seconds, [0, 0])
    np.testing.assert_array_equal(result.predicted, [False, False])


def test_constant_ratings_give_no_delay(rng):
    segments = segments_with(rng, (2.0, 2.0))
    for segment in segments:
        for name in ("labels", "later_labels"):
            segment[name] = tf.stack([segment[name][:, 0], 0 * segment[name][:, 0]], axis=1)
    result = reaction_delay.search(segments, 2)
    assert result.seconds == pytest.approx([2.0, 0.0], abs=0.4)
    assert np.isnan(result.cc[:, 1]).all()
    np.testing.assert_array_equal(result.predicted, [True, False])


def test_a_delay_longer_than_those_tried_is_an_error(rng):
    with pytest.raises(errors.InputError, match="still rises at a reaction delay of 6 s"):
        reaction_delay.search(segments_with(rng, (6.6, 6.6)), 2)


@pytest.mark.parametrize("change", [{"recordings": 1}, {"seconds": 5.0}])
def test_too_little_data_is_an_error(rng, change):
    with pytest.raises(errors.InputError, match="needs at least two: give the delay in seconds"):
        reaction_delay.search(segments_with(rng, (2.0, 2.0), **change), 2)


def test_all_delays_see_the_same_frames(rng):
    times = np.arange(100) / RATE
    labels = np.stack([times, -times], axis=1)
    labels[50] = np.nan
    segments = stored(times, times != 2.0, labels, times[:, np.newaxis], "P1")
    ((features, ratings),) = reaction_delay._recordings(segments, np.array([0.0, 1.0, 3.0]))
    # Every second frame is used. 2.0 s has no face; 5.0 s and the times after 9.9 s have no rating,
    # which excludes 4.0 s (a delay of 1 s) and 2.0 s (3 s), and everything after 6.9 s.
    used = np.array([t for t in np.arange(35) / 5 if t not in (2.0, 4.0, 5.0)])
    np.testing.assert_allclose(features[:, 0], used - used.mean(), atol=2e-3)
    expected = np.tile((used - used.mean())[:, np.newaxis] * [1, -1], 3)
    np.testing.assert_allclose(ratings, expected, atol=1e-5)


def test_sparse_frames_are_counted_over_segments(rng):
    times = np.arange(200) / 15
    valid = rng.random(200) < 0.8
    segments = stored(times, valid, np.zeros((200, 2)), np.zeros((200, 3)), "P1")
    rows = [
        int(piece.segment["first_frame"]) + example_format.seen_frames(piece, 0.2)
        for _, pieces in example_format.by_recording(segments)
        for piece in pieces
    ]
    assert len(rows) > 2
    # Every third frame of the recording; the segments start at multiples of 40.
    expected = [frame for frame in range(0, 200, 3) if valid[frame]]
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_cross_validation_equals_explicit_ridge_regression(rng):
    recordings = [(rng.normal(size=(30, 3)), rng.normal(size=(30, 2))) for _ in range(3)]
    recordings = [(x - x.mean(0), y + x[:, :2] - (y + x[:, :2]).mean(0)) for x, y in recordings]
    folds = [
        reaction_delay._Moments(len(x), x.T @ x, x.T @ y, (y**2).sum(axis=0)) for x, y in recordings
    ]
    cc = reaction_delay._cross_validate(folds)
    for f, (x, y) in enumerate(recordings):
        fitted = [part for k, part in enumerate(recordings) if k != f]
        a, b = (np.concatenate(parts) for parts in zip(*fitted))
        for r, ridge in enumerate((0.01, 0.1, 1.0, 10.0)):
            root = np.sqrt(ridge * (a**2).sum() / 3) * np.eye(3)
            weights = np.linalg.lstsq(np.vstack([a, root]), np.vstack([b, np.zeros((3, 2))]))[0]
            for column in range(2):
                expected = np.corrcoef(x @ weights[:, column], y[:, column])[0, 1]
                assert cc[f, r, column] == pytest.approx(expected, abs=1e-9)

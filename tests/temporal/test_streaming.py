"""Streaming against the same network over whole sequences."""

import keras
import numpy as np
import pytest

from ast_net.temporal import stacked_lstm, streaming

STRIDE, FRAMES = 4, 47


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return stacked_lstm.build_stacked_lstm(6, (5, 4), 2)


@pytest.fixture(scope="module")
def predictor(model):
    return streaming.StreamingPredictor(model, STRIDE)


@pytest.fixture
def features(rng):
    """Frames 10 to 15 have no face."""
    made = rng.normal(size=(FRAMES, 6)).astype(np.float32)
    made[10:16] = 0
    return made


def phase_by_phase(model, features, clip_frames=None):
    """What the network says of each phase's sequence, or of each clip of it, at once."""
    expected = np.zeros((len(features), 2), np.float32)
    for phase in range(STRIDE):
        places = np.arange(phase, len(features), STRIDE)
        for clip in np.split(
            places, range(clip_frames or FRAMES, len(places), clip_frames or FRAMES)
        ):
            expected[clip] = model(features[np.newaxis, clip])[0]
    return expected


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [5, 17, 18], list(range(1, FRAMES))])
def test_equals_each_phase_at_once(model, predictor, features, cuts):
    predictor.predict(features[:3])
    predictor.reset()
    found = np.concatenate([predictor.predict(part) for part in np.split(features, cuts)])
    np.testing.assert_allclose(found, phase_by_phase(model, features), atol=1e-5)


@pytest.mark.parametrize("cuts", [[], [12], [5, 17, 18], list(range(1, FRAMES))])
def test_clips_start_from_nothing(model, features, cuts):
    clips = streaming.StreamingPredictor(model, STRIDE, clip_frames=3)
    found = np.concatenate([clips.predict(part) for part in np.split(features, cuts)])
    np.testing.assert_allclose(found, phase_by_phase(model, features, 3), atol=1e-5)
    assert np.abs(found - phase_by_phase(model, features)).max() > 0.01


@pytest.mark.parametrize("clip_frames", [None, 3])
def test_frames_gone_past_count_as_frames_without_a_face(model, features, clip_frames):
    clips = streaming.StreamingPredictor(model, STRIDE, clip_frames)
    expected = clips.predict(features)
    clips.reset()
    clips.predict(features[:10])
    clips.skip(2)
    clips.skip(4)
    np.testing.assert_allclose(clips.predict(features[16:]), expected[16:], atol=1e-6)


def test_faces_do_not_see_each_other(predictor, features):
    predictor.reset()
    expected = predictor.predict(features)
    predictor.reset()
    other = predictor.another()
    found = []
    for row in features:
        found.append(predictor.predict(row[np.newaxis]))
        other.predict(-row[np.newaxis])
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_refuses_what_does_not_fit(model, predictor):
    with pytest.raises(ValueError, match=r"features \[T, 6\], found \(3, 5\)"):
        predictor.predict(np.zeros((3, 5)))

"""Compares streaming with the same network on whole sequences and frame by frame."""

import keras
import numpy as np
import pytest

from ast_net.temporal import stacked_lstm, streaming

STRIDE, FRAMES = 4, 47
TIMES = 0.5 + np.arange(FRAMES) / 25
STEP = STRIDE / 25


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return stacked_lstm.build_stacked_lstm(6, (5, 4), 2)


@pytest.fixture(scope="module")
def predictor(model):
    return streaming.StreamingPredictor(model, STEP)


@pytest.fixture
def features(rng):
    """Random features; frames 10 to 15 have no face."""
    result = rng.normal(size=(FRAMES, 6)).astype(np.float32)
    result[10:16] = 0
    return result


def whole_sequences(model, features, clip_frames=None):
    """Predicts each interleaved sequence at once, or each of its clips."""
    expected = np.zeros((len(features), 2), np.float32)
    for first in range(STRIDE):
        frames = np.arange(first, len(features), STRIDE)
        for clip in np.split(
            frames, range(clip_frames or FRAMES, len(frames), clip_frames or FRAMES)
        ):
            expected[clip] = model(features[np.newaxis, clip])[0]
    return expected


def in_parts(predictor, features, times, cuts):
    parts = zip(np.split(features, cuts), np.split(times, cuts), strict=True)
    return np.concatenate([predictor.predict(*part) for part in parts])


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [5, 17, 18], list(range(1, FRAMES))])
def test_equals_predicting_whole_sequences(model, predictor, features, cuts):
    predictor.predict(features[:3], TIMES[:3])
    predictor.reset()
    predictions = in_parts(predictor, features, TIMES, cuts)
    np.testing.assert_allclose(predictions, whole_sequences(model, features), atol=1e-5)


@pytest.mark.parametrize("cuts", [[], [12], [5, 17, 18], list(range(1, FRAMES))])
def test_states_are_reset_after_every_clip(model, features, cuts):
    clips = streaming.StreamingPredictor(model, STEP, clip_frames=3)
    predictions = in_parts(clips, features, TIMES, cuts)
    np.testing.assert_allclose(predictions, whole_sequences(model, features, 3), atol=1e-5)
    assert np.abs(predictions - whole_sequences(model, features)).max() > 0.01


@pytest.mark.parametrize("clip_frames", [None, 3])
def test_skipped_frames_count_as_frames_without_a_face(model, features, clip_frames):
    clips = streaming.StreamingPredictor(model, STEP, clip_frames)
    expected = clips.predict(features, TIMES)
    clips.reset()
    clips.predict(features[:10], TIMES[:10])
    clips.skip(TIMES[10:12])
    clips.skip(TIMES[12:16])
    predictions = clips.predict(features[16:], TIMES[16:])
    np.testing.assert_allclose(predictions, expected[16:], atol=1e-6)


def test_faces_are_predicted_independently(predictor, features):
    predictor.reset()
    expected = predictor.predict(features, TIMES)
    predictor.reset()
    other = predictor.another()
    predictions = []
    for row, time in zip(features, TIMES, strict=True):
        predictions.append(predictor.predict(row[np.newaxis], np.array([time])))
        other.predict(-row[np.newaxis], np.array([time]))
    np.testing.assert_allclose(np.concatenate(predictions), expected, atol=1e-6)


def test_wrong_shapes_are_refused(model, predictor):
    with pytest.raises(ValueError, match=r"features \[T, 6\] at 3 times, found \(3, 5\)"):
        predictor.predict(np.zeros((3, 5)), TIMES[:3])


def frame_by_frame(model, features, times, clip_seconds=np.inf):
    """Predicts each frame from the state of its predecessor, which a plain loop finds."""
    step, states, predictions = stacked_lstm.build_stateful(model), [], []
    sizes = stacked_lstm.state_sizes(model)
    for i, time in enumerate(times):
        earlier = [j for j in range(i) if times[j] <= time - STEP / 2 + 1e-6]
        state = {name: np.zeros((1, size), np.float32) for name, size in sizes.items()}
        if earlier and time - STEP >= times[0] - (times[1] - times[0]) / 2 - 1e-6:
            nearest = min(abs(times[j] - time + STEP) for j in earlier)
            j = max(j for j in earlier if abs(times[j] - time + STEP) <= nearest + 1e-6)
            clip = [int((times[k] - times[0] + 1e-6) // clip_seconds) for k in (i, j)]
            if clip[0] == clip[1]:
                state = states[j]
        outputs = step({"features": features[np.newaxis, i : i + 1], **state})
        predictions.append(outputs["predictions"].numpy()[0, 0])
        states.append({name: outputs[name].numpy() for name in sizes})
    return np.stack(predictions)


@pytest.mark.parametrize("clip_frames", [None, 3])
@pytest.mark.parametrize("case", ["rate rises", "gap", "jitter", "slow", "24 frames per second"])
def test_predecessors_depend_on_times_not_on_frame_numbers(model, features, case, clip_frames, rng):
    half = FRAMES // 2
    times = {
        "rate rises": np.concatenate([np.arange(half) / 15, 1.6 + np.arange(FRAMES - half) / 30]),
        "gap": np.concatenate([np.arange(half) / 25, 9 + np.arange(FRAMES - half) / 25]),
        "jitter": np.cumsum(rng.uniform(0.005, 0.08, FRAMES)),
        "slow": np.arange(FRAMES) * 0.5,
        "24 frames per second": np.arange(FRAMES) / 24,
    }[case]
    clip_seconds = np.inf if clip_frames is None else clip_frames * STEP
    expected = frame_by_frame(model, features, times, clip_seconds)
    predictor = streaming.StreamingPredictor(model, STEP, clip_frames)
    for cuts in ([], [5, 17, 18], list(range(1, FRAMES))):
        predictor.reset()
        predictions = in_parts(predictor, features, times, cuts)
        np.testing.assert_allclose(predictions, expected, atol=1e-5)
    predictor.reset()
    predictor.predict(features[:10], times[:10])
    predictor.skip(times[10:16])
    predictions = predictor.predict(features[16:], times[16:])
    np.testing.assert_allclose(predictions, expected[16:], atol=1e-5)

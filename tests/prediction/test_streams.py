"""Several faces over time, against the network on each face's whole sequence."""

import keras
import numpy as np
import pytest

from ast_net import config
from ast_net.prediction import frames, streams
from ast_net.temporal import stacked_lstm, streaming

STRIDE, RATE = 3, 20.0
STEP = STRIDE / RATE


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(5)
    return stacked_lstm.build_stacked_lstm(6, (5, 4), 2)


@pytest.fixture(scope="module")
def predictor(model):
    return streaming.StreamingPredictor(model, STEP)


@pytest.fixture
def features(rng):
    """Returns random features of two faces over 40 frames, [2, 40, 6]."""
    return rng.normal(size=(2, 40, 6)).astype(np.float32)


def recording(features, present, times=None, dropped=()):
    """Returns T frames with the faces that `present` [2, T] names."""
    times = np.arange(features.shape[1]) / RATE if times is None else times
    result = []
    for number, time in enumerate(times):
        ids = [face_id for face_id in (0, 1) if present[face_id][number]]
        faces = [
            frames.FacePrediction(face_id, "seen", features=features[face_id, number])
            for face_id in ids
        ]
        result.append(frames.FramePrediction(number, time, faces, None, number in dropped))
    return result


def predict_in_chunks(predictor, recorded, cuts=(), **settings):
    stream = streams.FaceStreams(predictor.another(), config.Prediction(**settings))
    chunks = [stream.predict(list(part)) for part in np.split(np.array(recorded, object), cuts)]
    return [frame for chunk in chunks for frame in chunk]


def values(predicted, face_id):
    """Returns a face's values [T, 2], NaN in frames without it, and whether it is seen, [T]."""
    faces = [{face.face_id: face for face in frame.faces}.get(face_id) for frame in predicted]
    empty = np.full(2, np.nan, np.float32)
    result = np.stack([empty if face is None else face.values for face in faces])
    return result, np.array([face is not None and face.valid for face in faces])


def offline(model, features, present):
    """Applies the network to each whole phase of a face; frames without the face are zeros."""
    sequence = np.where(present[:, np.newaxis], features, 0)
    expected = np.zeros((len(sequence), 2), np.float32)
    for phase in range(STRIDE):
        expected[phase::STRIDE] = model(sequence[np.newaxis, phase::STRIDE])[0]
    return expected[present]


def evaluated(predictor, features, present, times):
    """Predicts as `evaluation.predict` does: the whole recording, with zeros where no face is."""
    predictor = predictor.another()
    return predictor.predict(np.where(present[:, np.newaxis], features, 0), times)[present]


@pytest.mark.parametrize("cuts", [[], [7, 8, 20], list(range(1, 40))])
def test_each_face_has_its_own_states(model, predictor, features, cuts):
    present = np.ones((2, 40), bool)
    present[0, 12:16] = False
    present[1, :5] = False
    predicted = predict_in_chunks(predictor, recording(features, present), cuts)
    for face_id in (0, 1):
        streamed, valid = values(predicted, face_id)
        np.testing.assert_array_equal(valid, present[face_id])
        expected = offline(model, features[face_id], present[face_id])
        np.testing.assert_allclose(streamed[valid], expected, atol=1e-5)


@pytest.mark.parametrize("cuts", [[], [7, 8, 20], list(range(1, 40))])
@pytest.mark.parametrize("film", ["rate rises", "uneven", "gap", "closer than the step allows"])
def test_equals_the_evaluation_of_the_same_frames(predictor, features, cuts, film, rng):
    times = {
        "rate rises": np.concatenate([np.arange(20) / 15, 20 / 15 + np.arange(20) / 31]),
        "uneven": np.cumsum(rng.uniform(0.01, 0.09, 40)),
        "gap": np.arange(40) / RATE + 1.1 * (np.arange(40) > 17),
        "closer than the step allows": np.arange(40) / 140,
    }[film]
    present = np.ones((2, 40), bool)
    present[0, 12:16] = False
    present[0, 30:33] = False
    # The second face comes where the rate rises, so that its frames lie closer than those before.
    present[1, :20] = False
    recorded = recording(features, present, times, dropped=(31,))
    predicted = predict_in_chunks(predictor, recorded, cuts)
    for face_id in (0, 1):
        streamed, valid = values(predicted, face_id)
        expected = evaluated(predictor, features[face_id], present[face_id], times)
        np.testing.assert_allclose(streamed[valid], expected, atol=1e-5)


def test_a_face_is_away_for_a_whole_chunk(predictor, features):
    present = np.array([np.ones(40, bool), np.zeros(40, bool)])
    present[0, 10:20] = False
    recorded = recording(features, present)
    streamed, valid = values(predict_in_chunks(predictor, recorded, (10, 20)), 0)
    expected = evaluated(predictor, features[0], present[0], np.arange(40) / RATE)
    np.testing.assert_allclose(streamed[valid], expected, atol=1e-5)


@pytest.mark.parametrize("cuts", [[], [11, 14], list(range(1, 40))])
def test_a_prediction_is_held_for_a_while_and_then_dropped(predictor, features, cuts):
    present = np.array([np.ones(40, bool), np.zeros(40, bool)])
    present[0, 10:30] = False
    recorded = recording(features, present, dropped=(10, 11))
    predicted = predict_in_chunks(predictor, recorded, cuts, hold_seconds=0.2, identity_seconds=0.3)
    streamed, valid = values(predicted, 0)
    np.testing.assert_array_equal(valid, present[0])
    np.testing.assert_array_equal(streamed[10:14], streamed[[9] * 4], "4 frames of 0.05 s")
    assert np.isnan(streamed[14:30]).all()
    assert [frame.index for frame in predicted] == list(range(40)), "every frame has its row"
    assert [frame.index for frame in predicted if frame.dropped] == [10, 11]


def test_faces_that_left_are_forgotten(predictor, features):
    stream = streams.FaceStreams(
        predictor.another(), config.Prediction(hold_seconds=0.1, identity_seconds=0.3)
    )
    present = np.array([np.arange(40) < 5, np.arange(40) < 30])
    for frame in recording(features, present):
        stream.predict([frame])
    assert not stream._states

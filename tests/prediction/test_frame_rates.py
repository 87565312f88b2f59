"""predict and evaluate give the same curve for a film at several, even changing, frame rates."""

import compare_frame_rates
import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.prediction import frames, streams
from ast_net.records import example_format
from ast_net.reports import evaluation
from ast_net.temporal import stacked_lstm, streaming

SECONDS, STEP = 34.0, 0.4
# Largest mean absolute difference that is allowed.
MAX_DIFFERENCE = 0.03


@pytest.fixture(scope="module")
def predictor():
    """Returns a predictor with a random model whose predictions have a range of more than 1."""
    keras.utils.set_random_seed(1)
    model = stacked_lstm.build_stacked_lstm(8, (12, 10), 2)
    for variable in model.trainable_variables:
        variable.assign(1.5 * variable)
    return streaming.StreamingPredictor(model, STEP)


def features_at(times):
    """Returns fc6 of a moving face: eight curves with periods of 2 to 9 seconds."""
    periods = np.linspace(2, 9, 8)
    return np.sin(2 * np.pi * times[:, np.newaxis] / periods + np.arange(8)).astype(np.float32)


def predicted(predictor, times):
    stream = streams.FaceStreams(predictor, config.Prediction())
    film = [
        frames.FramePrediction(k, time, [frames.FacePrediction(0, "seen", features=row)])
        for k, (time, row) in enumerate(zip(times, features_at(times), strict=True))
    ]
    chunks = [stream.predict(film[first : first + 32]) for first in range(0, len(film), 32)]
    return np.stack([frame.faces[0].values for chunk in chunks for frame in chunk])


def evaluated(predictor, times):
    valid = np.ones(len(times), bool)
    recording = example_format.RecordingFrames("A", times, valid, np.zeros((len(times), 2)))
    overlap = example_format.overlap(times, 5, STEP)
    segments = list(example_format.examples(recording, features_at(times), overlap))
    assert len(segments) > 3
    tensors = example_format.features_dict(8, 2).get_tensor_info()
    signature = {name: tf.TensorSpec(info.shape, info.tf_dtype) for name, info in tensors.items()}
    dataset = tf.data.Dataset.from_generator(lambda: segments, output_signature=signature)
    [prediction] = evaluation.predict(predictor.another(), dataset)
    return prediction.predictions


@pytest.mark.parametrize("predict", [predicted, evaluated])
@pytest.mark.parametrize("film", ["15", "60", "15, then 30"])
def test_predictions_do_not_depend_on_the_frame_rate(predictor, predict, film):
    films = compare_frame_rates.film_times(SECONDS)
    expected = predict(predictor, films["30"])
    assert (np.ptp(expected, axis=0) > 1).all()
    curve = films[film], predict(predictor, films[film])
    differences = compare_frame_rates.differences(curve, (films["30"], expected))
    assert (differences <= MAX_DIFFERENCE).all()


@pytest.mark.parametrize("predict", [predicted, evaluated])
def test_a_rate_that_does_not_divide_the_time_step_and_jittering_times(predictor, predict, rng):
    films = compare_frame_rates.film_times(SECONDS)
    expected = films["30"], predict(predictor, films["30"])
    at_24 = np.arange(round(24 * SECONDS)) / 24
    jittering = films["30"] + rng.uniform(0, 0.02, len(films["30"]))
    for times in (at_24, jittering):
        curve = times, predict(predictor, times)
        assert (compare_frame_rates.differences(curve, expected) <= MAX_DIFFERENCE).all()


def test_predict_and_evaluate_agree_on_films(shipped_model, tmp_path):
    """One film's rate rises, and the face of the other is away for a while.

    Everything is float32 except the features, which records hold in float16.
    """
    films = compare_frame_rates.film_times(3.0)
    paths = []
    for name in ("30", "15, then 30"):
        paths.append(tmp_path / f"film {name[:2]}.mkv")
        compare_frame_rates.write_film(
            paths[-1], films[name], (1.4, 2.0) if name == "30" else (0, 0)
        )
    evaluated_curves = compare_frame_rates.evaluated(shipped_model, paths, tmp_path / "recordings")
    for path in paths:
        times, values = compare_frame_rates.predicted(shipped_model, path)
        expected_times, expected_values = evaluated_curves[path.stem]
        np.testing.assert_allclose(times, expected_times)
        np.testing.assert_allclose(values, expected_values, rtol=0, atol=1e-4)
    assert np.ptp(values, axis=0).max() > 0.05

"""One film at several frame rates, and at one that changes: in predict and in evaluate the same."""

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
# What is required, as a mean absolute difference.
MOST = 0.03


@pytest.fixture(scope="module")
def predictor():
    """Of a random model whose predictions have a range of more than 1."""
    keras.utils.set_random_seed(1)
    model = stacked_lstm.build_stacked_lstm(8, (12, 10), 2)
    for variable in model.trainable_variables:
        variable.assign(1.5 * variable)
    return streaming.StreamingPredictor(model, STEP)


def features_at(times):
    """fc6 of a face that moves: eight curves with periods of 2 to 9 seconds."""
    periods = np.linspace(2, 9, 8)
    return np.sin(2 * np.pi * times[:, np.newaxis] / periods + np.arange(8)).astype(np.float32)


def predicted(predictor, times):
    stream = streams.FaceStreams(predictor, config.Prediction())
    made = [
        frames.FramePrediction(k, time, [frames.FacePrediction(0, "seen", features=row)])
        for k, (time, row) in enumerate(zip(times, features_at(times), strict=True))
    ]
    chunks = [stream.predict(made[first : first + 32]) for first in range(0, len(made), 32)]
    return np.stack([frame.faces[0].values for chunk in chunks for frame in chunk])


def evaluated(predictor, times):
    valid = np.ones(len(times), bool)
    recording = example_format.RecordingFrames("A", times, valid, np.zeros((len(times), 2)))
    overlap = example_format.overlap(times, 5, STEP)
    segments = list(example_format.examples(recording, features_at(times), overlap))
    assert len(segments) > 3
    kinds = example_format.features_dict(8, 2).get_tensor_info()
    signature = {name: tf.TensorSpec(kind.shape, kind.tf_dtype) for name, kind in kinds.items()}
    dataset = tf.data.Dataset.from_generator(lambda: segments, output_signature=signature)
    [found] = evaluation.predict(predictor.another(), dataset)
    return found.predictions


@pytest.mark.parametrize("predict", [predicted, evaluated])
@pytest.mark.parametrize("film", ["15", "60", "15, then 30"])
def test_a_film_has_its_predictions_at_any_frame_rate(predictor, predict, film):
    films = compare_frame_rates.film_times(SECONDS)
    expected = predict(predictor, films["30"])
    assert (np.ptp(expected, axis=0) > 1).all()
    curve = films[film], predict(predictor, films[film])
    apart = compare_frame_rates.differences(curve, (films["30"], expected))
    assert (apart <= MOST).all()


@pytest.mark.parametrize("predict", [predicted, evaluated])
def test_a_rate_that_the_time_step_does_not_fit_and_trembling_times(predictor, predict, rng):
    films = compare_frame_rates.film_times(SECONDS)
    expected = films["30"], predict(predictor, films["30"])
    times = np.arange(round(24 * SECONDS)) / 24
    trembling = films["30"] + rng.uniform(0, 0.02, len(films["30"]))
    for own in (times, trembling):
        assert (
            compare_frame_rates.differences((own, predict(predictor, own)), expected) <= MOST
        ).all()


def test_predict_and_evaluate_agree_on_films(shipped_model, tmp_path):
    """In float32, but for features that records hold in float16; one film's rate rises, and one's face
    is away for a while."""
    films = compare_frame_rates.film_times(3.0)
    paths = []
    for name in ("30", "15, then 30"):
        paths.append(tmp_path / f"film {name[:2]}.mkv")
        compare_frame_rates.write_film(
            paths[-1], films[name], (1.4, 2.0) if name == "30" else (0, 0)
        )
    found = compare_frame_rates.evaluated(shipped_model, paths, tmp_path / "recordings")
    for path in paths:
        times, values = compare_frame_rates.predicted(shipped_model, path)
        np.testing.assert_allclose(times, found[path.stem][0])
        np.testing.assert_allclose(values, found[path.stem][1], rtol=0, atol=1e-4)
    assert np.ptp(values, axis=0).max() > 0.05

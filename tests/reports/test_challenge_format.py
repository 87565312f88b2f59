"""Predictions in the formats of ratings, read back with the package's readers and with SciPy."""

import io

import numpy as np
import pytest
from scipy.io import arff

from ast_net.datasets import avec2012, feeltrace, reader, recola, recola_layouts, recording_list
from ast_net.reports import challenge_format
from ast_net.temporal import scoring

TARGETS = ("valence", "arousal")
DELAYS = (0.0, 0.3)


@pytest.fixture
def prediction():
    """10 s at 10 frames/s with valence t / 20 and arousal -t / 20; no face from 4 to 5 s."""
    times = np.arange(100) / 10
    face = (times < 4) | (times >= 5)
    # The model predicts 0.9 in frames without a face; the last prediction must replace it.
    predictions = np.where(face[:, np.newaxis], np.stack([times, -times], axis=1) / 20, 0.9)
    labels = np.full((100, 2), np.nan, np.float32)
    return scoring.RecordingPrediction(
        "test_1", times, face, labels, predictions.astype(np.float32)
    )


def expected(times, delay):
    """Applies the rules: shifted by the delay, held from 3.9 s to 5 s and after 9.9 s."""
    at = np.clip(np.asarray(times) - delay, 0, 9.9)
    # Linear between the last held frame, at 4.9 s, and the first frame with a face, at 5 s.
    rise = 3.9 + (at - 4.9) / 0.1 * (5.0 - 3.9)
    return np.where(at <= 3.9, at, np.where(at <= 4.9, 3.9, np.where(at < 5.0, rise, at))) / 20


def test_five_minutes_have_as_many_ratings_as_in_recola():
    times = challenge_format.rating_times(np.arange(7500) / 25, recola.Recola.RATING_STEP)
    assert len(times) == 7501
    np.testing.assert_allclose(times[[0, 1, -1]], [0, 0.04, 300], atol=1e-9)
    # In a recording 0.01 s shorter, the last rating has no frame.
    assert len(challenge_format.rating_times(np.arange(7500) / 25 - 0.01, 0.04)) == 7500
    assert len(challenge_format.rating_times(np.arange(9000) / 30, 0.04)) == 7501
    frames = np.array([0.0, 0.02, 0.05])
    np.testing.assert_array_equal(challenge_format.rating_times(frames, None), frames)


def test_recola_predictions_are_arff_as_in_the_challenge(prediction, tmp_path):
    challenge_format.write(tmp_path, [prediction], TARGETS, DELAYS, recola.Recola)
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert written == ["arousal/test_1.arff", "valence/test_1.arff"]
    for target, delay, sign in zip(TARGETS, DELAYS, (1, -1)):
        path = tmp_path / target / "test_1.arff"
        text = path.read_text()
        assert text.startswith("@relation GOLDSTANDARD\n\n@attribute Instance_name string\n")
        assert "\ntest_1,0.12," in text
        ratings = recola_layouts.read_arff(path)
        np.testing.assert_array_equal(ratings.times, np.round(np.arange(251) * 0.04, 2))
        values = sign * expected(ratings.times, delay)
        np.testing.assert_allclose(ratings.values[:, 0], values, atol=1e-6)
        # SciPy cannot read string attributes, but nominal ones.
        nominal = io.StringIO(text.replace("Instance_name string", "Instance_name {test_1}"))
        rows, meta = arff.loadarff(nominal)
        assert meta.names() == ["Instance_name", "frameTime", "GoldStandard"]
        assert set(rows["Instance_name"]) == {b"test_1"}
        np.testing.assert_allclose(rows["frameTime"], ratings.times, atol=1e-12)
        np.testing.assert_allclose(rows["GoldStandard"], values, atol=1e-6)


def test_avec2012_predictions_are_one_number_per_frame(prediction, tmp_path):
    challenge_format.write(tmp_path, [prediction], TARGETS, DELAYS, avec2012.Avec2012)
    path = tmp_path / "arousal/labels_continuous_test_1_arousal.dat"
    _, values = feeltrace.read_numbers(path, 1, blank_lines=False)
    np.testing.assert_allclose(values[:, 0], -expected(prediction.timestamps, 0.3), atol=1e-6)
    assert len(np.loadtxt(path)) == 100


def test_other_data_sets_get_tables_of_time_and_value(prediction, tmp_path):
    challenge_format.write(tmp_path, [prediction], TARGETS, DELAYS, recording_list.RecordingList)
    ratings = recola_layouts.read_gold(tmp_path / "valence/test_1.csv")
    np.testing.assert_allclose(ratings.times, prediction.timestamps, atol=1e-9)
    np.testing.assert_allclose(ratings.values[:, 0], expected(ratings.times, 0.0), atol=1e-6)
    assert (tmp_path / "valence/test_1.csv").read_text().startswith("time,value\n0,0.000000\n0.1,")
    assert reader.Reader.RATING_STEP is None

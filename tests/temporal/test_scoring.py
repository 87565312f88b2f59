"""Compares scores with NumPy and SciPy, frame by frame."""

import math

import numpy as np
import pytest
import scipy.stats

from ast_net.temporal import scoring

RATE = 10.0
DELAYS = (0.25, 1.0)
TARGETS = ("valence", "arousal")


def recordings(rng):
    """Three recordings with gaps, constant series, and a part without a face."""
    result = []
    for name, frames in (("P1", 60), ("P2", 80), ("P3", 50)):
        labels = np.cumsum(rng.normal(0, 0.1, (frames, 2)), axis=0)
        predictions = labels + rng.normal(0, 0.2, (frames, 2))
        face = np.ones(frames, bool)
        if name == "P1":
            labels[20:26, 0] = np.nan  # only valence is unrated here
            face[:5] = face[30:45] = False
        if name == "P2":
            labels[:4] = np.nan
            predictions[:, 1] = 0.125
        if name == "P3":
            labels[:, 0] = -0.25
        result.append(
            scoring.RecordingPrediction(
                name,
                0.5 + np.arange(frames) / RATE,
                face,
                labels.astype(np.float32),
                predictions.astype(np.float32),
            )
        )
    return result


def rated(p, target):
    """Labels and the predictions one delay earlier, in plain Python."""
    holding, last = [], None
    for frame in range(len(p.face)):
        if p.face[frame]:
            last = p.predictions[frame, target]
        holding.append(last)
    first = p.predictions[int(np.argmax(p.face)), target]
    holding = [float(first if value is None else value) for value in holding]
    labels, predicted, face = [], [], []
    for frame, time in enumerate(p.timestamps):
        if math.isnan(p.labels[frame, target]):
            continue
        place = (time - DELAYS[target] - p.timestamps[0]) * RATE
        if place <= 0:
            value = holding[0]
        else:
            low = math.floor(place + 1e-9)
            part = place - low
            value = holding[low]
            if part >= 1e-9:
                value = (1 - part) * holding[low] + part * holding[low + 1]
        labels.append(float(p.labels[frame, target]))
        predicted.append(value)
        face.append(bool(p.face[frame]))
    return np.array(labels), np.array(predicted), np.array(face)


def seen(p, target):
    """Labels one delay later and the predictions of frames with a face, in plain Python."""
    labels, predicted = [], []
    for frame, time in enumerate(p.timestamps):
        place = (time + DELAYS[target] - p.timestamps[0]) * RATE
        low = math.floor(place + 1e-9)
        part = place - low
        if not p.face[frame] or low > len(p.face) - 1 or (part > 1e-9 and low + 1 >= len(p.face)):
            continue
        column = p.labels[:, target].astype(np.float64)
        label = column[low] if part < 1e-9 else (1 - part) * column[low] + part * column[low + 1]
        if math.isnan(label):
            continue
        labels.append(label)
        predicted.append(float(p.predictions[frame, target]))
    return np.array(labels), np.array(predicted), np.ones(len(labels), bool)


def reference(labels, predicted):
    if np.std(labels) < 1e-5:
        return {"cc": None, "ccc": None}
    if np.std(predicted) < 1e-5:
        return {"cc": 0.0, "ccc": 0.0}
    covariance = np.cov(labels, predicted, bias=True)
    gap = (labels.mean() - predicted.mean()) ** 2
    return {
        "cc": np.corrcoef(labels, predicted)[0, 1],
        "ccc": 2 * covariance[0, 1] / (covariance.trace() + gap),
    }


def close(score, expected):
    if expected is None:
        assert score is None
    else:
        assert score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("protocol", "pairs"), [("rated", rated), ("seen", seen)])
def test_scores_equal_numpy(protocol, pairs, rng):
    predictions = recordings(rng)
    scores = scoring.score(predictions, TARGETS, DELAYS)
    averages = {"cc": [[], [], []], "ccc": [[], [], []], "rmse": [[], [], []]}
    for target, name in enumerate(TARGETS):
        row = scores["protocols"][protocol][name]
        values = {"cc": [], "ccc": [], "rmse": []}
        compared = [pairs(p, target) for p in predictions]
        for number, (labels, predicted, face) in enumerate(compared):
            score = scores["recordings"][predictions[number].recording][protocol][name]
            expected = reference(labels, predicted)
            expected["rmse"] = np.sqrt(np.mean((labels - predicted) ** 2))
            assert score["frames"] == len(labels)
            assert score["face"] == pytest.approx(face.mean())
            for metric, value in expected.items():
                close(score[metric], value)
                if value is not None:
                    values[metric].append(value)
                    averages[metric][number].append(value)
        labels, predicted, face = map(np.concatenate, zip(*compared, strict=True))
        assert row["frames"] == len(labels)
        assert row["face"] == pytest.approx(face.mean())
        together = reference(labels, predicted)
        together["rmse"] = np.sqrt(np.mean((labels - predicted) ** 2))
        for metric, per_recording in values.items():
            close(row[metric]["mean"], np.mean(per_recording))
            close(row[metric]["sd"], np.std(per_recording, ddof=1))
            close(row[metric]["min"], min(per_recording))
            close(row[metric]["max"], max(per_recording))
            close(row[metric]["concatenated"], together[metric])
            assert row[metric]["interval"] is None
    assert scores["protocols"][protocol]["arousal"]["constant"] == 1
    assert scores["protocols"][protocol]["valence"]["left_out"] == ["P3"]
    for metric, per_recording in averages.items():
        score = scores["protocols"][protocol]["average"][metric]["mean"]
        close(score, np.mean([np.mean(values) for values in per_recording]))


def series(name, predictions, labels=None, face=None):
    frames = len(predictions)
    labels = np.sin(np.arange(frames)) if labels is None else labels
    face = np.ones(frames, bool) if face is None else face
    columns = [np.asarray(a, np.float32)[:, np.newaxis] for a in (labels, predictions)]
    return scoring.RecordingPrediction(name, np.arange(frames) / RATE, np.asarray(face), *columns)


def mean_cc(*predictions, protocol="rated", **options):
    scores = scoring.score(predictions, ("valence",), (0.0,), **options)
    return scores["protocols"][protocol]["valence"]["cc"]["mean"]


def test_a_constant_prediction_lowers_the_mean(rng):
    good = series("P1", np.sin(np.arange(40)) + rng.normal(0, 0.1, 40))
    other = series("P2", np.sin(np.arange(40)) + rng.normal(0, 1.0, 40))
    constant = series("P2", np.full(40, 0.3))
    assert mean_cc(good, constant) == pytest.approx(mean_cc(good) / 2)
    assert mean_cc(good, constant) < mean_cc(good, other)
    # A clip of 60 s leaves out both, so nothing counts as CC 0.
    scores = scoring.score([good, constant], ("valence",), (0.0,), 60.0)
    row = scores["protocols"]["rated"]["valence"]
    assert (row["left_out"], row["constant"]) == (["P1", "P2"], 0)


def test_frames_without_a_face_count_as_rated(rng):
    """Without a face, the last prediction is compared with the ratings."""
    labels = np.cumsum(rng.normal(size=300))
    hidden = np.arange(300) % 100 >= 60
    prediction = series("P1", labels + rng.normal(0, 0.1, 300), labels, ~hidden)
    holding = prediction.predictions[:, 0].copy()
    for frame in range(1, 300):
        if hidden[frame]:
            holding[frame] = holding[frame - 1]
    expected = np.corrcoef(labels.astype(np.float32), holding)[0, 1]
    assert mean_cc(prediction) == pytest.approx(expected, abs=1e-6)
    assert mean_cc(prediction) < mean_cc(prediction, protocol="seen") - 0.005


def test_a_recording_shorter_than_a_clip_has_no_cc():
    two = series("P1", np.arange(2.0))
    long = series("P2", np.sin(np.arange(60)) + np.arange(60) / 60)
    assert mean_cc(two, long, clip_seconds=1.0) == mean_cc(long)
    scores = scoring.score([two, long], ("valence",), (0.0,), clip_seconds=1.0)
    assert scores["protocols"]["rated"]["valence"]["left_out"] == ["P1"]
    assert scores["recordings"]["P1"]["rated"]["valence"]["rmse"] is not None


def test_interval_equals_scipys_bootstrap(rng):
    predictions = [
        series(f"P{n}", np.sin(np.arange(50)) + rng.normal(0, n, 50)) for n in range(1, 7)
    ]
    row = scoring.score(predictions, ("valence",), (0.0,))["protocols"]["rated"]["valence"]["cc"]
    per_recording = [np.corrcoef(p.labels[:, 0], p.predictions[:, 0])[0, 1] for p in predictions]
    expected = scipy.stats.bootstrap((per_recording,), np.mean, rng=np.random.default_rng(5))
    assert row["interval"] == pytest.approx(list(expected.confidence_interval), abs=0.01)
    five = scoring.score(predictions[:5], ("valence",), (0.0,))
    assert five["protocols"]["rated"]["valence"]["cc"]["interval"] is None


def test_smoothness_is_the_mean_difference_of_neighbouring_frames():
    labels = np.array([0.0, 1.0, np.nan, 5.0, 5.5])
    prediction = series("P1", [0.0, 0.5, 9.0, 1.0, 0.75], labels)
    score = scoring.score([prediction], ("valence",), (0.0,))["recordings"]["P1"]["rated"]
    assert score["valence"]["smoothness"] == pytest.approx({"labels": 0.75, "predictions": 0.375})


def test_without_any_face_the_predictions_are_unchanged():
    prediction = series("P1", np.full(20, 0.5), face=np.zeros(20, bool))
    scores = scoring.score([prediction], ("valence",), (0.0,))
    row = scores["protocols"]["rated"]["valence"]
    assert (row["cc"]["mean"], row["constant"], row["face"]) == (0.0, 1, 0.0)
    assert scores["protocols"]["seen"]["valence"]["cc"]["mean"] is None

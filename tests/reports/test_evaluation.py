"""The files of an evaluation: metrics.json, recordings.csv, predictions.csv and figures."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from ast_net.reports import evaluation, evaluation_figures
from ast_net.temporal import scoring

TARGETS = ("valence", "arousal")
DELAYS = (0.0, 0.2)


@pytest.fixture
def predictions(rng):
    """P1 has no face in frames 5 to 9, and no rating of arousal in frame 3."""
    made = []
    for name, frames in (("P1", 30), ("P2", 50)):
        labels, noise = rng.normal(size=(2, frames, 2)).astype(np.float32)
        face = np.ones(frames, bool)
        if name == "P1":
            labels[3, 1] = np.nan
            face[5:10] = False
        times = np.arange(frames) / 25
        made.append(scoring.RecordingPrediction(name, times, face, labels, labels + noise))
    return made


@pytest.fixture
def metrics(predictions):
    setup = evaluation.EvaluationSetup("dev", 7, "cc", True, DELAYS)
    return evaluation.metrics_document(setup, scoring.score(predictions, TARGETS, DELAYS))


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_metrics_json_has_setup_and_scores(tmp_path, predictions, metrics):
    evaluation.write(tmp_path, predictions, metrics)
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert list(stored)[:5] == ["split", "epoch", "selected_by", "chose_epoch", "reaction_delay"]
    assert stored["epoch"] == 7 and stored["chose_epoch"] is True
    assert list(stored["protocols"]) == ["rated", "seen"]
    assert list(stored["protocols"]["rated"]) == ["valence", "arousal", "average"]
    assert stored["protocols"]["rated"]["arousal"]["frames"] == 79
    assert stored["protocols"]["rated"]["valence"]["face"] == pytest.approx(75 / 80)


def test_predictions_csv_has_the_predictions_that_ratings_are_compared_with(
    tmp_path, predictions, metrics
):
    evaluation.write(tmp_path, predictions, metrics)
    rows = rows_of(tmp_path / "predictions.csv")
    assert len(rows) == 80
    first = predictions[0]
    assert rows[3]["arousal_label"] == "", "a missing rating is an empty cell"
    assert rows[3]["valence_label"] != ""
    assert [row["face"] for row in rows[:12]] == ["1"] * 5 + ["0"] * 5 + ["1"] * 2
    # Without a face the last prediction is held; a delay of 0.2 s is five frames.
    assert float(rows[7]["valence_prediction"]) == pytest.approx(first.predictions[4, 0], abs=1e-6)
    assert float(rows[20]["arousal_prediction"]) == pytest.approx(
        first.predictions[15, 1], abs=1e-6
    )
    assert float(rows[2]["arousal_prediction"]) == pytest.approx(first.predictions[0, 1], abs=1e-6)
    assert float(rows[20]["arousal_label"]) == pytest.approx(first.labels[20, 1], abs=1e-6)


def test_recordings_have_a_row_for_each_protocol_and_target(tmp_path, predictions, metrics):
    evaluation.write(tmp_path, predictions, metrics)
    rows = rows_of(tmp_path / "recordings.csv")
    assert len(rows) == 2 * 2 * 3
    row = rows[0]
    assert (row["recording"], row["protocol"], row["target"]) == ("P1", "rated", "valence")
    assert float(row["cc"]) == metrics["recordings"]["P1"]["rated"]["valence"]["cc"]


def test_scores_on_the_recordings_that_chose_the_epoch_have_a_remark(metrics):
    assert "rated" in evaluation.format_table(metrics)
    (remark,) = evaluation.remarks(metrics, "demo")
    assert "epoch 7 was chosen by its CC on dev" in remark
    assert not list(evaluation.remarks(metrics | {"chose_epoch": False}, "demo"))


def test_figures_show_every_recording(tmp_path, predictions, metrics):
    evaluation_figures.write(tmp_path, predictions, metrics)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"P1.png", "P2.png", "cc_distribution.png"}


def test_any_name_of_a_recording_has_a_figure(tmp_path, predictions):
    names = ["cc_distribution", "../$a_to_$"]
    predictions = [dataclasses.replace(p, recording=n) for p, n in zip(predictions, names)]
    setup = evaluation.EvaluationSetup("dev", 7, "cc", True, DELAYS)
    document = evaluation.metrics_document(setup, scoring.score(predictions, TARGETS, DELAYS))
    evaluation_figures.write(tmp_path / "figures", predictions, document)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")} == {
        "figures/cc_distribution.png",
        "figures/cc_distribution_2.png",
        "figures/_._$a_to_$.png",
    }


def test_the_background_without_a_face_is_as_late_as_the_ratings():
    times = np.arange(200) / 25
    face = (times < 2.4) | (times >= 6)
    values = np.stack([np.sin(times), np.cos(times)], axis=1)
    prediction = scoring.RecordingPrediction("P1", times, face, values, values)
    scores = {target: {"cc": 0.5} for target in ("valence", "arousal")}
    metrics = {"reaction_delay": (1.0, 0.0), "recordings": {"P1": {"rated": scores}}}
    figure = evaluation_figures.series_figure(prediction, metrics)
    spans = [
        (patch.get_x(), patch.get_x() + patch.get_width())
        for axes in figure.axes
        for patch in axes.patches
    ]
    np.testing.assert_allclose(spans, [(3.4, 7.0), (2.4, 6.0)], atol=1e-9)

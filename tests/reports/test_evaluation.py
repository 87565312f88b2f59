"""Scores and tables of predictions against NumPy."""

import csv
import json

import numpy as np
import pytest

from ast_net import config
from ast_net.reports import evaluation


def test_tables_equal_numpy(tmp_path, rng):
    predictions = []
    for name, frames in (("P1", 30), ("P2", 50)):
        labels, noise = rng.normal(size=(2, frames, 2))
        mask = rng.random(frames) > 0.2
        predictions.append(
            evaluation.RecordingPrediction(
                name, np.arange(frames) / 25, labels, labels + noise, mask
            )
        )
    constant = np.zeros((10, 2))
    predictions.append(
        evaluation.RecordingPrediction(
            "P3", np.arange(10) / 25, constant, constant, np.ones(10, bool)
        )
    )
    table = evaluation.tabulate(predictions, config.TARGETS)
    evaluation.write(tmp_path, predictions, table)
    assert json.loads((tmp_path / "metrics.json").read_text()) == table
    for column, target in enumerate(config.TARGETS):
        each = [
            np.corrcoef(p.labels[p.mask, column], p.predictions[p.mask, column])[0, 1]
            for p in predictions[:2]
        ]
        found = table[target]["cc"]
        assert found["mean"] == pytest.approx(np.mean(each))
        assert (found["min"], found["max"]) == pytest.approx((min(each), max(each)))
        both = [
            np.concatenate([getattr(p, part)[p.mask, column] for p in predictions])
            for part in ("labels", "predictions")
        ]
        assert found["concatenated"] == pytest.approx(np.corrcoef(*both)[0, 1])
        assert table[target]["rmse"]["concatenated"] == pytest.approx(
            np.sqrt(np.mean((both[0] - both[1]) ** 2))
        )
        assert table[target]["recordings"]["P3"]["cc"] is None
    assert evaluation.undefined(table) == ["P3, valence", "P3, arousal"]
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    assert float(rows[35]["arousal_prediction"]) == pytest.approx(
        predictions[1].predictions[5, 1], abs=1e-6
    )
    assert [row["valid"] for row in rows[:30]] == [str(int(m)) for m in predictions[0].mask]
    with (tmp_path / "recordings.csv").open() as file:
        assert [row["recording"] for row in csv.DictReader(file)] == ["P1"] * 2 + ["P2"] * 2 + [
            "P3"
        ] * 2
    assert "0." in evaluation.format_table(table)

"""The report of a reproduction, on synthetic evaluations, and its figures."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.datasets import annotations, reader
from ast_net.faces import video_writer
from ast_net.reports import (
    comparison,
    comparison_figures,
    deviations,
    evaluation,
    paper,
    reproduction_scores,
)
from ast_net.temporal import scoring

TIMES = np.arange(100) / 10
LOSSES = ("La", "La+T", "La+T+S", "La+T+Lo+G", *config.FIGURE_2, "La+T+Lo+G+S")


def evaluated(folder, row, seed, recordings, noise, split="dev", chose=True):
    """Writes the evaluation of a run whose predictions are the gold standard with noise."""
    predictions = []
    for number, name in enumerate(recordings):
        gold = np.stack([np.sin(TIMES + number), np.cos(2 * TIMES + number)], axis=1)
        rng = np.random.default_rng([seed, *f"{row} {name}".encode()])
        predicted = (
            np.zeros_like(gold) if noise is None else gold + rng.normal(0, noise, gold.shape)
        )
        face = np.ones(len(TIMES), bool)
        predictions.append(
            scoring.RecordingPrediction(
                name, TIMES, face, gold.astype(np.float32), predicted.astype(np.float32)
            )
        )
    scores = scoring.score(predictions, config.TARGETS, (0.0, 0.0), intervals=False)
    setup = evaluation.EvaluationSetup(split, 7 + seed, "cc", chose, (0.0, 0.0))
    evaluation.write(folder, predictions, evaluation.metrics_document(setup, scores))
    return reproduction_scores.RunEvaluation(row, seed, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Seven losses with two seeds and a baseline, on seven recordings."""
    folder = tmp_path_factory.mktemp("made")
    names = [f"P{number}" for number in range(1, 8)]
    result = []
    for k, row in enumerate(LOSSES):
        for seed in range(2):
            run_folder = folder / row / f"{seed}"
            result.append(evaluated(run_folder, row, seed, names, 1.5 - 0.2 * k))
    result.append(evaluated(folder / "mean", "mean", 0, names, None, chose=False))
    return result


@pytest.fixture
def evaluations(made):
    return list(made)


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(comparison_figures, "write", lambda *_: [])


def cc_of(evaluation_, recording, target):
    """Computes CC from predictions.csv alone."""
    with (evaluation_.folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["recording"] == recording]
    series = [[float(row[f"{target}_{kind}"]) for row in rows] for kind in ("label", "prediction")]
    return np.corrcoef(*series)[0, 1]


def test_seeds_are_averaged_after_recordings(evaluations):
    scores = reproduction_scores.Scores(evaluations)
    assert scores.rows == [*LOSSES, "mean"] and scores.seeds == 2 and scores.chose_epoch
    seeds = [e for e in evaluations if e.row == "La+T"]
    for target in config.TARGETS:
        cc = np.array([[cc_of(seed, name, target) for name in scores.recordings] for seed in seeds])
        summary = scores.summary("La+T", target)
        assert summary["mean"] == pytest.approx(cc.mean(), abs=1e-5)
        assert summary["max"] == pytest.approx(cc.max(axis=1).mean(), abs=1e-5)
        assert summary["min"] == pytest.approx(cc.min(axis=1).mean(), abs=1e-5)
        assert summary["sd"] == pytest.approx(cc.mean(axis=1).std(ddof=1), abs=1e-5)
        assert summary["above"] == pytest.approx((cc.mean(axis=0) > 0.5).mean())
        assert [*scores.mean_over_seeds("La+T", target).values()] == pytest.approx(
            cc.mean(axis=0), abs=1e-5
        )
    assert scores.epochs("La+T") == (7, 8)
    assert scores.summary("mean", "valence")["mean"] == 0
    assert scores.summary("mean", "valence")["prediction_step"] == 0
    assert scores.summary("mean", "valence")["sd"] is None


def test_folds_of_a_seed_are_combined(tmp_path):
    parts = [
        evaluated(tmp_path / f"{fold}", "La", 0, names, 0.5, "test", False)
        for fold, names in enumerate((["P1", "P2"], ["P3"]))
    ]
    scores = reproduction_scores.Scores(parts)
    assert scores.recordings == ["P1", "P2", "P3"]
    summary = scores.summary("La", "valence")
    assert summary["seeds"] == 1 and summary["recordings"] == 3
    (tmp_path / "0/metrics.json").write_text("{")
    with pytest.raises(errors.InputError, match="metrics.json"):
        reproduction_scores.Scores(parts)


def sources(tmp_path, names, images):
    """Makes recordings with a video and three raters; the third contradicts the others."""
    path = tmp_path / "film.mp4"
    video_writer.write_video(path, images, 10)

    def read(number=0):
        curve = np.sin(TIMES + number)
        values = np.stack([curve, 0.5 * curve, -curve], axis=1)
        return {t: annotations.Ratings(TIMES, values, ("A", "B", "C")) for t in config.TARGETS}

    return {name: reader.Source(name, path, [], read, read) for name in names}


@pytest.fixture
def images(drifting_face):
    return drifting_face([True] * 100)


def report(folder, settings, evaluations, sources=None, failures=None, split="dev"):
    comparison.write(folder, settings, {split: evaluations}, sources or {}, failures or {})
    return (folder / "report.md").read_text()


def cells(text, heading, first):
    """Returns the cells of the first table row after a heading whose first cell is `first`."""
    part = text[text.index(heading) :]
    line = next(line for line in part.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_shows_the_paper_s_numbers_next_to_ours(tmp_path, evaluations, images):
    settings = config.Reproduction(dataset="recordings", seeds=2)
    names = [f"P{number}" for number in range(1, 8)]
    text = report(tmp_path / "out", settings, evaluations, sources(tmp_path, names, images))
    scores = reproduction_scores.Scores(evaluations)
    full_loss = scores.summary("La+T+Lo+G+S", "valence")
    row = cells(text, "### valence", r"La+T+Lo+G+S")
    assert row[2] == f"{full_loss['max']:.4f} / {full_loss['min']:.4f}"
    assert row[3] == f"{full_loss['mean']:.4f}"
    assert row[-2:] == ["0.8789 / 0.2337", "0.5874"]
    assert "another data set or partition" in text
    assert "were chosen on these recordings" in text
    # Each other row compared with the full loss, with Holm's correction.
    difference = scores.differences("valence", "La+T+Lo+G+S")["La"]
    row = cells(text, "## Each row compared with La+T+Lo+G+S", "La")
    assert row[1:3] == [f"{difference.mean:.4f}", f"{difference.better} of 7 recordings"]
    assert row[3:] == [f"{difference.p:.4f}", f"{difference.adjusted:.4f}"]
    # Tables 2 to 4 have all published rows and ours.
    for table in paper.COMPARISONS:
        part = text[text.index(f"### Table {table.number}:") :]
        for method in table.methods:
            assert cells(part, "| method", method.name)[1:4] == [
                f"{value:g}" for value in method[1:]
            ]
        ours = cells(part, "| method", "ours: La+T+Lo+G+S")
        assert ours[2] == f"{full_loss['mean']:.4f}"
        assert "not the same recordings" in ours[4]
        assert "2 seeds, epoch chosen on these recordings" in ours[5]
    # Two raters agree and the third contradicts them, so the pairs have CC 1, -1, -1.
    assert cells(text, "## Agreement between raters", "dev")[4] == f"{-1 / 3:.4f}"
    assert "Do not publish it" in text
    for name in re.findall(r"\(figures/([^)]+)\)", text):
        assert (tmp_path / "out/figures" / name).stat().st_size > 10_000
    assert {path.name for path in (tmp_path / "out/figures").iterdir()} == {
        "figure_2.png",
        "figure_3.png",
        "figure_4_valence.png",
        "figure_4_arousal.png",
        "figure_5.png",
        "figure_6.png",
    }
    with (tmp_path / "out/table_1.csv").open() as file:
        rows = {(row["target"], row["row"]): row for row in csv.DictReader(file)}
    assert float(rows["valence", "La+T+Lo+G+S"]["mean"]) == full_loss["mean"]
    with (tmp_path / "out/recordings.csv").open() as file:
        assert len([*csv.DictReader(file)]) == (2 * len(LOSSES) + 1) * 7 * 3


def test_few_recordings_have_no_p_and_without_sources_no_frames_are_shown(tmp_path):
    names = ["P1", "P2", "P3"]
    parts = [evaluated(tmp_path / row, row, 0, names, 0.3) for row in ("La", "La+T+Lo+G+S")]
    text = report(tmp_path / "out", config.Reproduction(dataset="recola"), parts)
    assert "fewer than 6 recordings, so p is not given" in text and "p (Holm)" not in text
    assert "no ratings of individual raters" in text and "Do not publish it" not in text
    assert {path.name for path in (tmp_path / "out/figures").iterdir()} == {
        "figure_5.png",
        "figure_6.png",
    }


def test_failed_runs_are_named_and_left_out(tmp_path, evaluations, no_figures):
    # The first evaluation is that of La with seed 0.
    evaluations[0] = dataclasses.replace(evaluations[0], folder=tmp_path / "nowhere")
    text = report(
        tmp_path / "out",
        config.Reproduction(dataset="demo"),
        evaluations,
        failures={"La/seed_0": "failed: error: no space"},
    )
    assert "1 runs failed and are left out" in text and "La/seed_0: failed: error: no space" in text
    assert cells(text, "### valence", "La")[1] == "1"
    assert cells(text, "### valence", "La+T")[1] == "2"
    empty = report(tmp_path / "none", config.Reproduction(dataset="demo"), [evaluations[0]])
    assert "Tables 2 to 4" in empty


def test_only_the_paper_s_own_recordings_are_compared_directly(tmp_path, evaluations, no_figures):
    text = report(tmp_path / "out", config.Reproduction(dataset="avec2012"), evaluations)
    assert "The last two columns are the paper's Table 1." in text
    part = text[text.index("### Table 2:") : text.index("### Table 3:")]
    assert "not the same recordings" not in cells(part, "| method", "ours: La+T+Lo+G+S")[4]
    part = text[text.index("### Table 3:") : text.index("### Table 4:")]
    assert "not the same recordings" in cells(part, "| method", "ours: La+T+Lo+G+S")[4]
    folds = config.Reproduction(dataset="avec2012", folds=5)
    text = report(tmp_path / "folds", folds, evaluations, split="test")
    assert "5-fold cross-validation" in text
    assert "The last two columns are the paper's Table 1." not in text


def test_the_median_recording_is_shown_first(evaluations):
    scores = reproduction_scores.Scores(evaluations)
    cc = scores.mean_over_seeds("La+T+Lo+G+S", "average")
    chosen = comparison_figures.choose_recordings(scores, 4)
    assert len(set(chosen)) == 4
    assert cc[chosen[0]] == np.median([*cc.values()])
    assert {min(cc, key=cc.get), max(cc, key=cc.get)} <= set(chosen)


def test_table_1_has_the_paper_s_rows_in_its_order():
    assert tuple(paper.TABLE_1) == config.TABLE_1
    best = max(paper.TABLE_1, key=lambda row: paper.TABLE_1[row].mean)
    assert best == config.WHOLE_LOSS
    for row in paper.TABLE_1.values():
        assert row.lowest < row.mean < row.highest
    for table in paper.COMPARISONS:
        assert table.dataset in config.DATASETS and table.split in config.SPLITS
        for method in table.methods:
            # The averages are as printed; that of AST-Net in Table 3 differs in the last digit.
            mean = (method.arousal + method.valence) / 2
            assert method.average == pytest.approx(mean, abs=1.01e-4), method.name
    assert paper.TABLE_1[config.WHOLE_LOSS].mean == paper.COMPARISONS[0].methods[-1].valence


def test_the_differences_from_the_paper_depend_on_the_settings():
    def text(delays=(0.0, 0.0), **changes):
        study = dataclasses.replace(config.Reproduction(dataset="avec2012"), **changes)
        return " ".join(item.package for item in deviations.deviations(study, [*delays]))

    defaults = text()
    assert "over 5 epochs" in defaults and "M = 5" in defaults and "`compact`" in defaults
    assert "shifted by" not in defaults
    training = config.Training(warmup_epochs=0, learning_rate=0.5)
    as_in_paper = text(backbone="vgg16", training=training)
    assert "rise from 0" not in as_in_paper and "Adam with learning rate 0.5" in as_in_paper
    assert "192x192" in as_in_paper and "last layer but one" in as_in_paper
    assert "shifted by 2 s, 2.5 s" in text((2.0, 2.5))


def test_metrics_have_the_keys_that_evaluate_writes(evaluations):
    document = json.loads((evaluations[0].folder / "metrics.json").read_text())
    assert set(document) >= {"split", "epoch", "chose_epoch", "reaction_delay", "protocols"}

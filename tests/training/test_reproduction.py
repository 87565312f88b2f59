"""The runs of the paper's Table 1, the folds, and small reproductions with their report."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest
from calls import call

from ast_net import cli, config, devices, errors, fields, jobs, shared_work, workdir
from ast_net.datasets import reader
from ast_net.records import store
from ast_net.reports import comparison_figures, evaluation, evaluation_figures, paper
from ast_net.temporal import scoring
from ast_net.training import reproduction, runs

STUDY = config.Experiment(dataset="demo", workdir="root")
# Section 4.3 and Table 1: label, trend, local, global, Siamese.
TABLE_1 = {
    "La": (1, 0, 0, 0, 0),
    "T": (0, 10, 0, 0, 0),
    "La+T": (1, 10, 0, 0, 0),
    "La+S": (1, 0, 0, 0, 1000),
    "La+T+S": (1, 10, 0, 0, 1000),
    "La+T+G": (1, 10, 0, 10, 0),
    "La+T+Lo": (1, 10, 10, 0, 0),
    "La+Lo+G": (1, 0, 10, 10, 0),
    "La+T+Lo+G": (1, 10, 10, 10, 0),
    "La+T+Lo+G+S": (1, 10, 10, 10, 1000),
}


def weights(run):
    loss = run.loss
    return loss.label, loss.trend, loss.local, loss.global_, loss.siamese


def test_rows_have_the_weights_of_table_1():
    assert tuple(TABLE_1) == tuple(paper.TABLE_1) == config.TABLE_1
    for row, expected in TABLE_1.items():
        run = reproduction.run_of(STUDY, row, 0)
        assert weights(run) == expected and run.loss.ccc == 0
    for row, expected in (("La+T+G+S", (1, 10, 0, 10, 1000)), ("La+T+Lo+S", (1, 10, 10, 0, 1000))):
        assert weights(reproduction.run_of(STUDY, row, 0)) == expected
    alone = reproduction.run_of(STUDY, "CCC", 0)
    assert weights(alone) == (0,) * 5 and alone.loss.ccc == 1


def test_given_weights_apply_to_the_terms_of_a_row():
    loss = config.LossWeights(trend=3.0, siamese=100.0, ccc=0.5, num_intervals=7)
    training = config.Training(seed=4, epochs=9)
    study = dataclasses.replace(STUDY, loss=loss, training=training)
    run = reproduction.run_of(study, "La+T", 2)
    assert weights(run) == (1, 3, 0, 0, 0)
    assert run.loss.ccc == 0 and run.loss.num_intervals == 7
    assert run.training == dataclasses.replace(training, seed=6)
    assert run.workdir == "root/La+T/seed_6"
    assert reproduction.run_of(study, "CCC", 0).loss.ccc == 0.5


def recordings(subjects):
    """Makes recordings a, b, c, ... of these subjects."""
    return [
        reader.Source(chr(ord("a") + k), pathlib.Path("x"), [], dict, subject=subject)
        for k, subject in enumerate(subjects)
    ]


def test_subjects_stay_together_in_folds():
    subjects = ["1", "1", "1", "2", "2", "3", "4", None, None]
    sources = recordings(subjects)
    folds = reproduction.assign_folds(sources, 3)
    assert sorted(name for fold in folds for name in fold) == list("abcdefghi")
    assert sorted(map(len, folds)) == [3, 3, 3]
    place = {name: number for number, fold in enumerate(folds) for name in fold}
    assert place["a"] == place["b"] == place["c"] and place["d"] == place["e"]
    # The order of the recordings does not matter.
    assert [set(fold) for fold in reproduction.assign_folds(sources[::-1], 3)] == [
        set(fold) for fold in folds
    ]
    # A subject named like a recording is not mistaken for it.
    assert len(reproduction.assign_folds(recordings(["recording b", None, None]), 3)) == 3
    with pytest.raises(errors.InputError, match="`folds=3`: found 2 subjects"):
        reproduction.assign_folds(recordings(["1", "1", "2"]), 3)


def test_a_run_gets_the_settings_of_the_hardware_but_its_own_gpu(tmp_path):
    run = reproduction.run_of(dataclasses.replace(STUDY, workdir=str(tmp_path)), "La", 0)
    hardware = config.Devices(device="gpu:0,1", tf32=False, deterministic=True)
    flags = reproduction._command(tmp_path, run, [], hardware).arguments
    assert {"--notf32", "--deterministic"} <= set(flags)
    assert not [flag for flag in flags if flag.startswith(("--device", "--memory_growth"))]


def test_all_runs_have_the_arithmetic_of_those_begun_before(tmp_path):
    assert reproduction._begun(tmp_path / "new") is None
    run = fields.changed(STUDY, {"mixed_precision": "float16"})
    workdir.claim(tmp_path / "fold_1/La/seed_0", run)
    begun = reproduction._begun(tmp_path)
    assert devices.resolved(STUDY, begun).training.mixed_precision == "float16"


def test_unknown_rows_and_too_few_folds_are_refused():
    with pytest.raises(errors.InputError, match="`rows` must be some of La, T, .*found La.Sia"):
        cli.parse("reproduce", ["--rows=La,La+Sia"]).read(config.Reproduction)
    with pytest.raises(errors.InputError, match="`folds` must be at least 3"):
        cli.parse("reproduce", ["--folds=2"]).read(config.Reproduction)


SMALL = [
    "--dataset=recola",
    "--clip_frames=5",
    "--clip_stride=2",
    "--clip_hop=2",
    "--batch_size=64",
    "--epochs=1",
    "--warmup_epochs=0",
    "--lstm_units=4,3",
]
PARTITIONS = ["--train_recordings=P1,P2,P3,P4", "--dev_recordings=P5,P6"]


class InThisProcess:
    """Replaces a process that runs a verb: the verb runs here and is finished at once."""

    calls: list[str] = []
    stop_before: int | None = None

    def __init__(self, command, stdout, **_):
        assert command[1] == "-m"
        if self.stop_before == len(self.calls):
            raise KeyboardInterrupt
        flags = command[3:]
        self.calls.append(next(flag for flag in flags if flag.startswith("--workdir=")))
        done = call(command[2].rpartition(".")[2], *flags)
        stdout.write(f"{done.printed}\n{done.ended or ''}\n".encode())
        self.returncode, self.pid = int(done.ended != 0), -1

    def poll(self):
        return self.returncode

    wait = poll


def train_at_once(experiment, may_prepare=True):
    """Writes the files of `runs.train_and_evaluate`; the predictions are ratings with noise.

    The noise depends on the seed, and is smaller the larger the weights of the loss are.
    """
    run = runs.completed(experiment)
    records = store.prepare(run)
    workdir.claim(run.workdir, run)
    noise = 0.3 / (1 + sum(weights(run)) / 1000)
    delays = run.reaction_delay.per_target(2)
    for split in (s for s in ("dev", "test") if runs.has_ratings(records, s)):
        rng = np.random.default_rng(run.training.seed)
        predictions = [
            scoring.RecordingPrediction(
                frames.recording,
                frames.timestamps,
                frames.valid,
                frames.labels,
                np.nan_to_num(frames.labels) + rng.normal(0, noise, frames.labels.shape),
            )
            for frames in records.frames(split)
        ]
        scores = scoring.score(predictions, run.targets, delays, intervals=False)
        setup = evaluation.EvaluationSetup(split, 1, "cc", split == "dev", delays)
        folder = pathlib.Path(run.workdir, f"evaluation/{run.dataset}_{split}")
        evaluation.write(folder, predictions, evaluation.metrics_document(setup, scores))


@pytest.fixture
def in_this_process(monkeypatch):
    """Replaces processes by calls, and training by noisy predictions."""
    monkeypatch.setattr(InThisProcess, "calls", [])
    monkeypatch.setattr(InThisProcess, "stop_before", None)
    monkeypatch.setattr(jobs.subprocess, "Popen", InThisProcess)
    monkeypatch.setattr(jobs.time, "sleep", lambda _: None)
    monkeypatch.setattr(evaluation_figures, "write", lambda *_: None)
    monkeypatch.setattr(runs, "train_and_evaluate", train_at_once)
    return InThisProcess


def places(folder, tmp_path, name):
    return [
        f"--data_dir={tmp_path / 'data'}",
        f"--manual_dir={folder}",
        f"--workdir={tmp_path / name}",
    ]


def test_a_killed_reproduction_continues_to_the_same_report(
    planted_recola, tmp_path, in_this_process, monkeypatch
):
    monkeypatch.setattr(comparison_figures, "write", lambda *_: [])
    folder = planted_recola("source", {f"P{number}": 1.0 for number in range(1, 7)})
    rows = "--rows=La,La+T+Lo+G+S,mean,ridge"
    flags = [*SMALL, *PARTITIONS, "--seeds=2", "--reaction_delay=1", rows]
    done = call("reproduce", *flags, *places(folder, tmp_path, "whole"))
    assert done.ended == 0, done
    root = tmp_path / "whole"
    report = (root / "report.md").read_text()
    assert len(in_this_process.calls) == 4
    for row in ("La", "La+T+Lo+G+S"):
        for seed in range(2):
            run = workdir.find(root / row / f"seed_{seed}", config.Experiment)
            assert weights(run) == TABLE_1[row] and run.training.seed == seed
            assert (root / "logs" / row / f"seed_{seed}.log").is_file()
    # The report gives the scores of the runs.
    metrics = [
        json.loads((root / f"La/seed_{seed}/evaluation/recola_dev/metrics.json").read_text())
        for seed in range(2)
    ]
    expected = np.mean([m["protocols"]["rated"]["valence"]["cc"]["mean"] for m in metrics])
    with (root / "table_1.csv").open() as file:
        rows = {(row["target"], row["row"]): row for row in csv.DictReader(file)}
    assert float(rows["valence", "La"]["mean"]) == pytest.approx(expected)
    # Features are mixtures of the rating curves: a linear model predicts them, a constant cannot.
    assert float(rows["valence", "ridge"]["mean"]) > 0.9
    assert float(rows["valence", "mean"]["mean"]) == 0
    # Stopped before the third run, then called again.
    in_this_process.calls.clear()
    in_this_process.stop_before = 2
    stopped = call("reproduce", *flags, *places(folder, tmp_path, "killed"))
    assert stopped.ended == 130
    assert not (tmp_path / "killed/report.md").exists()
    in_this_process.stop_before = None
    assert call("reproduce", *flags, *places(folder, tmp_path, "killed")).ended == 0
    assert len(in_this_process.calls) == 4, "no run twice"
    assert (tmp_path / "killed/report.md").read_text() == report
    # Runs with different settings are refused.
    refused = call("reproduce", *flags, "--learning_rate=0.1", *places(folder, tmp_path, "killed"))
    assert "La/seed_0: this workdir was created with a different configuration" in refused.ended
    # With more seeds, only the new runs are trained, here as on a cluster.
    pipelines = []

    def run_pipeline(options, function, count):
        pipelines.append((options, count))
        for index in range(count):
            function(index)

    monkeypatch.setattr(shared_work, "_run_pipeline", run_pipeline)
    flags += ["--seeds=3", "--beam_pipeline_options=runner=Test"]
    assert call("reproduce", *flags, *places(folder, tmp_path, "killed")).ended == 0
    assert pipelines == [("runner=Test", 2)]
    assert [name.rpartition("/")[2] for name in in_this_process.calls[4:]] == ["seed_2"] * 2


def test_a_cluster_has_its_own_number_of_workers():
    refused = call("reproduce", "--dataset=demo", "--workers=3", "--beam_pipeline_options=runner=X")
    assert "--workers is for this machine" in refused.ended


def test_a_cross_validation_tests_each_recording_once(
    planted_recola, tmp_path, in_this_process, monkeypatch
):
    monkeypatch.setattr(comparison_figures, "write", lambda *_: [])
    folder = planted_recola("source", {f"P{number}": 0.0 for number in range(1, 7)})
    flags = [*SMALL, *PARTITIONS, "--folds=3", "--seeds=1", "--rows=La,mean", "--reaction_delay=0"]
    done = call("reproduce", *flags, *places(folder, tmp_path, "out"))
    assert done.ended == 0, done
    tested = []
    for fold in range(1, 4):
        run = workdir.find(tmp_path / f"out/fold_{fold}/La/seed_0", config.Experiment)
        parts = [set(run.partitions[split]) for split in ("train", "dev", "test")]
        assert [len(part) for part in parts] == [2, 2, 2]
        assert len(set.union(*parts)) == 6
        tested += run.partitions["test"]
    assert sorted(tested) == [f"P{number}" for number in range(1, 7)]
    with (tmp_path / "out/recordings.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["row"] == "La"]
    assert {row["split"] for row in rows} == {"test"}
    assert sorted({row["recording"] for row in rows}) == sorted(tested)
    text = (tmp_path / "out/report.md").read_text()
    assert "3-fold cross-validation" in text and "were chosen on these recordings" not in text


def test_a_failed_run_is_reported_and_the_others_are_kept(
    planted_recola, tmp_path, in_this_process, monkeypatch
):
    monkeypatch.setattr(comparison_figures, "write", lambda *_: [])
    folder = planted_recola("source", {f"P{number}": 0.0 for number in range(1, 7)})
    flags = [*SMALL, *PARTITIONS, "--seeds=1", "--rows=La,La+T,mean", "--reaction_delay=0"]
    root = tmp_path / "out"
    original = InThisProcess.__init__

    def broken(self, command, **options):
        if any(flag.endswith("/La/seed_0") for flag in command):
            command = [*command[:3], "--dataset=recola", "--epochs=0"]
            self.calls.append("broken")
            options["stdout"].write(b"error: no space left\n")
            self.returncode, self.pid = 1, -1
            return
        original(self, command, **options)

    monkeypatch.setattr(InThisProcess, "__init__", broken)
    done = call("reproduce", *flags, *places(folder, tmp_path, "out"))
    assert "1 of 2 runs failed" in done.ended and "error: no space left" in done.ended
    text = (root / "report.md").read_text()
    assert "La/seed_0: failed: error: no space left" in text
    assert "| La+T | 1 |" in text and "| La | 1 |" not in text
    monkeypatch.setattr(InThisProcess, "__init__", original)
    assert call("reproduce", *flags, *places(folder, tmp_path, "out")).ended == 0
    assert "| La | 1 |" in (root / "report.md").read_text()


def test_a_complete_reproduction_in_processes(planted_recola, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_figures, "write", lambda *_: None)
    # tests/reports/test_comparison.py draws them.
    monkeypatch.setattr(comparison_figures, "write", lambda *_: [])
    folder = planted_recola("source", {f"P{number}": 1.0 for number in range(1, 5)})
    partitions = ["--train_recordings=P1,P2", "--dev_recordings=P3", "--test_recordings=P4"]
    rows = "--rows=La+T+Lo+G+S,mean"
    flags = [*SMALL, *partitions, "--seeds=1", "--reaction_delay=auto", rows]
    done = call("reproduce", *flags, *places(folder, tmp_path, "out"))
    assert done.ended == 0, (tmp_path / "out/logs/La+T+Lo+G+S/seed_0.log").read_text()
    run = tmp_path / "out/La+T+Lo+G+S/seed_0"
    assert (run / "best.weights.h5").is_file() and (run / "history.csv").is_file()
    # A baseline writes the evaluation files of a run (its figures are not drawn here).
    written, of_baseline = (
        {f.relative_to(folder) for f in folder.rglob("evaluation/**/*.*") if f.suffix != ".png"}
        for folder in (run, tmp_path / "out/mean/seed_0")
    )
    assert written == of_baseline and len(written) == 2 * (3 + 2)
    # The delay is found once and given to all runs.
    delay = workdir.find(run, config.Experiment).reaction_delay
    assert delay.seconds == pytest.approx((1.0, 1.0)) and delay.origin == "given"
    assert (tmp_path / "out/reaction_delay.csv").is_file()
    text = (tmp_path / "out/report.md").read_text()
    assert "Partition `dev`: 1 recordings" in text and "Partition `test`: 1 recordings" in text
    metrics = json.loads((run / "evaluation/recola_test/metrics.json").read_text())
    mean = metrics["protocols"]["rated"]["valence"]["cc"]["mean"]
    part = text[text.index("## Table 1: the losses (recola, test)") :]
    assert f"| La+T+Lo+G+S | 1 | {mean:.4f} / {mean:.4f} | {mean:.4f} |" in part
    # The same command again trains nothing.
    again = call("reproduce", *flags, *places(folder, tmp_path, "out"))
    assert again.ended == 0 and "to do" not in again.said

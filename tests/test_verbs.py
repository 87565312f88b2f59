"""The verbs as a user calls them, each in a process of its own."""

import csv
import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import ast_net.temporal.stacked_lstm  # noqa: F401  registers the layers of saved models

TINY = [
    "--train_recordings=P1",
    "--dev_recordings=P2",
    "--clip_frames=5",
    "--clip_stride=2",
    "--clip_hop=2",
    "--batch_size=8",
    "--epochs=4",
    "--lstm_units=6,5",
]


def command(verb, *flags):
    return [sys.executable, "-m", f"ast_net.{verb}", *flags]


def call(verb, *flags):
    return subprocess.run(command(verb, *flags), capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def places(recola_folder, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    return ["--dataset=recola", f"--data_dir={data_dir}", f"--manual_dir={recola_folder}", *TINY]


@pytest.fixture(scope="module")
def trained(places, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    done = call("train", *places, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, done.stdout


def test_train_goes_the_whole_way(trained):
    workdir, printed = trained
    lines = printed.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == [
        f"{number}/4" for number in range(1, 5)
    ]
    assert "dev CC valence" in lines[0]
    assert "siamese" in lines[0]
    files = {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    assert {
        "run.flags",
        "best.keras",
        "last.keras",
        "history.csv",
        "checkpoints/checkpoint",
        "evaluation/metrics.json",
        "evaluation/recordings.csv",
        "evaluation/predictions.csv",
        "evaluation/figures/P2.png",
        "evaluation/figures/cc_distribution.png",
    } <= files
    metrics = json.loads((workdir / "evaluation/metrics.json").read_text())
    assert set(metrics) == {"valence", "arousal"}
    assert set(metrics["valence"]) == {"cc", "ccc", "rmse", "recordings"}
    assert set(metrics["valence"]["cc"]) == {"mean", "min", "max", "concatenated"}
    assert set(metrics["valence"]["recordings"]) == {"P2"}
    with (workdir / "history.csv").open() as file:
        best = max(float(row["dev_cc_valence"]) / 2 + float(row["dev_cc_arousal"]) / 2
                   for row in csv.DictReader(file))
    found = np.mean([metrics[target]["cc"]["mean"] for target in metrics])
    assert found == pytest.approx(best, abs=1e-5), "the best model is the one evaluated"


def test_killed_in_an_epoch_it_resumes_and_ends_the_same(places, trained, tmp_path):
    flags = [*places, f"--workdir={tmp_path / 'run'}"]
    with subprocess.Popen(command("train", *flags), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run/last.keras").exists()
    done = call("train", *flags)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch" in done.stderr
    for name in ("last.keras", "best.keras"):
        found, expected = (
            keras.models.load_model(folder / name).get_weights()
            for folder in (tmp_path / "run", trained[0])
        )
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_run_flags_reproduce_the_run_and_evaluate_finds_them(trained, tmp_path):
    workdir, _ = trained
    before = (workdir / "evaluation/metrics.json").read_text()
    (workdir / "evaluation/metrics.json").unlink()
    done = call("evaluate", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert (workdir / "evaluation/metrics.json").read_text() == before
    assert "concatenated" in done.stdout
    done = call("evaluate", f"--workdir={workdir}", "--split=train", "--model=last")
    assert done.returncode == 0, done.stderr
    assert (workdir / "evaluation_train/figures/P1.png").exists()
    done = call("train", f"--flagfile={workdir}/run.flags", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "epoch" not in done.stdout, "a finished run is not trained again"


@pytest.mark.parametrize(
    ("verb", "flags", "expected"),
    [
        ("train", [], "no data set: give --dataset="),
        ("train", ["--dataset=recola", "--data_dir={new}", "--workdir={new}/w"], "--manual_dir"),
        ("train", ["--dataset=imagenet"], "should be one of <demo|recola>"),
        ("train", ["--dataset=demo", "--epochs=many"], "--epochs=many"),
        ("train", ["--dataset=demo", "--epochs=0"], "epochs must be >= 1, found 0"),
        ("train", ["--dataset=demo", "--targets=joy"], "targets ['joy'] are unknown"),
        ("evaluate", ["--workdir={new}"], "run.flags: no such file"),
        ("prepare", ["--dataset=demo", "--data_dir=/proc/nowhere"], "error: /proc/nowhere"),
    ],
)
def test_what_a_user_can_mend_is_said_without_a_traceback(verb, flags, expected, tmp_path):
    done = call(verb, *(flag.format(new=tmp_path / "new") for flag in flags))
    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_another_configuration_is_refused(places, trained):
    done = call("train", *places, "--seed=5", f"--workdir={trained[0]}")
    assert done.returncode != 0
    assert "there: --seed=0" in done.stderr
    assert "Traceback" not in done.stderr

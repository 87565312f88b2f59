"""Each data set is prepared, trained on for one epoch, and evaluated."""

import json
import shutil
from unittest import mock

import calls
import layouts
import numpy as np
import pytest

from ast_net import config
from ast_net.datasets import recola_layouts
from ast_net.records import store
from ast_net.reports import evaluation_figures
from ast_net.training import runs

SHORT = config.Clip(5, 2)
TRAINING = config.Training(epochs=1, clip_hop=4, batch_size=8)


@pytest.fixture(scope="module", autouse=True)
def short_cuts():
    """Skips what takes long and test_verbs.py covers: tracing the training step, and figures."""
    with calls.eagerly(), mock.patch.object(evaluation_figures, "write"):
        yield


@pytest.fixture(scope="module")
def images(drifting_face):
    return drifting_face([True] * 33)


@pytest.fixture(scope="module")
def face_avis(images, tmp_path_factory):
    """Four videos of 24 frames, in each of which the face starts at a different place."""
    folder = tmp_path_factory.mktemp("video")
    cuts = [images[start : start + 24] for start in (0, 3, 6, 9)]
    return [layouts.write_avi(folder / f"{k}.avi", cut, 49.979) for k, cut in enumerate(cuts)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A shared folder, so that the faces of each video are tracked only once."""
    return str(tmp_path_factory.mktemp("data"))


def run(dataset, folder, data_dir, tmp_path, **changes):
    """Trains and evaluates; returns the names of the evaluated recordings and train's segments."""
    settings = {"clip": SHORT, "training": TRAINING, "lstm": config.StackedLSTM((6, 5)), **changes}
    experiment = config.Experiment(
        dataset=dataset,
        data_dir=data_dir,
        workdir=str(tmp_path / "run"),
        manual_dir=str(folder),
        **settings,
    )
    runs.train_and_evaluate(experiment)
    evaluation = tmp_path / f"run/evaluation/{dataset}_dev"
    metrics = json.loads((evaluation / "metrics.json").read_text())
    records = store.prepare(experiment)
    return list(metrics["recordings"]), list(records.segments("train").as_numpy_iterator())


def test_avec2012_with_a_further_target(face_avis, data_dir, tmp_path):
    folder = layouts.avec2012(tmp_path / "avec2012", *face_avis)
    targets = ("arousal", "power")
    evaluated, segments = run("avec2012", folder, data_dir, tmp_path, targets=targets)
    assert evaluated == ["devel001"]
    assert segments[0]["recording"] == b"train001"
    assert segments[0]["mask"].all()
    # 49.979 frames and labels a second: the k-th frame has the k-th label.
    expected = np.stack([layouts.curve(24, seed) for seed in (0, 20)], axis=1)
    np.testing.assert_allclose(segments[0]["labels"], expected, atol=1e-3)
    rows = np.genfromtxt(
        tmp_path / "run/evaluation/avec2012_dev/predictions.csv", delimiter=",", names=True
    )
    np.testing.assert_allclose(rows["power_label"], layouts.curve(24, 2 + 20), atol=1e-3)


def test_a_challenge_s_test_videos_are_predicted_in_its_format(face_avis, data_dir, tmp_path):
    folder = tmp_path / "recola"
    layouts.recola_avec_2016(folder, *face_avis)
    shutil.copyfile(face_avis[2], folder / "recordings_video/test_1.mp4")
    partitions = {f"{split}_recordings": (f"{split}_1",) for split in config.SPLITS}
    evaluated, _ = run("recola", folder, data_dir, tmp_path, **partitions)
    assert evaluated == ["dev_1"]
    output = tmp_path / "run/evaluation/recola_test"
    assert not output.exists(), "train evaluates only rated recordings"
    flags = [f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}", "--split=test"]
    done = calls.call("evaluate", *flags)
    assert done.ended == 0 and "without ratings, predicted but not scored" in done.printed
    assert sorted(path.name for path in output.iterdir()) == ["avec", "predictions.csv"]
    rows = np.genfromtxt(output / "predictions.csv", delimiter=",", names=True)
    assert len(rows) == 24 and np.isnan(rows["valence_label"]).all()
    for target in config.TARGETS:
        ratings = recola_layouts.read_arff(output / f"avec/{target}/test_1.arff")
        # 24 frames last 0.4802 s. After the last frame, its prediction is kept.
        np.testing.assert_allclose(ratings.times, np.arange(13) * 0.04, atol=1e-9)
        predictions = rows[f"{target}_prediction"]
        expected = np.interp(ratings.times, rows["timestamp_s"], predictions)
        np.testing.assert_allclose(ratings.values[:, 0], expected, atol=3e-5)
        assert np.ptp(predictions) > 0
    assert (tmp_path / "run/evaluation/recola_dev/avec/arousal/dev_1.arff").is_file()


def test_semaine(face_avis, data_dir, tmp_path):
    folder = layouts.semaine(tmp_path / "semaine", *face_avis)
    evaluated, segments = run("semaine", folder, data_dir, tmp_path)
    assert evaluated == ["13"]
    assert [segment["recording"] for segment in segments] == [b"1", b"2"]
    assert np.isfinite(segments[0]["labels"]).all()


def test_afew_va_with_training_clips_longer_than_its_recordings(images, data_dir, tmp_path):
    folder = layouts.afew_va(tmp_path / "afew_va", images[:12], ("001", "002"), ("A", "A"))
    layouts.afew_va(folder, images[:18], ("003", "004"), ("B", "C"))
    # A clip lasts 0.6 s, a training recording 0.48 s.
    settings = {"clip": config.Clip(6, 3)}
    settings |= {"train_recordings": ("001", "002"), "dev_recordings": ("003", "004")}
    evaluated, segments = run("afew_va", folder, data_dir, tmp_path, **settings)
    assert evaluated == ["003", "004"]
    assert [segment["recording"] for segment in segments] == [b"001", b"002"]
    for segment in segments:
        np.testing.assert_allclose(segment["labels"][:, 0], (np.arange(12) - 10) / 10, atol=1e-6)
        np.testing.assert_allclose(segment["timestamps"], np.arange(12) / 25)

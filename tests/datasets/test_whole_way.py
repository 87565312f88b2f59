"""Each layout goes through prepare, one epoch of train, and evaluate."""

import json
from unittest import mock

import layouts
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.records import store
from ast_net.reports import evaluation_figures
from ast_net.training import runs

SHORT = config.Clip(5, 2)
TRAINING = config.Training(epochs=1, clip_hop=4, batch_size=8)


@pytest.fixture(scope="module", autouse=True)
def short_cuts():
    """A training step that is done twice takes less than its tracing; test_verbs.py has it, and figures."""
    tf.config.run_functions_eagerly(True)
    with mock.patch.object(evaluation_figures, "write"):
        yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def images(drifting_face):
    return drifting_face([True] * 24)


@pytest.fixture(scope="module")
def face_avi(images, tmp_path_factory):
    return layouts.write_avi(tmp_path_factory.mktemp("video") / "face.avi", images, 49.979)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """One for all, so that the video's face is searched once."""
    return str(tmp_path_factory.mktemp("data"))


def run(dataset, folder, data_dir, tmp_path, clip=SHORT, targets=config.TARGETS):
    """The recordings that were evaluated for each target, and the segments of train."""
    whole = config.Experiment(
        dataset=dataset,
        data_dir=data_dir,
        workdir=str(tmp_path / "run"),
        manual_dir=str(folder),
        targets=targets,
        clip=clip,
        training=TRAINING,
        lstm=config.StackedLSTM((6, 5)),
    )
    runs.train_and_evaluate(whole)
    evaluation = tmp_path / f"run/evaluation/{dataset}_dev"
    metrics = json.loads((evaluation / "metrics.json").read_text())
    evaluated = {target: list(table["recordings"]) for target, table in metrics.items()}
    records = store.prepare(whole)
    return evaluated, list(records.segments("train").as_numpy_iterator())


def test_avec2012_with_a_further_target(face_avi, data_dir, tmp_path):
    folder = layouts.avec2012(tmp_path / "avec2012", face_avi)
    targets = ("arousal", "power")
    evaluated, segments = run("avec2012", folder, data_dir, tmp_path, targets=targets)
    assert evaluated == {"arousal": ["devel001"], "power": ["devel001"]}
    assert segments[0]["recording"] == b"train001"
    assert segments[0]["mask"].all()
    # 49.979 frames and labels a second: the k-th frame has the k-th label.
    expected = np.stack([layouts.curve(24, place) for place in (0, 20)], axis=1)
    np.testing.assert_allclose(segments[0]["labels"], expected, atol=1e-3)
    rows = np.genfromtxt(
        tmp_path / "run/evaluation/avec2012_dev/predictions.csv", delimiter=",", names=True
    )
    np.testing.assert_allclose(rows["power_label"], layouts.curve(24, 2 + 20), atol=1e-3)


def test_semaine(face_avi, data_dir, tmp_path):
    folder = layouts.semaine(tmp_path / "semaine", face_avi)
    evaluated, segments = run("semaine", folder, data_dir, tmp_path)
    assert evaluated == {"valence": ["13"], "arousal": ["13"]}
    assert [segment["recording"] for segment in segments] == [b"1", b"2"]
    assert np.isfinite(segments[0]["labels"]).all()


def test_afew_va_with_clips_longer_than_its_recordings(images, data_dir, tmp_path):
    folder = layouts.afew_va(tmp_path / "afew_va", images[:12])
    evaluated, segments = run(  # clips longer than the recordings
        "afew_va", folder, data_dir, tmp_path, clip=config.Clip(10, 5)
    )
    assert evaluated == {"valence": ["003"], "arousal": ["003"]}
    assert [segment["recording"] for segment in segments] == [b"001", b"002"]
    for segment in segments:
        np.testing.assert_allclose(segment["labels"][:, 0], (np.arange(12) - 10) / 10, atol=1e-6)
        np.testing.assert_allclose(segment["timestamps"], np.arange(12) / 25)

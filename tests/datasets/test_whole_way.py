"""Each layout goes through prepare, one epoch of train, and evaluate."""

import dataclasses
import json

import layouts
import numpy as np
import pytest

from ast_net import config
from ast_net.datasets import preparation
from ast_net.training import experiment

SHORT = config.Training(clip=config.Clip(5, 2), epochs=1, clip_hop=2, batch_size=8)


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


def run(dataset, folder, data_dir, tmp_path, **settings):
    """Prepares, trains and evaluates on dev and on test; gives each one's metrics and the records."""
    settings = {"training": SHORT, "lstm": config.StackedLSTM((6, 5)), **settings}
    whole = config.Experiment(dataset, data_dir, str(tmp_path / "run"), str(folder), **settings)
    experiment.train_and_evaluate(whole, "")
    experiment.evaluate(whole, "test", "best.keras")
    metrics = [
        json.loads((tmp_path / "run" / name / "metrics.json").read_text())
        for name in ("evaluation", "evaluation_test")
    ]
    # What is prepared needs its source no longer.
    builder = experiment.prepare(dataclasses.replace(whole, manual_dir=None))
    return metrics, list(preparation.segments(builder, "train").as_numpy_iterator())


def test_avec2012_with_four_targets(face_avi, data_dir, tmp_path):
    folder = layouts.avec2012(tmp_path / "avec2012", face_avi)
    targets = config.ALL_TARGETS
    metrics, segments = run("avec2012", folder, data_dir, tmp_path, targets=targets)
    assert [tuple(table) for table in metrics] == [targets, targets]
    assert list(metrics[0]["power"]["recordings"]) == ["devel001"]
    first = segments[0]
    assert first["recording"] == b"train001"
    assert first["mask"].all()
    # 49.979 frames and labels a second: the k-th frame has the k-th label.
    places = {"arousal": 0, "expectancy": 10, "power": 20, "valence": 30}
    expected = np.stack([layouts.curve(24, places[target]) for target in targets], axis=1)
    np.testing.assert_allclose(first["labels"], expected, atol=1e-3)


def test_avec2012_with_one_further_target(face_avi, data_dir, tmp_path):
    folder = layouts.avec2012(tmp_path / "avec2012", face_avi)
    metrics, segments = run("avec2012", folder, data_dir, tmp_path, targets=("power",))
    assert list(metrics[0]) == ["power"]
    assert segments[0]["labels"].shape == (24, 3)
    predictions = np.genfromtxt(
        tmp_path / "run/evaluation/predictions.csv", delimiter=",", names=True
    )
    # The third of the record's columns, not the first.
    np.testing.assert_allclose(predictions["power_label"], layouts.curve(24, 2 + 20), atol=1e-3)


def test_semaine(face_avi, data_dir, tmp_path):
    folder = layouts.semaine(tmp_path / "semaine", face_avi)
    metrics, segments = run("semaine", folder, data_dir, tmp_path)
    assert list(metrics[0]["valence"]["recordings"]) == ["13"]
    assert list(metrics[1]["valence"]["recordings"]) == ["14"]
    assert [segment["recording"] for segment in segments] == [b"1", b"2"]
    assert np.isfinite(segments[0]["labels"]).all()


@pytest.mark.parametrize("clip", [config.Clip(5, 1), config.Clip(10, 5)])
def test_afew_va_with_clips_shorter_and_longer_than_its_recordings(
    clip, images, data_dir, tmp_path
):
    folder = layouts.afew_va(tmp_path / "afew_va", images[:12])
    training = dataclasses.replace(SHORT, clip=clip)
    metrics, segments = run("afew_va", folder, data_dir, tmp_path, training=training)
    assert list(metrics[0]["valence"]["recordings"]) == ["003"]
    assert list(metrics[1]["valence"]["recordings"]) == ["004"]
    assert {segment["recording"] for segment in segments} == {b"001", b"002"}
    seen = {}
    for segment in segments:
        for k, label in enumerate(segment["labels"][:, 0]):
            seen[segment["recording"], segment["first_frame"] + k] = label
    assert len(seen) == 24
    for (_, frame), label in seen.items():
        assert label == pytest.approx((frame - 10) / 10)

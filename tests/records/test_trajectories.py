"""FER2013's faces along trajectories: the trajectories, the faces drawn, and the records."""

import dataclasses

import numpy as np
import pytest
from scipy import spatial

from ast_net import config, errors
from ast_net.cnn import backbone
from ast_net.datasets import fer2013
from ast_net.records import expression_pictures, store, trajectories

TIMES = np.arange(3000) / 25


def test_neutral_is_the_origin_and_only_happy_and_surprise_are_pleasant():
    points = dict(zip(fer2013.EXPRESSIONS, trajectories.COORDINATES.tolist(), strict=True))
    assert points["neutral"] == [0, 0]
    assert {name for name, (valence, _) in points.items() if valence > 0} == {"happy", "surprise"}
    assert {name for name, (_, arousal) in points.items() if arousal < 0} == {"sad"}


def test_a_trajectory_is_smooth_and_stays_near_the_expressions(rng):
    trajectory = trajectories.draw_trajectory(rng, TIMES)
    assert trajectory.shape == (3000, 2)
    # The fastest move is across the whole circumplex in the shortest time; its highest speed is 1.5
    # times the mean.
    assert np.abs(np.diff(trajectory, axis=0)).max() < 1.5 * 1.45 / (0.5 * 25)
    hull = spatial.ConvexHull(trajectories.COORDINATES)
    outside = trajectory @ hull.equations[:, :2].T + hull.equations[:, 2]
    assert outside.max() < 0.15
    assert (np.ptp(trajectory, axis=0) > 0.5).all()


def test_near_expressions_are_drawn_more_often():
    points = np.array([[0.7, 0.4], [-0.6, -0.2]])
    probabilities = trajectories.expression_probabilities(points)
    for row, (valence, arousal) in zip(probabilities, points, strict=True):
        weights = [
            np.exp(-((valence - v) ** 2 + (arousal - a) ** 2) / (2 * 0.2**2))
            for v, a in (trajectories.CIRCUMPLEX[name] for name in fer2013.EXPRESSIONS)
        ]
        np.testing.assert_allclose(row, np.array(weights) / sum(weights), rtol=1e-9)
    names = [fer2013.EXPRESSIONS[number] for number in probabilities.argmax(axis=1)]
    assert names == ["happy", "sad"]


def test_faces_are_shown_for_a_while_and_follow_the_trajectory(rng):
    labels = rng.integers(0, 7, 500)
    trajectory = np.zeros((3000, 2))
    trajectory[1500:] = trajectories.CIRCUMPLEX["happy"]
    durations = []
    for seed in range(20):
        draw_rng = np.random.default_rng(seed)
        rows, frames = trajectories.draw_faces(draw_rng, TIMES, trajectory, labels)
        assert frames.sum() == 3000 and frames.min() > 0
        durations.append(3000 / len(rows))
        drawn = np.repeat(labels[rows], frames)
        neutral, happy = (fer2013.EXPRESSIONS.index(name) for name in ("neutral", "happy"))
        # A face from before the jump may still be shown for a while after it.
        assert np.mean(drawn[:1500] == neutral) > 0.6 and np.mean(drawn[1800:] == happy) > 0.6
    # Mean durations are between 0.2 and 1 second: 5 to 25 frames.
    assert 4 < min(durations) < 9 < 15 < max(durations) < 35


@pytest.fixture
def faces(monkeypatch, rng):
    """Replaces FER2013 by 70 random pictures in each split."""
    splits = {
        name: (rng.integers(0, 256, (70, 48, 48, 1), np.uint8), np.arange(70) % 7)
        for name in ("train", "public_test", "private_test")
    }
    monkeypatch.setattr(expression_pictures, "load", lambda dataset, data_dir, manual_dir: splits)
    return splits


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/fer2013.csv").write_text("emotion,pixels,Usage\n")
    return tmp_path / "source"


def settings(folder, **changes):
    return config.Preparation(
        dataset="fer2013_trajectories",
        data_dir=str(folder.parent / "data"),
        manual_dir=str(folder),
        train_recordings=("train1",),
        dev_recordings=("dev1",),
        clip=config.Clip(4, 2),
        **changes,
    )


def test_dev_records_have_the_features_of_public_test_s_faces(faces, folder):
    records = store.prepare(settings(folder))
    cnn = backbone.load("compact", None)
    expected = backbone.extract_pictures(cnn, faces["public_test"][0]).astype(np.float32)
    examples = list(records.segments("dev").as_numpy_iterator())
    first = examples[0]
    assert first["mask"].all() and np.abs(first["labels"]).max() <= 0.81
    distances = np.abs(first["features"][:, np.newaxis] - expected).max(axis=2)
    assert distances.min(axis=1).max() < 0.01
    assert max(example["first_frame"] + len(example["mask"]) for example in examples) == 3000


def test_a_recording_does_not_depend_on_the_others(faces, folder):
    alone = store.prepare(settings(folder))
    more = dataclasses.replace(settings(folder), train_recordings=("train2", "train1"))
    files = [
        {path.name: path.stat().st_ino for path in records.folder.glob("*-train.tfrecord*")}
        for records in (alone, store.prepare(more))
    ]
    assert set(files[0].values()) < set(files[1].values()), "train1 was not made again"


def test_pictures_without_the_official_splits_are_refused(folder):
    (folder / "fer2013.csv").unlink()
    for split in ("train", "test"):
        (folder / split).mkdir()
    with pytest.raises(errors.InputError, match="expected one of fer2013.csv"):
        store.prepare(settings(folder))


def test_another_runtime_is_refused_and_not_ignored(folder):
    bfloat16 = settings(folder, runtime=config.Runtime("tensorflow", "bfloat16"))
    with pytest.raises(
        errors.InputError,
        match="`precision=bfloat16` are not available for .* is not made of videos",
    ):
        store.prepare(bfloat16)


def test_beam_is_refused_and_not_ignored(folder):
    with pytest.raises(errors.InputError, match="is not made of videos"):
        store.prepare(settings(folder), "runner=Any")

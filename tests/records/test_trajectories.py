"""FER2013's faces along trajectories: courses, draws, and the records made of them."""

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
    places = dict(zip(fer2013.EXPRESSIONS, trajectories.COORDINATES.tolist(), strict=True))
    assert places["neutral"] == [0, 0]
    assert {name for name, (valence, _) in places.items() if valence > 0} == {"happy", "surprise"}
    assert {name for name, (_, arousal) in places.items() if arousal < 0} == {"sad"}


def test_a_trajectory_is_smooth_and_stays_where_faces_are(rng):
    course = trajectories.trajectory(rng, TIMES)
    assert course.shape == (3000, 2)
    # From one end of the circumplex to the other in the shortest move, at most 1.5 times its mean speed.
    assert np.abs(np.diff(course, axis=0)).max() < 1.5 * 1.45 / (0.5 * 25)
    hull = spatial.ConvexHull(trajectories.COORDINATES)
    outside = course @ hull.equations[:, :2].T + hull.equations[:, 2]
    assert outside.max() < 0.15
    assert (np.ptp(course, axis=0) > 0.5).all()


def test_the_nearer_an_expression_the_likelier_it_is_drawn():
    place = np.array([[0.7, 0.4], [-0.6, -0.2]])
    found = trajectories.expression_probabilities(place)
    for row, (valence, arousal) in zip(found, place, strict=True):
        weights = [
            np.exp(-((valence - v) ** 2 + (arousal - a) ** 2) / (2 * 0.2**2))
            for v, a in (trajectories.CIRCUMPLEX[name] for name in fer2013.EXPRESSIONS)
        ]
        np.testing.assert_allclose(row, np.array(weights) / sum(weights), rtol=1e-9)
    names = [fer2013.EXPRESSIONS[number] for number in found.argmax(axis=1)]
    assert names == ["happy", "sad"]


def test_faces_stay_for_a_while_and_follow_the_course(rng):
    labels = rng.integers(0, 7, 500)
    course = np.zeros((3000, 2))
    course[1500:] = trajectories.CIRCUMPLEX["happy"]
    stays = []
    for seed in range(20):
        rows, frames = trajectories.draw_faces(np.random.default_rng(seed), TIMES, course, labels)
        assert frames.sum() == 3000 and frames.min() > 0
        stays.append(3000 / len(rows))
        drawn = np.repeat(labels[rows], frames)
        neutral, happy = (fer2013.EXPRESSIONS.index(name) for name in ("neutral", "happy"))
        # A face from before the jump may stay for a while after it.
        assert np.mean(drawn[:1500] == neutral) > 0.6 and np.mean(drawn[1800:] == happy) > 0.6
    # From 0.2 to 1 second on average, so from 5 to 25 frames.
    assert 4 < min(stays) < 9 < 15 < max(stays) < 35


@pytest.fixture
def faces(monkeypatch, rng):
    """Takes FER2013's place: 70 pictures a split."""
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


def test_records_hold_the_features_of_public_test_s_faces_for_dev(faces, folder):
    records = store.prepare(settings(folder))
    cnn = backbone.load("compact", None)
    known = backbone.extract_pictures(cnn, faces["public_test"][0]).astype(np.float32)
    examples = list(records.segments("dev").as_numpy_iterator())
    first = examples[0]
    assert first["mask"].all() and np.abs(first["labels"]).max() <= 0.81
    distances = np.abs(first["features"][:, np.newaxis] - known).max(axis=2)
    assert distances.min(axis=1).max() < 0.01
    assert max(example["first_frame"] + len(example["mask"]) for example in examples) == 3000


def test_a_recording_is_the_same_whatever_the_others_are(faces, folder):
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
    with pytest.raises(errors.InputError, match="`precision=bfloat16`: .* is not made of videos"):
        store.prepare(bfloat16)


def test_beam_is_refused_and_not_ignored(folder):
    with pytest.raises(errors.InputError, match="is not made of videos"):
        store.prepare(settings(folder), "runner=Any")

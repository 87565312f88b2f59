"""FER2013's faces in synthetic recordings: which are drawn, how they change, and the records."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from ast_net import config, errors
from ast_net.cnn import backbone
from ast_net.datasets import ferplus
from ast_net.records import expression_pictures, store, trajectories

TIMES = np.arange(3000) / 25


@pytest.fixture
def places(rng):
    """Places of 400 faces: a tenth is neutral, and the others lie all over the square."""
    places = rng.uniform(-1, 1, (400, 2))
    places[:40] = 0
    return places


def test_rare_expressions_are_drawn_more_often(monkeypatch):
    # 80 of 100 faces are neutral, 15 happy, and 5 are both to the same degree.
    probabilities = np.repeat([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]], [80, 15, 5], axis=0)
    for balance in (0.0, 0.5, 1.0):
        monkeypatch.setattr(trajectories, "BALANCE", balance)
        chances = trajectories.rest_chances(probabilities)
        assert chances.sum() == pytest.approx(1)
        neutral, happy = 0.825**-balance, 0.175**-balance
        expected = np.repeat([neutral, happy, (neutral + happy) / 2], [80, 15, 5])
        np.testing.assert_allclose(chances, expected / expected.sum())


def test_all_frames_show_a_face_that_rests_or_lies_on_the_way(rng, places, monkeypatch):
    monkeypatch.setattr(trajectories, "REST", (2.0, 2.0))
    monkeypatch.setattr(trajectories, "MOVE", (1.0, 1.0))
    monkeypatch.setattr(trajectories, "NEAREST", 3)
    monkeypatch.setattr(trajectories, "JUMPS", 0.0)
    rows, frames = trajectories.draw_faces(rng, TIMES, places, np.full(400, 1 / 400))
    assert frames.sum() == 3000 and frames.min() > 0
    shown = np.repeat(rows, frames).reshape(40, 75)
    resting, moving = shown[:, :50], shown[:, 50:]
    assert (resting == resting[:, :1]).all()
    for begin, faces, end in zip(resting[:-1, 0], moving[:-1], resting[1:, 0], strict=True):
        line = np.linspace(places[begin], places[end], 200)
        distances = np.linalg.norm(places[faces][:, np.newaxis] - line, axis=2).min(axis=1)
        # Three of 400 faces in a square of area 4 lie within about 0.1 of any point.
        assert distances.max() < 0.25
        # They come nearer to the end of the way.
        left = np.linalg.norm(places[faces] - places[end], axis=1)
        assert left[-1] <= left[0] + 0.25


def test_faces_jump_as_often_as_they_should_and_rest_by_their_chances(rng, places, monkeypatch):
    monkeypatch.setattr(trajectories, "REST", (1.0, 1.0))
    monkeypatch.setattr(trajectories, "JUMPS", 1.0)
    chances = np.full(400, 0.1 / 360)
    chances[:40] = 0.9 / 40
    times = np.arange(25 * 2000) / 25
    rows, frames = trajectories.draw_faces(rng, times, places, chances)
    resting = np.repeat(rows, frames).reshape(2000, 25)
    assert (resting == resting[:, :1]).all()
    neutral = int((resting[:, 0] < 40).sum())
    assert stats.binomtest(neutral, 2000, 0.9).pvalue > 1e-4
    # A resting face is shown anew every STAY seconds on average: 1 + 1 / STAY times a second.
    pictures = len(rows) / 2000
    assert pictures == pytest.approx(1 + 1 / trajectories.STAY, rel=0.1)


@pytest.fixture
def faces(monkeypatch, rng):
    """Replaces FER+ by 80 random pictures in each split; all agree on the expressions of 72.

    Recordings have 24 s.
    """
    monkeypatch.setattr(trajectories, "SECONDS", 24)
    votes = np.repeat(10 * np.eye(10, dtype=np.uint8), 8, axis=0)[:72]
    votes = np.concatenate([votes, np.full((8, 10), 1, np.uint8)])
    splits = {
        name: (rng.integers(0, 256, (80, 48, 48, 1), np.uint8), votes)
        for name in ("train", "public_test", "private_test")
    }
    monkeypatch.setattr(expression_pictures, "load", lambda dataset, data_dir, manual_dir: splits)
    return splits


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/fer2013.csv").write_text("emotion,pixels,Usage\n")
    (tmp_path / "source/fer2013new.csv").write_text("Usage\n")
    return tmp_path / "source"


def settings(folder, **changes):
    return config.Preparation(
        dataset="ferplus_trajectories",
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
    for example in records.segments("dev").as_numpy_iterator():
        assert example["mask"].all()
        distances = np.abs(example["features"][:, np.newaxis] - expected).max(axis=2)
        assert distances.min(axis=1).max() < 0.01
        # Each frame has the place of its own face; pictures without an expression never occur.
        numbers = distances.argmin(axis=1)
        assert numbers.max() < 64
        names = [ferplus.EXPRESSIONS[number // 8] for number in numbers]
        gold = np.array([ferplus.CIRCUMPLEX[name] for name in names])
        np.testing.assert_allclose(example["labels"], gold, atol=1e-6)
        last = example["first_frame"] + len(numbers)
    assert last == 600


def test_missing_votes_are_reported_first(folder):
    (folder / "fer2013new.csv").unlink()
    with pytest.raises(errors.InputError, match="found no fer2013new.csv"):
        store.prepare(settings(folder))


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

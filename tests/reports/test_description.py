"""The description of a data set, compared with NumPy."""

import types

import numpy as np
import pytest

from ast_net.records import example_format
from ast_net.reports import description

TARGETS = ("valence", "arousal")


@pytest.fixture
def frames(rng):
    """Three recordings: one with a pause; 25 frames/s; without ratings."""
    made = {}
    for name, count, step in (("P1", 150, 0.1), ("P2", 30, 0.04), ("P3", 7, 0.04)):
        times = np.arange(count) * step
        labels = rng.normal(size=(count, 2))
        valid = rng.random(count) < 0.7
        made[name] = example_format.RecordingFrames(name, times, valid, labels)
    made["P1"].timestamps[100:] += 0.5
    made["P1"].labels[20:50, 0] = np.nan
    made["P1"].labels[40:60, 1] = np.nan
    made["P3"].labels[:] = np.nan
    return made


def records_of(frames, splits):
    def of_split(split):
        return iter([frames[name] for name in splits[split]])

    return types.SimpleNamespace(targets=TARGETS, splits=splits, frames=of_split)


@pytest.fixture
def records(frames):
    return records_of(frames, {"train": ("P1", "P3"), "dev": ("P2",)})


def test_each_recording_has_a_row(records, frames):
    rows = {row["recording"]: row for row in description.tabulate(records)[0]}
    assert [row["split"] for row in rows.values()] == ["train", "train", "dev"]
    first, labels = rows["P1"], frames["P1"].labels.astype(np.float32)
    assert first["frames"] == 150
    assert first["seconds"] == pytest.approx(15.5)
    assert first["frame_rate"] == pytest.approx(10)
    assert first["irregular"] == pytest.approx(1 / 149)
    assert first["longest_step"] == pytest.approx(0.6)
    assert first["faces"] == pytest.approx(frames["P1"].valid.mean())
    assert first["rated"] == pytest.approx(110 / 150)
    assert first["valence_frames"] == 120
    assert first["valence_min"] == np.nanmin(labels[:, 0])
    assert first["arousal_mean"] == pytest.approx(np.nanmean(labels[:, 1].astype(float)))
    assert first["arousal_sd"] == pytest.approx(np.nanstd(labels[:, 1].astype(float)))
    assert rows["P2"]["frame_rate"] == pytest.approx(25)
    assert rows["P2"]["irregular"] == 0
    assert rows["P3"]["rated"] == 0
    assert np.isnan(rows["P3"]["valence_mean"])


def test_a_partition_is_described_over_all_its_frames(records, frames):
    _, (train, dev) = description.tabulate(records)
    assert (train["split"], dev["split"]) == ("train", "dev")
    assert (train["recordings"], train["frames"]) == (2, 157)
    assert train["seconds"] == pytest.approx(15.5 + 0.28)
    valid = np.concatenate([frames["P1"].valid, frames["P3"].valid])
    assert train["faces"] == pytest.approx(valid.mean())
    assert train["rated"] == pytest.approx(110 / 157)
    assert train["valence_frames"] == 120
    both = np.concatenate([frames["P1"].labels[:, 1], frames["P2"].labels[:, 1]])
    _, (combined,) = description.tabulate(records_of(frames, {"all": ("P1", "P2", "P3")}))
    assert combined["arousal_mean"] == pytest.approx(np.nanmean(both), abs=1e-6)
    assert combined["arousal_sd"] == pytest.approx(np.nanstd(both), abs=1e-6)
    assert combined["arousal_max"] == pytest.approx(np.nanmax(both), abs=1e-6)


def test_a_partition_without_ratings(records, frames):
    frames["P2"].labels[:] = np.nan
    _, (_, dev) = description.tabulate(records)
    assert dev["valence_frames"] == 0
    assert np.isnan(dev["valence_sd"])

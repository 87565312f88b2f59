"""Which parts of a data set a run uses."""

import shutil
import types

import numpy as np
import pytest

from ast_net import config, errors, shipped
from ast_net.records import record_files, store
from ast_net.temporal import temporal_model
from ast_net.training import runs

TRAIN = ("P1", "P2", "P3", "P4")


def settings(folder, **changes):
    return config.Experiment(
        dataset="recola",
        data_dir=str(folder.parent / f"data_of_{folder.name}"),
        workdir=str(folder.parent / "run"),
        manual_dir=str(folder),
        train_recordings=TRAIN,
        dev_recordings=("P5", "P6", "P7"),
        clip=config.Clip(5, 2),
        **changes,
    )


def test_dev_does_not_change_the_reaction_delay(planted_recola):
    lags = dict.fromkeys(TRAIN, 0.8)
    curves = []
    for name, dev in (("a", 0.8), ("b", 3.6)):
        run = settings(planted_recola(name, lags | dict.fromkeys(("P5", "P6", "P7"), dev)))
        curves.append(runs.find_reaction_delay(store.prepare(run)))
    assert curves[0].seconds == pytest.approx([0.8, 0.8])
    np.testing.assert_array_equal(curves[0].cc, curves[1].cc)


def test_the_reaction_delay_is_found_on_train_only(planted_recola, monkeypatch):
    run = settings(planted_recola("a", {f"P{number}": 0.8 for number in range(1, 8)}))
    records = store.prepare(run)
    requested = []
    read = record_files.Records.segments

    def spy(self, split):
        requested.append(split)
        return read(self, split)

    monkeypatch.setattr(record_files.Records, "segments", spy)
    runs.find_reaction_delay(records)
    assert set(requested) == {"train"}


def test_gaps_between_ratings_are_bridged_up_to_max_rating_gap(planted_recola):
    folder = planted_recola("a", {f"P{number}": 0.0 for number in range(1, 8)}, gap=(4.0, 6.0))
    unrated, names = {}, set()
    for gap in (1.0, 2.5):
        records = store.prepare(settings(folder, max_rating_gap=gap))
        names.add(records.folder)
        examples = list(records.segments("dev").as_numpy_iterator())
        times = np.concatenate([example["timestamps"] for example in examples])
        labels = np.concatenate([example["labels"] for example in examples])
        unrated[gap] = np.unique(times[np.isnan(labels).any(axis=1)])
    np.testing.assert_allclose(unrated[1.0], np.arange(41, 60) / 10)
    assert len(unrated[2.5]) == 0
    assert len(names) == 2, "records made with different settings are kept apart"


def test_a_model_belongs_to_the_records_that_it_was_begun_with(tmp_path):
    begun = temporal_model.load_spec(shipped.STACKED_LSTM_SPEC)
    same, other = (types.SimpleNamespace(digest=digest) for digest in (begun.records, "0ff"))
    assert runs.stored_spec(tmp_path, other) is None
    shutil.copy(shipped.STACKED_LSTM_SPEC, tmp_path / "model.json")
    assert runs.stored_spec(tmp_path, same) == begun
    with pytest.raises(errors.InputError, match=f"{begun.records} then, 0ff now"):
        runs.stored_spec(tmp_path, other)

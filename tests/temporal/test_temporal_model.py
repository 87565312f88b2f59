"""Loads the temporal models of runs, and damaged ones."""

import json

import numpy as np
import pytest

from ast_net import errors
from ast_net.temporal import stacked_lstm, temporal_model


@pytest.fixture
def folder(tmp_path):
    """The folder of a run whose best and last models differ."""
    for name in ("best", "last"):
        model = stacked_lstm.build_stacked_lstm(6, (5, 4), 2)
        stacked_lstm.save(model, tmp_path / f"{name}.weights.h5")
    spec = temporal_model.ModelSpec(
        ("valence", "arousal"), 6, (5, 4), "compact", "eaa19786", None, 7, 0.4, 25.0, (0.0, 0.0)
    )
    temporal_model.save_spec(tmp_path / "model.json", spec)
    return tmp_path


def change(folder, **values):
    """Changes values in model.json."""
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_best_and_last_model_are_loaded_with_their_specification(folder):
    best, last = (temporal_model.load(folder, name) for name in ("best", "last"))
    assert best.spec == last.spec and best.spec.units == (5, 4)
    model = stacked_lstm.build_stacked_lstm(6, (5, 4), 2)
    model.load_weights(folder / "last.weights.h5")
    features = np.ones((1, 3, 6), np.float32)
    np.testing.assert_array_equal(last.network(features), model(features))
    assert np.abs(best.network(features) - last.network(features)).max() > 1e-4


def test_packaged_model_takes_the_features_of_compact():
    model = temporal_model.load()
    assert model.network.input_shape == (None, None, 512)
    assert model.spec.backbone == "compact" and model.spec.units == (50, 40)


def test_missing_files_are_named(folder):
    with pytest.raises(errors.InputError, match=r"nowhere/last.weights.h5: no such model; train"):
        temporal_model.load(folder / "nowhere", "last")
    (folder / "model.json").unlink()
    with pytest.raises(errors.InputError, match="model.json: no such file"):
        temporal_model.load(folder)


@pytest.mark.parametrize("cut", [0, 100, 3000])
def test_damaged_weights_are_named(folder, cut):
    path = folder / "best.weights.h5"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        errors.InputError,
        match=r"best.weights.h5: cannot be read as the weights of .*; expected LSTMs",
    ):
        temporal_model.load(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"units": [5, 3]},
        {"units": [5]},
        {"units": [5, 4, 4]},
        {"feature_size": 7},
        {"targets": ["arousal"], "reaction_delay": [0.0]},
    ],
)
def test_files_of_different_runs_are_refused(folder, values):
    change(folder, **values)
    with pytest.raises(errors.InputError, match=r"best.weights.h5: .*belongs to another run"):
        temporal_model.load(folder)


def test_weights_with_an_extra_layer_are_refused(folder):
    """Without the second layer, the file would fit a model of one layer."""
    model = stacked_lstm.build_stacked_lstm(6, (5, 5), 2)
    stacked_lstm.save(model, folder / "best.weights.h5")
    change(folder, units=[5])
    with pytest.raises(errors.InputError, match="found 8 arrays, expected 5"):
        temporal_model.load(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"frame_rate": 0},
        {"time_step": "x"},
        {"time_step": 1e9},
        {"time_step": 1e-9},
        {"frame_rate": 1e-6},
        {"frame_rate": float("nan")},
        {"feature_size": 10**9},
        {"clip_frames": 10**9},
        {"units": [10**6]},
        {"units": [1] * 100},
        {"targets": ["../../x", "=1+1"]},
        {"targets": ["valence", "valence"]},
        {"targets": ["arousal", "valence"]},
        {"targets": [], "reaction_delay": []},
        {"backbone": "../../x"},
        {"backbone_digest": 3},
        {"backbone_weights": ["a"]},
        {"feature_size": 6.5},
        {"units": [5.0, 4.0]},
        {"reaction_delay": [0, 0, 0]},
        {"units": 3},
        {"feature_size": -1},
        {"feature_size": True},
        {"units": [5.0, 4.0]},
        {"units": ["5", "4"]},
        {"targets": "va"},
        {"targets": [1, 2]},
        {"backbone": 3},
        {"frame_rate": None},
        {"clip_frames": 7.5},
        {"colour": "red"},
    ],
)
def test_damaged_specifications_are_named(folder, values):
    change(folder, **values)
    with pytest.raises(
        errors.InputError, match="model.json: cannot be read as the specification of a model"
    ):
        temporal_model.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "{}"])
def test_other_files_than_specifications_are_named(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(
        errors.InputError, match="model.json: cannot be read as the specification of a model"
    ):
        temporal_model.load(folder)

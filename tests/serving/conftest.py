"""A small run and its export, created once for all tests."""

import pathlib
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.cnn import backbone
from ast_net.serving import exporting, served_model
from ast_net.temporal import stacked_lstm, temporal_model

# Reaction delays of valence and arousal, in seconds.
_DELAYS = (2.0, 1.5)


def _make_run(
    folder: pathlib.Path, targets: tuple[str, ...] = ("valence", "arousal"), policy: str = "float32"
) -> pathlib.Path:
    # The temporal model is random and small.
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(5)
    draw = np.random.default_rng(5)
    moments = draw.uniform(0.2, 0.6, 512), draw.uniform(0.1, 0.9, 512)
    model = stacked_lstm.build_stacked_lstm(512, (6, 5), len(targets), policy, moments)
    stacked_lstm.save(model, folder / "best.weights.h5")
    cnn = ("compact", backbone.weights_id("compact", None), None)
    spec = temporal_model.ModelSpec(
        targets, 512, (6, 5), *cnn, 7, 0.4, 25.0, _DELAYS[: len(targets)], "0123abcd"
    )
    temporal_model.save_spec(folder / "model.json", spec)
    (folder / "run.flags").write_text("--dataset=demo\n")
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., pathlib.Path]:
    """Creates a workdir with the files that export reads: make_run(folder, targets=, policy=)."""
    return _make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> pathlib.Path:
    return _make_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def small_model(run) -> served_model.ServedModel:
    return served_model.load(config.Export(workdir=str(run)))


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> pathlib.Path:
    """Returns the folder of an exported version of the run; tests must not change it."""
    folder = tmp_path_factory.mktemp("models") / "ast_net/1"
    exporting.export(config.Export(export_dir=str(folder), workdir=str(run)))
    return folder


@pytest.fixture(scope="session")
def served(exported):
    """Returns the exported functions by name."""
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="session")
def features() -> np.ndarray:
    """Returns features [2, 7, 512]; the third frame of the first row has no face."""
    result = np.random.default_rng(1).random((2, 7, 512), np.float32)
    result[0, 2] = 0
    return result


@pytest.fixture(scope="session")
def faces(portrait) -> np.ndarray:
    """Returns faces [2, 3, 224, 224, 3]; the second picture of the first row is black."""
    shifts = [[0, 10, 20], [30, 40, 50]]
    result = np.stack([[portrait[s : s + 224, s : s + 224] for s in row] for row in shifts])
    result[0, 1] = 0
    return result


@pytest.fixture(scope="session")
def jpegs(faces) -> np.ndarray:
    """Returns the same faces as JPEG files, [2, 3] strings."""
    flat = [tf.io.encode_jpeg(face, quality=95).numpy() for face in faces.reshape(6, 224, 224, 3)]
    result = np.array(flat, object).reshape(2, 3)
    result[0, 1] = b""
    return result

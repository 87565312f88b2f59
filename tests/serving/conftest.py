"""A small run and what is exported of it, made once."""

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

# Seconds, of valence and arousal.
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
    """Makes a workdir with what export reads: make_run(folder, targets=..., policy=...)."""
    return _make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> pathlib.Path:
    return _make_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def small_model(run) -> served_model.ServedModel:
    return served_model.load(config.Export(workdir=str(run)))


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> pathlib.Path:
    """A version of the run; not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "ast_net/1"
    exporting.export(config.Export(export_dir=str(folder), workdir=str(run)))
    return folder


@pytest.fixture(scope="session")
def served(exported):
    """Its functions, by name."""
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="session")
def features() -> np.ndarray:
    """[2, 7, 512]; the third frame of the first row has no face."""
    made = np.random.default_rng(1).random((2, 7, 512), np.float32)
    made[0, 2] = 0
    return made


@pytest.fixture(scope="session")
def faces(portrait) -> np.ndarray:
    """[2, 3, 224, 224, 3]; the second picture of the first row shows nothing."""
    shifts = [[0, 10, 20], [30, 40, 50]]
    made = np.stack([[portrait[s : s + 224, s : s + 224] for s in row] for row in shifts])
    made[0, 1] = 0
    return made


@pytest.fixture(scope="session")
def jpegs(faces) -> np.ndarray:
    """The same faces encoded, [2, 3] strings."""
    flat = [tf.io.encode_jpeg(face, quality=95).numpy() for face in faces.reshape(6, 224, 224, 3)]
    made = np.array(flat, object).reshape(2, 3)
    made[0, 1] = b""
    return made

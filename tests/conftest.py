"""Fixtures that several test folders share."""

import os

# Before NumPy is loaded: the tests' processes share the cores, and NumPy's threads would wait for
# each other most of the time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dataclasses
import functools
import gc
import json
import pathlib
import signal
from collections.abc import Callable, Sequence
from unittest import mock

import cv2
import keras
import numpy as np
import pytest
from absl import logging
from calls import eagerly

from ast_net import config, files
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.datasets import recola_layouts
from ast_net.demo import synthesis, synthetic_face
from ast_net.faces import alignment, detection, face_track, video_writer
from ast_net.prediction import prediction_model
from ast_net.reports import evaluation_figures
from ast_net.temporal import temporal_model
from ast_net.training import runs

# The real ones, whatever tests put in their places.
_FaceDetector, _load = detection.FaceDetector, runtime.load
_PORTRAIT = pathlib.Path(__file__).parents[1] / "ast_net/demo/portrait.jpg"


def pytest_configure():
    """Heeds what a script's background jobs or nohup ignore, in the tests' programs as well."""
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP.
        if number and signal.getsignal(number) is signal.SIG_IGN:
            handler = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, handler)


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that no process waits for another's last one."""
    longest = [
        *("test_verbs.py", "test_expressions.py", "test_fit.py", "test_recola.py"),
        *("test_reproduction.py", "test_clips.py", "test_client.py", "test_trajectories.py"),
        *("test_streaming.py", "test_runtime.py", "test_whole_way.py", "test_making.py"),
    ]
    place = {name: number for number, name in enumerate(longest)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    # What was imported stays: to look through it again and again takes a twentieth of the time.
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run and for every test."""
    return np.random.default_rng(20170904)


@pytest.fixture(autouse=True)
def warnings_logged():
    """Lets warnings be logged, whatever an earlier test's program has left."""
    logging.set_verbosity(logging.WARNING)


@pytest.fixture(scope="session")
def recola_folder(tmp_path_factory):
    """Two generated recordings, P1 and P2, of 4 seconds in RECOLA's layout; not to be changed."""
    folder = tmp_path_factory.mktemp("recola") / "source"
    settings = synthesis.DemoSettings(seconds=4.0)
    synthesis.generate(folder, ["P1", "P2"], recola_layouts.RELEASE, settings)
    return folder


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photograph, uint8 RGB [288, 288, 3]; the pupils are at (123, 101) and (166.5, 103.3)."""
    return cv2.cvtColor(cv2.imread(str(_PORTRAIT)), cv2.COLOR_BGR2RGB)


@functools.cache
def _detector(policy: str) -> detection.FaceDetector:
    return _FaceDetector()


@functools.cache
def _extractor(content: str, weights: str | None, settings: config.Runtime) -> runtime.Extractor:
    """A `compact` whose weights have this content."""
    return _load("compact", weights, settings, "unused")


def _detector_once(cache_dir=None):
    return _detector(keras.config.dtype_policy().name)


def _load_once(name, weights, settings, cache_dir):
    settings = runtime.resolve(settings)
    if name != "compact" or settings.name != "tensorflow":
        return _load(name, weights, settings, cache_dir)
    return _extractor(backbone.weights_id(name, weights), weights, settings)


@pytest.fixture(scope="session")
def detector() -> detection.FaceDetector:
    """A detector whose networks are traced once for all tests."""
    return _detector_once()


@pytest.fixture(scope="session", autouse=True)
def networks_read_once():
    """Traces the detector once, and the CNN once for the same arguments: it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "FaceDetector", _detector_once)
        patch.setattr(runtime, "load", _load_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def disk_not_awaited():
    """Lets files be finished before they are on the disk, which takes ten milliseconds each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync", lambda path: None)
        yield


@pytest.fixture(scope="session")
def drifting_face(portrait) -> Callable[[Sequence[bool]], list[np.ndarray]]:
    """Makes pictures of 240x320, one for each entry; the portrait, if shown, drifts by (2, 1)."""

    def images(shown: Sequence[bool]) -> list[np.ndarray]:
        made = []
        for k, with_face in enumerate(shown):
            image = np.full((240, 320, 3), 90, np.uint8)
            if with_face:
                place = np.array([[0.8, 0.0, 20.0 + 2 * k], [0.0, 0.8, -10.0 + k]])
                border = cv2.BORDER_TRANSPARENT
                cv2.warpAffine(portrait, place, (320, 240), dst=image, borderMode=border)
            made.append(image)
        return made

    return images


@pytest.fixture(scope="session")
def face_video(tmp_path_factory, drifting_face) -> pathlib.Path:
    """A video of 20 frames, 320x240, 25 frames a second, in which the portrait drifts."""
    path = tmp_path_factory.mktemp("videos") / "face.mp4"
    video_writer.write_video(path, drifting_face([True] * 20), 25)
    return path


@pytest.fixture(scope="session")
def other_face_video(tmp_path_factory, drifting_face) -> pathlib.Path:
    """The same, but the portrait drifts from elsewhere: for another partition."""
    path = tmp_path_factory.mktemp("videos") / "other_face.mp4"
    video_writer.write_video(path, drifting_face([True] * 25)[5:], 25)
    return path


@pytest.fixture(scope="session")
def whole_way(tmp_path_factory) -> Callable[[str, pathlib.Path, dict[str, tuple[str, ...]]], None]:
    """Prepares a folder, trains for one epoch, and evaluates; each video is tracked once."""
    data_dir = tmp_path_factory.mktemp("whole_way")

    def run(dataset: str, folder: pathlib.Path, partitions: dict[str, tuple[str, ...]]) -> None:
        workdir = folder.parent / "run"
        settings = config.Experiment(
            dataset=dataset,
            data_dir=str(data_dir),
            workdir=str(workdir),
            manual_dir=str(folder),
            **{f"{split}_recordings": names for split, names in partitions.items()},
            clip=config.Clip(5, 2),
            lstm=config.StackedLSTM((4, 3)),
            training=config.Training(clip_hop=2, batch_size=8, epochs=1),
        )
        # tests/test_verbs.py has the figures, and the training as a graph.
        with eagerly(), mock.patch.object(evaluation_figures, "write"):
            assert runs.train_and_evaluate(settings) == workdir
        metrics = json.loads((workdir / f"evaluation/{dataset}_dev/metrics.json").read_text())
        for target in config.TARGETS:
            assert 0 < metrics["protocols"]["rated"][target]["rmse"]["mean"] < 2

    return run


@pytest.fixture
def planted_recola(tmp_path, monkeypatch) -> Callable[..., pathlib.Path]:
    """Makes folders in RECOLA's layout, the way from picture to feature being short.

    Videos are stubs of 16 s at 10 frames/s. Features are noisy mixtures of two curves that depend
    on the recording's name alone. Ratings are these curves, `delays[recording]` seconds later, the
    same for valence and arousal. Ratings between `gap` = (from, until) seconds are left out.
    """
    times = np.arange(160) / 10.0
    every = np.arange(-50, 161) / 10.0

    def curves(name: str) -> np.ndarray:
        rng = np.random.default_rng([*name.encode()])
        return np.stack(
            [synthetic_face.smooth_noise(rng, every, (4.0, 12.0)) for _ in "va"], axis=1
        )

    def cached_track(*_, **__):
        zeros = np.zeros(len(times), np.float32)
        valid = np.ones(len(times), bool)
        return face_track.Track(times, valid, zeros, np.zeros((160, 4)), np.zeros((160, 5, 2)))

    def aligned_faces(source, *_):
        for value in curves(source.path.stem)[50:-1]:
            yield alignment.AlignedFace(value, True)

    def extract(_, faces):
        rng = np.random.default_rng(0)
        mixing = rng.normal(size=(2, backbone.FEATURE_SIZE["compact"]))
        for value, _ in faces:
            noise = rng.normal(size=mixing.shape[1])
            yield (value @ mixing + noise).astype(np.float16)

    monkeypatch.setattr(face_track, "cached_track", cached_track)
    monkeypatch.setattr(alignment, "aligned_faces", aligned_faces)
    monkeypatch.setattr(runtime, "extract", extract)
    monkeypatch.setattr(runtime, "load", lambda *_: None)
    monkeypatch.setattr(detection, "FaceDetector", lambda *_: None)

    def make(
        name: str, delays: dict[str, float], gap: tuple[float, float] = (0, 0)
    ) -> pathlib.Path:
        folder = tmp_path / name
        for recording, delay in delays.items():
            stub = folder / recola_layouts.RELEASE.videos[0] / f"{recording}.mp4"
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.write_text("no pictures")
            for column, target in enumerate(("valence", "arousal")):
                rated = np.interp(times - delay, every, 0.3 * curves(recording)[:, column])
                path = folder / recola_layouts.RELEASE.ratings / target / f"{recording}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = [f"{t:.1f};{v:.5f}" for t, v in zip(times, rated) if not gap[0] < t < gap[1]]
                path.write_text("\n".join(["time;FM1", *rows]) + "\n")
        return folder

    return make


@pytest.fixture(scope="session")
def shipped_model(detector) -> prediction_model.PredictionModel:
    """The package's own networks, without the expressions' head."""
    extractor = _load_once("compact", None, config.FLOAT32, "unused")
    return prediction_model.PredictionModel(detector, extractor, None, temporal_model.load())


@pytest.fixture(scope="session")
def shipped_model_with_head(shipped_model) -> prediction_model.PredictionModel:
    """The same with it."""
    return dataclasses.replace(shipped_model, head=expression_head.load())

"""Fixtures that several test folders share."""

import json
import pathlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from ast_net import config
from ast_net.datasets import synthesis
from ast_net.faces import detection, video
from ast_net.training import experiment

_PORTRAIT = pathlib.Path(__file__).parents[1] / "ast_net/datasets/portrait.jpg"


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run and for every test."""
    return np.random.default_rng(20170904)


@pytest.fixture(scope="session")
def recola_folder(tmp_path_factory):
    """Two generated recordings, P1 and P2, of 6 seconds in RECOLA's layout; not to be changed."""
    folder = tmp_path_factory.mktemp("recola") / "source"
    synthesis.generate(folder, ["P1", "P2"], synthesis.Settings(seconds=6.0))
    return folder


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photograph, uint8 RGB [288, 288, 3]; the pupils are at (123, 101) and (166.5, 103.3)."""
    return cv2.cvtColor(cv2.imread(str(_PORTRAIT)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="session")
def detector() -> detection.FaceDetector:
    """A detector whose networks are traced once for all tests."""
    return detection.FaceDetector()


@pytest.fixture(scope="session")
def drifting_face(portrait) -> Callable[[Sequence[bool]], list[np.ndarray]]:
    """Makes one picture of 240x320 for each entry; the portrait, where shown, drifts by (2, 1) a frame."""

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
    video.write_video(path, drifting_face([True] * 20), 25)
    return path


@pytest.fixture(scope="session")
def whole_way(tmp_path_factory) -> Callable[[str, pathlib.Path, dict[str, tuple[str, ...]]], None]:
    """Prepares what lies in a folder, trains for one epoch, and evaluates; `face_video` is tracked once."""
    data_dir = tmp_path_factory.mktemp("whole_way")

    def run(dataset: str, folder: pathlib.Path, partitions: dict[str, tuple[str, ...]]) -> None:
        workdir = folder.parent / "run"
        settings = config.Experiment(
            dataset=dataset,
            data_dir=str(data_dir),
            workdir=str(workdir),
            manual_dir=str(folder),
            partitions=partitions,
            lstm=config.StackedLSTM((4, 3)),
            training=config.Training(clip=config.Clip(5, 2), clip_hop=2, batch_size=8, epochs=1),
        )
        experiment.train_and_evaluate(settings, "--epochs=1\n")
        metrics = json.loads((workdir / "evaluation/metrics.json").read_text())
        for target in config.TARGETS:
            assert 0 < metrics[target]["rmse"]["mean"] < 2

    return run

"""Interrupted, killed and failed preparations: what is kept, what is done again, what is said."""

import contextlib
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

import ast_net.records
from ast_net import config, errors
from ast_net.cnn import backbone, compact
from ast_net.datasets import recola_layouts
from ast_net.faces import alignment, face_track, video, video_writer
from ast_net.records import example_format, making, shards, store

NAMES = ("P1", "P2", "P3", "P4")
PARTITIONS = {"train": ("P1", "P2", "P3"), "dev": ("P4",)}
FRAMES = 100  # two segments at these settings


@contextlib.contextmanager
def cheap_networks(fail=lambda name, frame: None):
    """Neither MTCNN nor CNN: a face everywhere, and the mean colour of the aligned face as features.

    Yields the recordings that were begun, in turn. `fail` is called before each frame.
    """
    begun: list[str] = []

    def follow(film, *_):
        begun.append(pathlib.Path(film.path).stem)
        times = np.array([frame.timestamp for frame in film.frames()])
        eyes = np.array([[20, 20], [44, 20], [32, 30], [24, 38], [40, 38]], np.float32)
        count = len(times)
        return face_track.Track(
            times,
            np.ones(count, bool),
            np.ones(count, np.float32),
            np.zeros((count, 4), np.float32),
            np.tile(eyes, (count, 1, 1)),
        )

    def extract(_, faces):
        for k, (image, _) in enumerate(faces):
            fail(begun[-1], k)
            yield np.full(512, image.mean() / 8 + k, np.float16)

    with (
        mock.patch.object(making.face_track, "cached_track", follow),
        mock.patch.object(making.runtime, "extract", extract),
        mock.patch.object(making.runtime, "load"),
        mock.patch.object(making.detection, "FaceDetector"),
    ):
        yield begun


def settings(folder, data_dir, **partitions):
    named = {f"{split}_recordings": names for split, names in (PARTITIONS | partitions).items()}
    return config.Preparation(
        dataset="recola",
        data_dir=str(data_dir),
        manual_dir=str(folder),
        clip=config.Clip(4, 2),
        **named,
    )


def prepare(folder, data_dir, **partitions):
    return store.prepare(settings(folder, data_dir, **partitions))


def made(records) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in records.folder.glob("*.tf*")}


def finished(data_dir):
    """The names of the recordings whose own files are whole."""
    return sorted(
        path.name.split("-")[0] for path in (data_dir / "segments").rglob("[!.]*.tfrecord")
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Four recordings of four seconds, in RECOLA's layout; not to be changed."""
    folder, rng = tmp_path_factory.mktemp("four"), np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        images = [np.full((48, 64, 3), 20 + 40 * number + k // 4, np.uint8) for k in range(FRAMES)]
        (folder / recola_layouts.OWN.videos[0]).mkdir(exist_ok=True)
        video_writer.write_video(folder / recola_layouts.OWN.videos[0] / f"{name}.mp4", images, 25)
        for target in config.TARGETS:
            rows = rng.uniform(-0.5, 0.5, (FRAMES + 1, 1)) + rng.normal(0, 0.1, (FRAMES + 1, 6))
            path = folder / recola_layouts.OWN.ratings / target / f"{name}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ["time;FM1;FM2;FM3;FF1;FF2;FF3"]
            lines += [
                f"{k / 25:.2f};" + ";".join(f"{v:.3f}" for v in r) for k, r in enumerate(rows)
            ]
            path.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(source, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(source, tmp_path / "recola")


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """What a preparation leaves that nothing disturbs."""
    with cheap_networks():
        return made(prepare(source, tmp_path_factory.mktemp("whole")))


def die_in_the_third(folder, data_dir):
    """To be called in a process of its own."""

    def fail(name, frame):
        if name == "P3" and frame == FRAMES - 5:
            assert "apache_beam" not in sys.modules, "imported though nobody asked for it"
            os.kill(os.getpid(), signal.SIGKILL)

    with cheap_networks(fail):
        prepare(folder, data_dir)


def test_a_killed_preparation_continues_where_it_stopped(source, whole, tmp_path):
    here = pathlib.Path(__file__)
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import {here.stem} as t; t.die_in_the_third({str(source)!r}, {str(tmp_path)!r})",
        ],
        env={**os.environ, "PYTHONPATH": f"{here.parents[2]}:{here.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert finished(tmp_path) == ["P1", "P2"]
    assert not list((tmp_path / "recola").rglob("dataset_info.json"))
    with cheap_networks() as begun:
        records = prepare(source, tmp_path)
    assert begun == ["P3", "P4"]
    assert made(records) == whole


def test_a_failure_that_does_not_come_again_is_overcome(source, whole, tmp_path):
    failures = [OSError(errno.EIO, "Input/output error")]

    def fail(name, frame):
        if name == "P2" and frame == 50 and failures:
            raise failures.pop()

    with cheap_networks(fail) as begun:
        records = prepare(source, tmp_path)
    assert begun == ["P1", "P2", "P2", "P3", "P4"]
    assert made(records) == whole


def test_failed_recordings_are_reported_at_the_end_and_the_others_kept(folder, whole, tmp_path):
    good = (folder / recola_layouts.OWN.videos[0] / "P1.mp4").read_bytes()
    (folder / recola_layouts.OWN.videos[0] / "P1.mp4").write_bytes(b"no video")

    def fail(name, frame):
        if name == "P3":
            raise MemoryError("no room")

    with cheap_networks(fail) as begun, pytest.raises(errors.InputError) as caught:
        prepare(folder, tmp_path / "data")
    assert begun == ["P1", "P1", "P2", "P3", "P3", "P4"]
    said = str(caught.value)
    assert "recordings that failed, each 2 times: 2 of 4" in said
    assert "P1.mp4: not a readable video" in said
    assert "P3.mp4: MemoryError: no room" in said
    assert "`train_recordings=P2` `dev_recordings=P4`" in said
    assert finished(tmp_path / "data") == ["P2", "P4"]
    assert not list((tmp_path / "data/recola").rglob("*.tfrecord*"))
    # Left out, nothing is done again, and what the others left stays.
    shutil.copytree(tmp_path / "data", tmp_path / "left_out")
    with cheap_networks() as begun:
        without = prepare(folder, tmp_path / "left_out", train=("P2",))
    assert begun == []
    assert without.splits["train"] == ["P2"]
    # Repaired, it alone is done again.
    (folder / recola_layouts.OWN.videos[0] / "P1.mp4").write_bytes(good)
    with cheap_networks() as begun:
        assert made(prepare(folder, tmp_path / "data")) == whole
    assert begun == ["P1", "P3"]


def test_the_features_are_those_of_the_cnn_in_the_settings(face_video, tmp_path):
    weights = tmp_path / "other.weights.h5"
    compact.build_compact(seed=3).save_weights(weights)
    settings = config.Preparation(
        dataset="recola", data_dir=str(tmp_path), backbone_weights=str(weights)
    )
    times = np.arange(20) / 25
    job = making.Job("P1", face_video, (times, np.zeros((20, 2))), tmp_path / "P1.tfrecord", 0.4)
    making.VideoMaker(settings).make(job)
    (record,) = tf.data.TFRecordDataset([str(job.file)]).as_numpy_iterator()
    layout = example_format.features_dict(512, 2)
    features = layout.deserialize_example(record)["features"].numpy()
    film = video.Video(face_video)
    track = face_track.track_video(film, config.Tracking())
    faces = np.stack([f.image for f in alignment.aligned_faces(film, track, config.Alignment())])
    expected = backbone.load("compact", str(weights)).predict(faces, verbose=0)
    assert np.abs(expected - backbone.load("compact", None)(faces)).max() > 1
    np.testing.assert_allclose(features, expected, rtol=0.01, atol=0.01)


def test_a_full_disk_ends_the_preparation_at_once(source, tmp_path):
    def fail(name, frame):
        raise OSError(errno.ENOSPC, "No space left on device")

    with cheap_networks(fail) as begun, pytest.raises(OSError, match="No space left"):
        prepare(source, tmp_path)
    assert begun == ["P1"]


def interrupted(folder, data_dir):
    def fail(name, frame):
        if name == "P3":
            raise KeyboardInterrupt

    with cheap_networks(fail), pytest.raises(KeyboardInterrupt):
        prepare(folder, data_dir)
    return data_dir


def test_only_what_is_whole_and_of_the_same_files_is_kept(folder, tmp_path):
    data_dir = interrupted(folder, tmp_path / "data")
    (first,) = (data_dir / "segments").rglob("P1-*.tfrecord")
    first.write_bytes(first.read_bytes()[:-3])
    ratings = folder / recola_layouts.OWN.ratings / "arousal/P2.csv"
    ratings.write_text(ratings.read_text().replace("0.04;", "0.04; "))
    with cheap_networks() as begun:
        prepare(folder, data_dir)
    assert begun == ["P1", "P2", "P3", "P4"]


def test_what_another_preparation_has_finished_stays(folder, tmp_path):
    data_dir = interrupted(folder, tmp_path / "data")
    with cheap_networks():
        prepare(folder, data_dir, train=("P3",))
    assert finished(data_dir) == ["P1", "P2", "P3", "P4"]


def test_examples_are_counted_without_reading_them(tmp_path):
    path = tmp_path / "x.tfrecord"
    assert shards.sizes(path) is None
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in (5, 0, 700):
            writer.write(b"x" * size)
    assert shards.sizes(path) == [5, 0, 700]
    for cut in (1, 4, 700, 705, path.stat().st_size):
        path.write_bytes(path.read_bytes()[:-cut])
        assert shards.sizes(path) is None
        path.write_bytes(b"")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for size in (5, 0, 700):
                writer.write(b"x" * size)


def test_without_beam_its_flag_says_what_to_install(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "ast_net.records.beam_pipeline", raising=False)
    monkeypatch.delattr(ast_net.records, "beam_pipeline", raising=False)
    with pytest.raises(errors.InputError, match=r"pip install -e '.\[beam\]'"):
        store.prepare(settings(source, tmp_path), "runner=Direct")

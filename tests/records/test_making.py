"""Interrupted, killed and failed preparations: kept files, repeated work and messages."""

import contextlib
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from concurrent import futures
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

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
    """Replaces MTCNN by a fixed face, and the CNN by the mean colour of the aligned face.

    Yields a list to which the name of each recording is added when it is started. `fail` is called
    before each frame.
    """
    started: list[str] = []

    def follow(film, *_):
        started.append(pathlib.Path(film.path).stem)
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
            fail(started[-1], k)
            yield np.full(512, image.mean() / 8 + k, np.float16)

    with (
        mock.patch.object(making.face_track, "cached_track", follow),
        mock.patch.object(making.runtime, "extract", extract),
        mock.patch.object(making.runtime, "load"),
        mock.patch.object(making.detection, "FaceDetector"),
    ):
        yield started


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


def contents(records) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in records.folder.glob("*.tf*")}


def finished(data_dir):
    """Returns the names of the recordings whose files are complete."""
    return sorted(
        path.name.split("-")[0] for path in (data_dir / "segments").glob("*/[!.]*.tfrecord")
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Four recordings of four seconds in RECOLA's layout; tests must not change them."""
    folder, rng = tmp_path_factory.mktemp("four"), np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        images = [np.full((48, 64, 3), 20 + 40 * number + k // 4, np.uint8) for k in range(FRAMES)]
        (folder / recola_layouts.RELEASE.videos[0]).mkdir(exist_ok=True)
        video_writer.write_video(
            folder / recola_layouts.RELEASE.videos[0] / f"{name}.mp4", images, 25
        )
        for target in config.TARGETS:
            rows = rng.uniform(-0.5, 0.5, (FRAMES + 1, 1)) + rng.normal(0, 0.1, (FRAMES + 1, 6))
            path = folder / recola_layouts.RELEASE.ratings / target / f"{name}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ["time;FM1;FM2;FM3;FF1;FF2;FF3"]
            lines += [
                f"{k / 25:.2f};" + ";".join(f"{v:.3f}" for v in r) for k, r in enumerate(rows)
            ]
            path.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(source, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(source, tmp_path / "recola")


@pytest.fixture(scope="module")
def complete(source, tmp_path_factory):
    """The files that an undisturbed preparation makes."""
    with cheap_networks():
        return contents(prepare(source, tmp_path_factory.mktemp("complete")))


def die_in_the_third(folder, data_dir):
    """Kills the process in the third recording; runs in a child process."""

    def fail(name, frame):
        if name == "P3" and frame == FRAMES - 5:
            assert "apache_beam" not in sys.modules, "imported without being needed"
            os.kill(os.getpid(), signal.SIGKILL)

    with cheap_networks(fail):
        prepare(folder, data_dir)


def test_a_killed_preparation_continues_where_it_stopped(source, complete, tmp_path):
    this_file = pathlib.Path(__file__)
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import {this_file.stem} as t; t.die_in_the_third({str(source)!r}, {str(tmp_path)!r})",
        ],
        env={**os.environ, "PYTHONPATH": f"{this_file.parents[2]}:{this_file.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert finished(tmp_path) == ["P1", "P2"]
    assert not list((tmp_path / "recola").rglob("dataset_info.json"))
    with cheap_networks() as started:
        records = prepare(source, tmp_path)
    assert started == ["P3", "P4"]
    assert contents(records) == complete
    assert not list(tmp_path.rglob(".*")), "nothing is left of the killed one"


def test_a_recording_that_fails_once_is_tried_again(source, complete, tmp_path):
    failures = [OSError(errno.EIO, "Input/output error")]

    def fail(name, frame):
        if name == "P2" and frame == 50 and failures:
            raise failures.pop()

    with cheap_networks(fail) as started:
        records = prepare(source, tmp_path)
    assert started == ["P1", "P2", "P2", "P3", "P4"]
    assert contents(records) == complete


def test_failed_recordings_are_reported_at_the_end_and_the_others_are_kept(
    folder, complete, tmp_path, caplog
):
    content = (folder / recola_layouts.RELEASE.videos[0] / "P1.mp4").read_bytes()
    (folder / recola_layouts.RELEASE.videos[0] / "P1.mp4").write_bytes(b"no video")

    full = [MemoryError("no room"), tf.errors.ResourceExhaustedError(None, None, "OOM")]

    def fail(name, frame):
        if name == "P3":
            raise full.pop()

    with cheap_networks(fail) as started, pytest.raises(errors.InputError) as caught:
        prepare(folder, tmp_path / "data")
    assert started == ["P1", "P1", "P2", "P3", "P3", "P4"]
    message = str(caught.value)
    assert "2 of 4 recordings failed, in 2 attempts each" in message
    assert "P1.mp4: not a readable video" in message
    assert "P3.mp4: MemoryError: no room" in message
    assert "P3 failed and is tried again: the machine's memory is full (OOM): give" in caplog.text
    assert "`train_recordings=P2` `dev_recordings=P4`" in message
    assert finished(tmp_path / "data") == ["P2", "P4"]
    assert not list((tmp_path / "data/recola").rglob("*.tfrecord*"))
    # If the failed recordings are left out, nothing is made again.
    shutil.copytree(tmp_path / "data", tmp_path / "left_out")
    with cheap_networks() as started:
        without = prepare(folder, tmp_path / "left_out", train=("P2",))
    assert started == []
    assert without.splits["train"] == ["P2"]
    # After the repair, only the failed recordings are made again.
    (folder / recola_layouts.RELEASE.videos[0] / "P1.mp4").write_bytes(content)
    with cheap_networks() as started:
        assert contents(prepare(folder, tmp_path / "data")) == complete
    assert started == ["P1", "P3"]


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

    with cheap_networks(fail) as started, pytest.raises(OSError, match="No space left"):
        prepare(source, tmp_path)
    assert started == ["P1"]


def interrupted(folder, data_dir):
    def fail(name, frame):
        if name == "P3":
            raise KeyboardInterrupt

    with cheap_networks(fail), pytest.raises(KeyboardInterrupt):
        prepare(folder, data_dir)
    return data_dir


def test_only_complete_files_from_unchanged_sources_are_kept(folder, tmp_path):
    data_dir = interrupted(folder, tmp_path / "data")
    (first,) = (data_dir / "segments").rglob("P1-*.tfrecord")
    first.write_bytes(first.read_bytes()[:-3])
    ratings = folder / recola_layouts.RELEASE.ratings / "arousal/P2.csv"
    ratings.write_text(ratings.read_text().replace("0.04;", "0.04; "))
    with cheap_networks() as started:
        prepare(folder, data_dir)
    assert started == ["P1", "P2", "P3", "P4"]


def test_a_second_preparation_of_the_same_waits_for_the_first(source, complete, tmp_path):
    begun, waiting = threading.Event(), threading.Event()

    def pause(name, frame):
        if (name, frame) == ("P1", 0):
            begun.set()
            assert waiting.wait(30), "the second preparation does not wait"

    def info(message, *_):
        if message == "waiting for another process that is preparing recola":
            waiting.set()

    with (
        cheap_networks(pause) as started,
        mock.patch.object(logging, "info", info),
        futures.ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(prepare, source, tmp_path)
        assert begun.wait(30)
        second = pool.submit(prepare, source, tmp_path)
        assert contents(first.result()) == contents(second.result()) == complete
    assert started == [*NAMES]
    assert len([*(tmp_path / "segments/recola").iterdir()]) == 2 * len(NAMES)
    assert [path.name for path in (tmp_path / "recola").glob("*/*")] == [store.VERSION]


def test_a_preparation_that_fails_leaves_no_folder_of_records(folder, tmp_path):
    ratings = folder / recola_layouts.RELEASE.ratings / "arousal/P2.csv"
    ratings.write_text("time;FM1\n0;high\n")
    with pytest.raises(errors.InputError, match="P2.csv, line 2"):
        prepare(folder, tmp_path / "data")
    assert not list(tmp_path.glob("data/recola/*"))


def test_files_of_another_preparation_are_kept(folder, tmp_path):
    data_dir = interrupted(folder, tmp_path / "data")
    with cheap_networks():
        prepare(folder, data_dir, train=("P3",))
    assert finished(data_dir) == ["P1", "P2", "P3", "P4"]


def test_sizes_are_those_of_the_examples_and_only_of_complete_files(tmp_path):
    path, layout = tmp_path / "x.tfrecord", example_format.features_dict(3, 2)
    assert shards.sizes(path) is None
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in (5, 0, 700):
            writer.write(b"x" * size)
    assert shards.sizes(path) == [5, 0, 700]
    for missing_bytes in (1, 4, 700, 705, path.stat().st_size):
        path.write_bytes(path.read_bytes()[:-missing_bytes])
        assert shards.sizes(path) is None
        with pytest.raises(errors.InputError, match="x.tfrecord: found incomplete records"):
            shards.assemble(tmp_path, "x", "1.0.0", layout, {"train": [path]})
        path.write_bytes(b"")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for size in (5, 0, 700):
                writer.write(b"x" * size)


def test_without_beam_the_error_says_what_to_install(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(errors.InputError, match=r"pip install -e '.\[beam\]'"):
        store.prepare(settings(source, tmp_path), "runner=Direct")

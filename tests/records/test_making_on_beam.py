"""Apache Beam makes the same files as a plain run, and continues after being killed."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock

import pytest
import test_making as plain

from ast_net import errors
from ast_net.datasets import recola_layouts
from ast_net.demo import synthesis
from ast_net.records import making, store

pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install -e '.[beam]'")

source, folder, complete = plain.source, plain.folder, plain.complete
LOCAL = "runner=FnApiRunner"
TWO_PROCESSES = f"{LOCAL},direct_num_workers=2,direct_running_mode=multi_processing"


def prepare(folder, data_dir, options=LOCAL):
    return store.prepare(plain.settings(folder, data_dir), options)


def test_a_pipeline_makes_the_same_files_and_loads_the_networks_once(source, complete, tmp_path):
    makers = []
    init = making.VideoMaker.__init__

    def counted(self, settings):
        makers.append(self)
        init(self, settings)

    with (
        plain.cheap_networks() as started,
        mock.patch.object(making.VideoMaker, "__init__", counted),
    ):
        records = prepare(source, tmp_path)
    # The maker loads the networks, when it is created.
    assert len(makers) == 1
    assert sorted(started) == list(plain.NAMES)
    assert plain.contents(records) == complete


def test_failed_recordings_are_reported_at_the_end_and_the_others_are_kept(
    folder, complete, tmp_path
):
    content = (folder / recola_layouts.RELEASE.videos[0] / "P2.mp4").read_bytes()
    (folder / recola_layouts.RELEASE.videos[0] / "P2.mp4").write_bytes(b"no video")
    with plain.cheap_networks() as started, pytest.raises(errors.InputError) as caught:
        prepare(folder, tmp_path / "data")
    assert sorted(started) == ["P1", "P2", "P2", "P3", "P4"]
    assert "P2.mp4: not a readable video" in str(caught.value)
    assert plain.finished(tmp_path / "data") == ["P1", "P3", "P4"]
    (folder / recola_layouts.RELEASE.videos[0] / "P2.mp4").write_bytes(content)
    with plain.cheap_networks() as started:
        assert plain.contents(prepare(folder, tmp_path / "data")) == complete
    assert started == ["P2"]


def test_two_processes_that_are_killed_continue_and_make_the_same_files(tmp_path):
    folder = tmp_path / "source"
    synthesis.generate(
        folder, plain.NAMES, recola_layouts.RELEASE, synthesis.DemoSettings(seconds=2.0)
    )
    flags = ["--dataset=recola", f"--manual_dir={folder}", "--clip_frames=5", "--clip_stride=2"]
    flags += ["--train_recordings=P1,P2,P3", "--dev_recordings=P4"]

    log = tmp_path / "log.txt"

    def start(data_dir, *more):
        command = [sys.executable, "-m", "ast_net.prepare", *flags, f"--data_dir={data_dir}", *more]
        root = pathlib.Path(__file__).parents[2]
        with log.open("a") as file:
            # In a new session, so that the workers can be killed together with the process.
            return subprocess.Popen(command, cwd=root, start_new_session=True, stderr=file)

    def finished(data_dir):
        paths = (data_dir / "segments").glob("*/[!.]*.tfrecord")
        return {path.name: path.stat().st_ino for path in paths}

    def shards(data_dir):
        return {p.name: p for p in (data_dir / "recola").rglob("*.tfrecord-*")}

    option = f"--beam_pipeline_options={TWO_PROCESSES}"
    process = start(tmp_path / "beam", option)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        while process.poll() is None and not finished(tmp_path / "beam"):
            time.sleep(0.02)
    process.wait()
    before = finished(tmp_path / "beam")
    assert process.returncode == -signal.SIGKILL, log.read_text()[-3000:]
    assert 0 < len(before) < 4
    assert start(tmp_path / "beam", option).wait() == 0, log.read_text()[-3000:]
    assert start(tmp_path / "plain").wait() == 0, log.read_text()[-3000:]
    by_beam, by_plain_run = shards(tmp_path / "beam"), shards(tmp_path / "plain")
    # The files that were finished before the kill were not written again.
    assert set(before.values()) < {path.stat().st_ino for path in by_beam.values()}
    assert len(by_beam) == 4
    assert {k: p.read_bytes() for k, p in by_beam.items()} == {
        k: p.read_bytes() for k, p in by_plain_run.items()
    }

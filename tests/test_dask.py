"""On a Dask cluster of processes: one is killed in the middle, and all is as on one machine."""

import contextlib
import csv
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from ast_net import config, jobs, shared_work
from ast_net.datasets import recola_layouts
from ast_net.demo import synthesis
from ast_net.faces import video_writer
from ast_net.prediction import inputs, session
from ast_net.records import store

pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dask]'")
pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install -e '.[dask]'")

TESTS = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A scheduler and two workers: Beam's options, the file KILL_ME, and what they have logged."""

    options: str
    kill_me: pathlib.Path
    log: pathlib.Path

    @contextlib.contextmanager
    def killing(self):
        """Kills the first worker that is in the middle of an element (see dask_preload.py)."""
        os.mkfifo(self.kill_me)
        killed = []

        def kill():
            with self.kill_me.open() as fifo:
                killed.append(int(fifo.readline()))
                os.kill(killed[0], signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        yield
        assert killed, self.log.read_text()[-3000:]
        killer.join()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(
        f"runner=DaskRunner,dask_scheduler_file={folder}/scheduler.json",
        folder / "KILL_ME",
        folder / "log.txt",
    )
    environment = {**os.environ, "KILL_ME": str(cluster.kill_me)}
    places = [os.environ.get("PYTHONPATH"), str(TESTS.parent), str(TESTS)]
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    common = [f"--scheduler-file={folder}/scheduler.json", "--no-dashboard"]
    commands = [
        ["scheduler", "--port=0", "--host=127.0.0.1", *common],
        ["worker", "--nworkers=2", "--nthreads=1", "--preload=dask_preload", *common],
    ]
    with cluster.log.open("w") as log, contextlib.ExitStack() as stack:
        for command in commands:
            # In a folder of their own: paths relative to the caller's are to be found nevertheless.
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(os.killpg, process.pid, signal.SIGKILL)
        yield cluster


def test_prepare_makes_the_same_files(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "source"
    length = synthesis.DemoSettings(seconds=2.0)
    synthesis.generate(folder, ["P1", "P2"], recola_layouts.RELEASE, length)

    def prepare(data_dir, *options):
        settings = config.Preparation(
            dataset="recola",
            data_dir=data_dir,
            manual_dir=str(folder),
            clip=config.Clip(5, 2),
            train_recordings=("P1",),
            dev_recordings=("P2",),
        )
        records = store.prepare(settings, *options).folder
        paths = [*records.glob("*.tf*"), *records.glob("*.npz")]
        assert len(paths) == 4
        return {path.name: path.read_bytes() for path in paths}

    with cluster.killing():
        by_cluster = prepare("cluster", cluster.options)
    made = pathlib.Path("cluster/segments/recola").glob("[!.]*.tfrecord")
    assert sorted(path.name.split("-")[0] for path in made) == ["P1", "P2"]
    assert by_cluster == prepare("plain")


def test_predict_makes_the_same_tables_and_one_summary(cluster, face_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3, 6):
        images = [np.full((64, 64, 3), 90, np.uint8)] * number
        video_writer.write_video(tmp_path / f"grey{number}.mp4", images, 25)
    pathlib.Path("bad.mp4").write_text("no film")
    films = inputs.find([str(face_video), "grey3.mp4", "bad.mp4", "grey4.mp4", "grey5.mp4"])

    def predict(folder, options):
        outputs = config.Outputs(output_dir=folder, outputs=("csv",))
        groups = config.Inputs(), films, outputs, config.Prediction(), config.Networks()
        session.predict(*groups, options)
        with pathlib.Path(folder, "summary.csv").open() as file:
            summary = [row | {"processing_seconds": ""} for row in csv.DictReader(file)]
        paths = sorted(pathlib.Path(folder).rglob("*.csv"))
        tables = {p.parent.name: p.read_bytes() for p in paths if p.name != "summary.csv"}
        assert list(tables) == ["face", "grey3", "grey4", "grey5"]
        return tables, summary

    with cluster.killing():
        by_cluster = predict("cluster", cluster.options)
    assert by_cluster == predict("plain", None)


def test_a_command_of_a_killed_worker_is_repeated_when_its_process_has_ended(cluster, tmp_path):
    go = tmp_path / "go"
    os.mkfifo(go)
    program = f"""
import os, pathlib
log = pathlib.Path({str(tmp_path)!r}, "begun.txt")
first = not log.exists()
with log.open("a") as file:
    print("begun", file=file)
if first:
    with open({str(cluster.kill_me)!r}, "w") as fifo:
        print(os.getppid(), file=fifo)
    open({str(go)!r}).read()
    print("the first has ended")
pathlib.Path({str(tmp_path)!r}, "out.txt").write_text("out")
"""
    commands = [
        jobs.Command("killed", ("-c", program), (tmp_path / "out.txt",)),
        jobs.Command("fails", ("-c", "raise SystemExit('error: no videos')")),
    ]

    def release():
        go.write_text("")

    with cluster.killing():
        threading.Thread(target=release, daemon=True).start()
        failures = jobs.run_on_beam(tmp_path / "logs", commands, cluster.options)
    assert list(failures) == ["fails"] and "error: no videos" in failures["fails"]
    assert (tmp_path / "begun.txt").read_text() == "begun\nbegun\n"
    log = (tmp_path / "logs/killed.log").read_text()
    assert log.index("the first has ended") < log.rindex("$ python -c")
    # What is finished is not done again.
    assert list(jobs.run_on_beam(tmp_path / "logs", commands, cluster.options)) == ["fails"]
    assert (tmp_path / "begun.txt").read_text() == "begun\nbegun\n"


def test_a_command_that_kills_its_workers_fails_and_the_others_go_on(cluster, tmp_path):
    program = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    commands = [
        jobs.Command("kills", ("-c", program)),
        jobs.Command("works", ("-c", "")),
    ]
    failures = jobs.run_on_beam(tmp_path, commands, cluster.options)
    assert failures == {"kills": shared_work.LOST}
    assert (tmp_path / "kills.log").read_text().count("$ python") == shared_work.MAX_ATTEMPTS
    assert (tmp_path / "works.json").exists()

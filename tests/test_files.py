"""Files that appear whole or not at all: killed writers, full disks, power cuts."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from ast_net import config, errors, files, workdir

ROOT = pathlib.Path(__file__).parents[1]
KILLED = """
import os, pathlib, signal, sys
from ast_net import files
write = {
    "file": files.whole,
    "folder": files.whole_folder,
    "temporary": lambda path: files.temporary_folder(path.parent),
}
with write[sys.argv[2]](pathlib.Path(sys.argv[1])) as temporary:
    (temporary / "part" if temporary.is_dir() else temporary).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
RUN = config.Experiment(dataset="demo")
SYNC = files.sync  # The tests' other files do without it (conftest.py).


def killed_writer(path: pathlib.Path, kind: str = "file") -> None:
    """Starts to write a file or folder in another process, which is killed before it is whole."""
    command = [sys.executable, "-c", KILLED, str(path), kind]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["file", "folder", "temporary"])
def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path, kind):
    killed_writer(tmp_path / "first", kind)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_text() for path in left] == ["half"]
    assert files.is_empty(tmp_path)
    with files.whole(tmp_path / "second") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["second"]
    assert not files.is_empty(tmp_path)


def test_a_temporary_folder_is_private_and_sweeps(tmp_path):
    killed_writer(tmp_path / "first", "temporary")
    with files.temporary_folder(tmp_path) as folder:
        assert os.name != "posix" or folder.stat().st_mode & 0o777 == 0o700
        (folder / "video").write_text("content")
        assert len([*tmp_path.rglob("*")]) == 3
    assert [*tmp_path.iterdir()] == []


def test_what_a_living_writer_has_begun_is_kept(tmp_path):
    with files.whole(tmp_path / "a") as first:
        first.write_text("first")
        with files.whole(tmp_path / "b") as second:
            second.write_text("second")
        other = "from ast_net import files\nwith files.whole('c') as f: f.write_text('other')"
        path = {"PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-c", other], cwd=tmp_path, env=os.environ | path, check=True
        )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "first",
        "b": "second",
        "c": "other",
    }


def test_a_kill_before_run_flags_is_whole_does_not_lock_the_workdir(tmp_path):
    killed_writer(tmp_path / "run" / workdir.RUN_FLAGS)
    assert any((tmp_path / "run").iterdir())
    workdir.claim(tmp_path / "run", RUN)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [workdir.RUN_FLAGS]
    (tmp_path / "run" / workdir.RUN_FLAGS).rename(tmp_path / "run" / "thesis.tex")
    with pytest.raises(errors.InputError, match="files but no"):
        workdir.claim(tmp_path / "run", RUN)


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(tmp_path, monkeypatch):
    events = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def noted_fsync(descriptor):
        events.append(pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def noted(move):
        def moved(source, target):
            events.append(f"move {pathlib.Path(target).name}")
            move(source, target)

        return moved

    monkeypatch.setattr(files, "sync", SYNC)
    monkeypatch.setattr(files.os, "fsync", noted_fsync)
    monkeypatch.setattr(files.os, "replace", noted(replace))
    monkeypatch.setattr(files.os, "rename", noted(rename))
    with files.whole(tmp_path / "here/file") as temporary:
        temporary.write_text("content")
    assert events == ["file", "move file", "here"]
    events.clear()
    with files.whole_folder(tmp_path / "here/folder") as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner/page").write_text("content")
    assert sorted(events[:3]) == ["folder", "inner", "page"]
    assert events[3:] == ["move folder", "here"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("長" * 83 + ".csv")
    assert len(os.fsencode(path.name)) == 253
    with files.whole(path) as temporary:
        temporary.write_text("content")
    assert list(tmp_path.iterdir()) == [path]


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(OSError) as raised, files.whole(tmp_path / "table.csv") as temporary:
        temporary.mkdir()
        temporary.write_text("rows")
    assert raised.value.filename == str(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("talk", "talk"),
        ("$5_to_$10", "$5_to_$10"),
        ("Zoë, 日本 [1] (2)", "Zoë, 日本 [1] (2)"),
        ("..", "_"),
        ("", "_"),
        ("...hidden", "_..hidden"),
        ("dots. . ", "dots"),
        ("a/b\\c:d*e?f", "a_b_c_d_e_f"),
        ("new\nline\x7f", "new_line_"),
        ("\udcff\udce9", "__"),
        ("CON", "_CON"),
        ("nul.csv", "_nul.csv"),
        ("日" * 99, "日" * 66),
        ("a" * 300, "a" * 200),
    ],
)
def test_safe_names(tmp_path, name, safe):
    assert files.safe_name(name) == safe
    assert files.safe_name(safe) == safe
    (tmp_path / f"{safe}-0123456789abcdef.tfrecord").touch()
    (tmp_path / safe).mkdir()
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()


def test_safe_names_differ():
    names = ["talk", "a/b", "Talk", "a_b", "talk", "talk_2", "summary.csv", "é", "e\u0301"]
    assert files.safe_names(names, taken=["summary.csv"]) == [
        "talk",
        "a_b",
        "Talk_2",
        "a_b_2",
        "talk_3",
        "talk_2_2",
        "summary.csv_2",
        "é",
        "e\u0301_2",
    ]


def test_without_locks_files_are_written_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    with files.alone(tmp_path / "a", "testing"), files.whole(tmp_path / "a/b.txt") as temporary:
        temporary.write_text("b")
    assert (tmp_path / "a/b.txt").read_text() == "b"
    with files.alone(tmp_path / "unused", "testing"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b.txt"]


def test_who_waited_for_a_folder_has_it_even_if_the_first_one_removed_it(tmp_path, monkeypatch):
    waiting, seen = threading.Event(), []
    monkeypatch.setattr(files.logging, "info", lambda _: waiting.set())

    def second():
        with files.alone(tmp_path / "a", "testing"):
            (tmp_path / "a/b.txt").touch()
            with pytest.raises(BlockingIOError):
                files._lock(tmp_path / "a", wait=False)
            seen.append("done")

    thread = threading.Thread(target=second)
    with files.alone(tmp_path / "a", "testing"):
        thread.start()
        assert waiting.wait(60)
    thread.join()
    assert seen == ["done"]

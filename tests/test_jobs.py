"""Parallel commands: finished ones, failing ones, and a caller that ends before they do."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from ast_net import jobs, shared_work

ROOT = pathlib.Path(__file__).parents[1]


def writing(tmp_path, name, text="done", code=0):
    """Makes a command that appends a line to NAME.txt and exits with a code."""
    path = tmp_path / f"{name}.txt"
    program = f"open({str(path)!r}, 'a').write({text!r} + chr(10)); raise SystemExit({code})"
    return jobs.Command(name, ("-c", program), (path,))


def lines(command):
    path = command.outputs[0]
    return path.read_text().splitlines() if path.exists() else []


def test_finished_commands_do_not_run_again(tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    commands = [writing(tmp_path, name) for name in ("a", "b", "c")]
    assert jobs.run(tmp_path / "logs", commands, 2) == {}
    assert "3 of 3 runs to do, 2 at a time" in caplog.text and "[3/3]" in caplog.text
    assert jobs.run(tmp_path / "logs", commands, 2) == {}
    assert [lines(command) for command in commands] == [["done"]] * 3
    commands[0].outputs[0].unlink()  # its output is missing
    commands[1] = writing(tmp_path, "b", "changed")  # same name, other arguments
    (tmp_path / "logs/c.json").write_text("[")  # its record is damaged
    assert jobs.run(tmp_path / "logs", commands, 2) == {}
    assert [lines(c) for c in commands] == [["done"], ["done", "changed"], ["done", "done"]]


def test_a_failing_command_does_not_stop_the_others(tmp_path):
    commands = [
        jobs.Command("fails", ("-c", "raise SystemExit('error: no videos')")),
        jobs.Command("dies", ("-c", "import os; os.kill(os.getpid(), 9)")),
        jobs.Command("idle", ("-c", ""), (tmp_path / "idle.txt",)),
        writing(tmp_path, "deep/er", code=0),
    ]
    (tmp_path / "deep").mkdir()
    failures = jobs.run(tmp_path / "logs", commands, 1)
    assert set(failures) == {"fails", "dies", "idle"}
    assert "error: no videos" in failures["fails"] and "logs/fails.log" in failures["fails"]
    assert "SIGKILL" in failures["dies"]
    assert "did not write" in failures["idle"] and "idle.txt" in failures["idle"]
    assert lines(commands[3]) == ["done"]
    assert (tmp_path / "logs/fails.log").read_text().startswith("$ python -c 'raise SystemExit")
    # Only the failed commands run again.
    assert set(jobs.run(tmp_path / "logs", commands, 1)) == {"fails", "dies", "idle"}
    assert lines(commands[3]) == ["done"]


def test_commands_run_at_the_same_time(tmp_path):
    """Opening one end of a pipe blocks until the other end is opened."""
    os.mkfifo(tmp_path / "pipe")
    path = str(tmp_path / "pipe")
    commands = [
        jobs.Command("one", ("-c", f"open({path!r}, 'w').write('from the other')")),
        jobs.Command("two", ("-c", f"print(open({path!r}).read())")),
    ]
    assert jobs.run(tmp_path / "logs", commands, 5) == {}
    assert "from the other" in (tmp_path / "logs/two.log").read_text()


def test_commands_that_run_together_are_in_different_places(tmp_path):
    """The first waits for the second to end, and for the third, which gets the second's place."""
    os.mkfifo(tmp_path / "pipe")
    say = "import os; print(os.environ['GPU'], flush=True)"
    programs = {
        "a": f"{say}; open({str(tmp_path / 'pipe')!r}).read()",
        "b": say,
        "c": f"{say}; open({str(tmp_path / 'pipe')!r}, 'w').close()",
    }
    commands = [jobs.Command(name, ("-c", program)) for name, program in programs.items()]
    places = [{"GPU": "0"}, {"GPU": "7"}]
    assert jobs.run(tmp_path / "logs", commands, 2, places) == {}
    logs = [(tmp_path / f"logs/{name}.log").read_text().splitlines()[-1] for name in programs]
    assert logs == ["0", "7", "7"]


@pytest.mark.parametrize(("workers", "commands", "threads"), [(2, 3, 4), (9, 3, 2), (1, 2, 8)])
def test_the_cores_are_shared(tmp_path, monkeypatch, workers, commands, threads):
    monkeypatch.setattr(jobs, "cores", lambda: 8)
    program = (
        "import os; print(os.environ['TF_NUM_INTRAOP_THREADS'], os.environ['OMP_NUM_THREADS'])"
    )
    requested = [jobs.Command(f"{k}", ("-c", program)) for k in range(commands)]
    assert jobs.run(tmp_path, requested, workers) == {}
    for command in requested:
        text = (tmp_path / f"{command.name}.log").read_text()
        assert text.splitlines()[-1] == f"{threads} {threads}"


def test_copies_share_the_cores_and_their_work(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 6)
    program = f"""
import os
for number in range(3):
    try:
        open({str(tmp_path)!r} + f"/{{number}}", "x").write(os.environ["OMP_NUM_THREADS"])
    except FileExistsError:
        pass
"""
    watched = []
    # All end before the first look at them.
    monkeypatch.setattr(subprocess.Popen, "poll", subprocess.Popen.wait)

    def watch():
        watched.append(sorted(path.name for path in tmp_path.glob("?")))

    command = jobs.Command("worker", ("-c", program))
    assert jobs.run_copies(tmp_path / "logs", command, 3, watch) == []
    assert watched == [["0", "1", "2"]], "looked at once more in the end"
    assert {path.read_text() for path in tmp_path.glob("?")} == {"2"}
    assert len(list((tmp_path / "logs").glob("worker_*.log"))) == 3


def test_copies_take_the_gpus_in_turn(tmp_path):
    program = f"""
import os, pathlib, sys
pathlib.Path({str(tmp_path)!r}, str(os.getpid())).write_text(os.environ["CUDA_VISIBLE_DEVICES"])
"""
    places = [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "5"}]
    command = jobs.Command("worker", ("-S", "-c", program))
    assert jobs.run_copies(tmp_path / "logs", command, 3, lambda: None, places) == []
    assert sorted(path.read_text() for path in tmp_path.glob("[0-9]*")) == ["2", "2", "5"]


def test_copies_that_fail_say_why(tmp_path):
    program = f"""
import os
try:
    open({str(tmp_path / "first")!r}, "x")
except FileExistsError:
    raise SystemExit("error: no networks")
os.kill(os.getpid(), 9)
"""
    command = jobs.Command("worker", ("-c", program))
    reasons = jobs.run_copies(tmp_path / "logs", command, 2, lambda: None)
    assert sorted(reasons) == ["error: no networks", "killed by SIGKILL"]


def test_copies_end_when_watching_fails(tmp_path):
    command = jobs.Command("worker", ("-c", "import time; print('here'); time.sleep(60)"))
    log = tmp_path / "worker_1.log"

    def watch():
        if "here\n" in log.read_text().splitlines(keepends=True):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        jobs.run_copies(tmp_path, command, 1, watch)
    # The process held this lock.
    with log.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Writes its process id to one pipe and waits until another one is opened.
BLOCKED = """
import os
with open({log!r}, "a") as log:
    log.write("begins ")
with open({first!r}, "w") as pipe:
    pipe.write(str(os.getpid()))
open({second!r}).read()
with open({log!r}, "a") as log:
    log.write("ends ")
"""


RUN = "run({folder!r}, [jobs.{command!r}], 1)"
RUN_COPIES = "run_copies({folder!r}, jobs.{command!r}, 1, lambda: None)"


def blocked(tmp_path, call=RUN):
    """Starts a process that runs a waiting command; both are running on return."""
    names = {name: str(tmp_path / name) for name in ("first", "second", "log")}
    for name in ("first", "second"):
        os.mkfifo(names[name])
    command = jobs.Command("waits", ("-c", BLOCKED.format(**names)))
    program = (
        "from ast_net import jobs, main; main.run('reproduce', lambda _: jobs."
        + call.format(folder=str(tmp_path / "logs"), command=command)
        + ")"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    caller = subprocess.Popen([sys.executable, "-c", program], env=environment)
    pid = int((tmp_path / "first").read_text())
    return caller, command, pid


@pytest.mark.parametrize(
    ("number", "call"),
    [
        (signal.SIGTERM, RUN),
        (signal.SIGINT, RUN),
        (signal.SIGHUP, RUN),
        (signal.SIGTERM, RUN_COPIES),
        (signal.SIGINT, RUN_COPIES),
    ],
)
def test_commands_end_when_their_caller_is_terminated(tmp_path, number, call):
    caller, _, pid = blocked(tmp_path, call)
    caller.send_signal(number)
    assert caller.wait(60) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (tmp_path / "logs/waits.json").exists()


def test_after_sigkill_no_command_runs_twice_at_once(tmp_path, monkeypatch):
    caller, command, _ = blocked(tmp_path)
    caller.kill()
    caller.wait(60)
    polls: list[int] = []
    released: list[str] = []

    def instead_of_sleep(_):
        """Lets the old process end at the third poll, and the new one once it has started."""
        polls.append(1)
        seen = (tmp_path / "log").read_text()
        if len(polls) == 3:
            assert seen == "begins "
            (tmp_path / "second").write_text("")
            released.append("old")
        elif seen == "begins ends begins " and released == ["old"]:
            (tmp_path / "first").read_text()
            (tmp_path / "second").write_text("")
            released.append("new")

    monkeypatch.setattr(jobs.time, "sleep", instead_of_sleep)
    assert jobs.run(tmp_path / "logs", [command], 1) == {}
    assert (tmp_path / "log").read_text() == "begins ends begins ends "


def test_on_a_cluster_commands_are_recorded_and_failures_named(tmp_path, monkeypatch):
    def run(options, function, count):
        for index in range(count):
            function(index)

    monkeypatch.setattr(shared_work, "_run_pipeline", run)
    commands = [
        writing(tmp_path, "a"),
        jobs.Command("fails", ("-c", "raise SystemExit('error: no videos')")),
        writing(tmp_path, "b"),
    ]
    for _ in range(2):
        failures = jobs.run_on_beam(tmp_path / "logs", commands, "runner=Test")
        assert list(failures) == ["fails"] and "error: no videos" in failures["fails"]
    assert lines(commands[0]) == lines(commands[2]) == ["done"]
    monkeypatch.setattr(shared_work, "_run_pipeline", lambda *_: None)
    assert jobs.run_on_beam(tmp_path / "logs", commands, "runner=Test") == {
        "fails": shared_work.LOST
    }


def test_on_a_cluster_a_command_has_the_threads_of_its_worker(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    program = "import os; print('threads:', os.environ['OMP_NUM_THREADS'])"
    assert jobs._run_alone(tmp_path, jobs.Command("a", ("-c", program))) == ""
    assert "threads: 3" in (tmp_path / "a.log").read_text()

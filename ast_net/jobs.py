"""Runs commands side by side, each in a process with its share of the cores.

What is finished is recorded, so that a call that was stopped goes on. A command holds a lock on its
log for as long as its process lives: two calls in one folder share the work, and after a call that
was killed no command is begun anew while its old process is still at it.
"""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from ast_net import errors, files

try:
    import fcntl
except ImportError as error:
    raise errors.InputError(
        "reproduce: found Windows, which has no file locks that a process can inherit; expected Linux "
        "or macOS: use the Windows Subsystem for Linux, or call train once for each run"
    ) from error

# Seconds.
_POLL, _GRACE = 0.1, 10.0
_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of this Python.

    Attributes:
      name: other commands have other names; FOLDER/NAME.log is its log.
      arguments: after the interpreter: ("-m", "ast_net.train", "--dataset=demo").
      outputs: files that it leaves; where one is missing it is not finished.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[pathlib.Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Started:
    command: Command
    process: subprocess.Popen
    since: float


def run(folder: str | pathlib.Path, commands: Sequence[Command], workers: int) -> dict[str, str]:
    """Runs those commands that are not finished, and prints a line as each of them ends.

    A command that fails does not stop the others. If this process is interrupted or terminated, it
    ends the commands' processes first.

    Args:
      folder: gets NAME.log, with what a command prints, and NAME.json once it has succeeded.
      commands: begun in this order.
      workers: how many run side by side.

    Returns:
      What is known of each command that failed, by name.
    """
    folder = pathlib.Path(folder)
    waiting = collections.deque(c for c in commands if _seconds(folder, c) is None)
    workers = min(workers, len(waiting))
    if not waiting:
        return {}
    threads = max(1, _cores() // workers)
    print(
        f"{len(waiting)} of {len(commands)} runs to do, {workers} at a time, threads of each: "
        f"{threads}; logs: {folder}",
        flush=True,
    )
    running: list[_Started] = []
    failures: dict[str, str] = {}
    with _stopped_at_the_end(running):
        while waiting or running:
            # Commands that another call is at go to the end of the queue.
            for _ in range(len(waiting) if len(running) < workers else 0):
                command = waiting.popleft()
                if _seconds(folder, command) is not None:
                    continue
                process = _start(folder, command, threads)
                if process is None:
                    waiting.append(command)
                    continue
                running.append(_Started(command, process, time.monotonic()))
                if len(running) == workers:
                    break
            for started in [one for one in running if one.process.poll() is not None]:
                running.remove(started)
                problem = _finish(folder, started)
                if problem:
                    failures[started.command.name] = problem
                left = _left(folder, commands, len(waiting), running, workers)
                number = len(commands) - len(waiting) - len(running)
                print(
                    f"[{number}/{len(commands)}] {started.command.name}: "
                    f"{problem or f'{time.monotonic() - started.since:.0f} s'}{left}",
                    flush=True,
                )
            if running or waiting:
                time.sleep(_POLL)
    return failures


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _log(folder: pathlib.Path, command: Command) -> pathlib.Path:
    return folder / f"{command.name}.log"


def _record(folder: pathlib.Path, command: Command) -> pathlib.Path:
    return folder / f"{command.name}.json"


def _seconds(folder: pathlib.Path, command: Command) -> float | None:
    """How long the command took; None if it is not finished."""
    try:
        record = json.loads(_record(folder, command).read_text())
        same = record["arguments"] == list(command.arguments)
        if same and all(path.exists() for path in command.outputs):
            return float(record["seconds"])
    except (OSError, ValueError, LookupError, TypeError):
        pass  # none, or a damaged one: the command runs again
    return None


def _start(folder: pathlib.Path, command: Command, threads: int) -> subprocess.Popen | None:
    """Starts a command; None if another call is at it."""
    path = _log(folder, command)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        try:
            # The process inherits the lock with the open file, and keeps it until it ends.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        log.write(f"$ python {shlex.join(command.arguments)}\n".encode())
        log.flush()
        environment = dict.fromkeys(_THREADS, str(threads))
        # On a GPU each process would take all of the memory.
        environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C comes to this process alone, which ends the others
        )


def _finish(folder: pathlib.Path, started: _Started) -> str:
    """Records that a command has succeeded, or says why it has not."""
    command, code = started.command, started.process.returncode
    missing = [str(path) for path in command.outputs if not path.exists()]
    if code == 0 and not missing:
        record = {"arguments": command.arguments, "seconds": time.monotonic() - started.since}
        with files.whole(_record(folder, command)) as temporary:
            temporary.write_text(json.dumps(record))
        return ""
    log = _log(folder, command)
    lines = log.read_text(errors="replace").splitlines()
    reason = next((line for line in reversed(lines) if line.strip()), "")
    if code < 0:
        reason = f"ended by {signal.Signals(-code).name}"
    elif code == 0:
        reason = f"left no {', '.join(missing)}"
    return f"failed: {reason} (see {log})"


def _left(
    folder: pathlib.Path,
    commands: Sequence[Command],
    waiting: int,
    running: Sequence[_Started],
    workers: int,
) -> str:
    """How long the rest will take, if it takes as long as what is finished."""
    done = [s for s in (_seconds(folder, command) for command in commands) if s is not None]
    if not done or not (waiting or running):
        return ""
    usual, now = sum(done) / len(done), time.monotonic()
    rest = waiting * usual + sum(max(0.0, usual - (now - one.since)) for one in running)
    minutes = rest / workers / 60
    return f"; about {minutes:.0f} min left" if minutes >= 1 else "; less than a minute left"


@contextlib.contextmanager
def _stopped_at_the_end(running: list[_Started]) -> Iterator[None]:
    """Ends what is still running, whatever ends this process, but for SIGKILL."""

    def end(number: int, _) -> None:
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {s: signal.signal(s, end) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for started in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.process.pid, number)
            for started in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.process.wait(_GRACE)
        for number, handler in before.items():
            signal.signal(number, handler)

"""Runs commands in parallel, each in a process with its share of the cores.

Finished commands are recorded, so that an interrupted call can be repeated and continues. A command
holds a lock on its log file while its process lives. Two calls in the same folder therefore share
the work, and a command is not started again while a process left over from a killed call still runs
it.
"""

import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from absl import logging

from ast_net import errors, files, screen, shared_work

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds between two looks at the processes, and from SIGTERM to SIGKILL.
_POLL_INTERVAL, _GRACE_PERIOD = 0.1, 10.0
_THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that this Python interpreter runs.

    Attributes:
      name: a unique name; the log is FOLDER/NAME.log.
      arguments: those after the interpreter, such as ("-m", "ast_net.train", "--dataset=demo").
      outputs: the files that the command writes; it is unfinished while one of them is missing.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[pathlib.Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class _RunningCommand:
    command: Command
    process: subprocess.Popen
    start_time: float
    place: int = 0


def require_file_locks() -> None:
    """Checks that the system has the file locks that `run` needs.

    Raises:
      InputError: this is Windows, where a process cannot inherit a lock.
    """
    if fcntl is None:
        raise errors.InputError(
            "Windows has no file locks that a process can inherit, which parallel runs need: use "
            "the Windows Subsystem for Linux, or call train once for each run"
        )


def run(
    folder: str | pathlib.Path,
    commands: Sequence[Command],
    workers: int,
    places: Sequence[Mapping[str, str]] = ({},),
) -> dict[str, str]:
    """Runs the unfinished commands and logs a line when one of them ends.

    A command that fails does not stop the others. If this process is interrupted or terminated, it
    terminates the commands' processes first.

    Args:
      folder: receives NAME.log, the output of a command, and NAME.json once it has succeeded.
      commands: started in this order.
      workers: the number of commands that run in parallel.
      places: environment variables, such as those that name a GPU; a command gets those that the
        fewest others have at the time.

    Returns:
      {name: reason} of the commands that failed.
    """
    folder = pathlib.Path(folder)
    waiting = collections.deque(c for c in commands if _duration(folder, c) is None)
    workers = min(workers, len(waiting))
    if not waiting:
        return {}
    threads = max(1, cores() // workers)
    logging.info(
        f"{len(waiting)} of {screen.number(len(commands), 'run')} to do, {workers} at a time with "
        f"{screen.number(threads, 'thread')} each; logs in {screen.shown(folder)}"
    )
    running: list[_RunningCommand] = []
    failures: dict[str, str] = {}
    with (
        screen.Progress("running", len(waiting), "runs", lines=False) as progress,
        _terminating(running),
    ):
        while waiting or running:
            # Commands that another call is running go to the end of the queue.
            for _ in range(len(waiting) if len(running) < workers else 0):
                command = waiting.popleft()
                if _duration(folder, command) is not None:
                    continue
                taken = [job.place for job in running]
                place = min(range(len(places)), key=taken.count)
                process = _start(folder, command, threads, places[place])
                if process is None:
                    waiting.append(command)
                    continue
                running.append(_RunningCommand(command, process, time.monotonic(), place))
                if len(running) == workers:
                    break
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                problem = _finish(folder, job)
                if problem:
                    failures[job.command.name] = problem
                left = _time_left(folder, commands, len(waiting), running, workers)
                number = len(commands) - len(waiting) - len(running)
                (logging.warning if problem else logging.info)(
                    f"[{number}/{len(commands)}] {job.command.name}: "
                    f"{problem or f'{time.monotonic() - job.start_time:.0f} s'}{left}"
                )
                progress.update()
            if running or waiting:
                time.sleep(_POLL_INTERVAL)
    return failures


def run_on_beam(
    folder: str | pathlib.Path, commands: Sequence[Command], options: str
) -> dict[str, str]:
    """Does the same as `run` with Apache Beam; see `shared_work.run_on_beam` for `options`."""
    folder = pathlib.Path(folder)
    waiting = [command for command in commands if _duration(folder, command) is None]
    if not waiting:
        return {}
    logging.info(
        f"{len(waiting)} of {screen.number(len(commands), 'run')} to do; logs in "
        f"{screen.shown(folder)}"
    )
    failures: dict[str, str] = {}
    with screen.Progress("running", len(waiting), "runs", lines=False) as progress:

        def add(index: int, problem: str) -> None:
            if problem:
                failures[waiting[index].name] = problem
            progress.update()
            number = len(commands) - len(waiting) + progress.done
            (logging.warning if problem else logging.info)(
                f"[{number}/{len(commands)}] {waiting[index].name}: {problem or 'finished'}"
            )

        work = shared_work.Work(functools.partial(pathlib.Path, folder), _run_alone, waiting)
        lost = shared_work.run_on_beam(work, options, folder, add)
    return failures | {waiting[index].name: shared_work.LOST for index in lost}


def _run_alone(folder: pathlib.Path, command: Command) -> str:
    """Runs a command, unless it is finished; returns why it failed.

    It gets as many threads as this process, which need not be alone on its machine.
    """
    threads = int(os.environ.get(_THREAD_VARIABLES[0], cores()))
    while _duration(folder, command) is None:
        process = _start(folder, command, threads)
        if process is None:  # A process that a killed call has left, or another call, runs it.
            time.sleep(_POLL_INTERVAL)
            continue
        running = [_RunningCommand(command, process, time.monotonic())]
        with _terminating(running):
            process.wait()
            return _finish(folder, running.pop())
    return ""


def run_copies(
    folder: str | pathlib.Path,
    command: Command,
    copies: int,
    watch: Callable[[], None],
    places: Sequence[Mapping[str, str]] = ({},),
) -> list[str]:
    """Runs copies of a command, which share their work, until all have ended.

    If this process is interrupted or terminated, or `watch` raises an error, it terminates the
    copies first.

    Args:
      folder: receives NAME_1.log, ..., the output of the copies.
      command: the command; its outputs are not checked.
      copies: the number of processes.
      watch: called several times a second, and once when all have ended.
      places: as of `run`; the copies take them in turn.

    Returns:
      Why copies failed, for those that did.
    """
    folder = pathlib.Path(folder)
    running: list[_RunningCommand] = []
    with _terminating(running):
        for number, place in zip(range(1, copies + 1), itertools.cycle(places)):
            copy = dataclasses.replace(command, name=f"{command.name}_{number}")
            process = _start(folder, copy, max(1, cores() // copies), place)
            assert process is not None, f"{folder} is in use"
            running.append(_RunningCommand(copy, process, time.monotonic()))
        while any(job.process.poll() is None for job in running):
            time.sleep(_POLL_INTERVAL)
            watch()
        watch()
    return [_reason(folder, job) for job in running if job.process.returncode]


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _log(folder: pathlib.Path, command: Command) -> pathlib.Path:
    return folder / f"{command.name}.log"


def _record(folder: pathlib.Path, command: Command) -> pathlib.Path:
    return folder / f"{command.name}.json"


def _duration(folder: pathlib.Path, command: Command) -> float | None:
    """Returns how long a finished command took, in seconds; None if it is unfinished."""
    path = _record(folder, command)
    # If the record is missing or damaged, the command runs again.
    with contextlib.suppress(errors.InputError), files.reading(path, "JSON"):
        record = json.loads(path.read_text())
        same = record["arguments"] == list(command.arguments)
        if same and all(path.exists() for path in command.outputs):
            return float(record["seconds"])
    return None


def _start(
    folder: pathlib.Path, command: Command, threads: int, place: Mapping[str, str] = {}
) -> subprocess.Popen | None:
    """Starts a command; returns None if another call is running it."""
    path = _log(folder, command)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        try:
            # The process inherits the open file and its lock, and holds the lock until it ends.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        log.write(f"$ python {shlex.join(command.arguments)}\n".encode())
        log.flush()
        environment = dict.fromkeys(_THREAD_VARIABLES, str(threads))
        # Without this, each process would reserve all of the GPU's memory.
        environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, **place},
            start_new_session=True,  # Ctrl-C reaches only this process, which ends the others.
        )


def _finish(folder: pathlib.Path, job: _RunningCommand) -> str:
    """Records that a command has succeeded, or returns why it failed."""
    command, code = job.command, job.process.returncode
    missing = [str(path) for path in command.outputs if not path.exists()]
    if code == 0 and not missing:
        record = {"arguments": command.arguments, "seconds": time.monotonic() - job.start_time}
        with files.whole(_record(folder, command)) as temporary:
            temporary.write_text(json.dumps(record))
        return ""
    reason = f"did not write {', '.join(missing)}" if code == 0 else _reason(folder, job)
    return f"failed: {reason} (see {_log(folder, command)})"


def _reason(folder: pathlib.Path, job: _RunningCommand) -> str:
    """Returns why a command failed: the signal that killed it, or the last line of its log."""
    code = job.process.returncode
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = _log(folder, job.command).read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")


def _time_left(
    folder: pathlib.Path,
    commands: Sequence[Command],
    waiting: int,
    running: Sequence[_RunningCommand],
    workers: int,
) -> str:
    """Estimates the remaining time from the mean duration of the finished commands."""
    durations = [s for s in (_duration(folder, command) for command in commands) if s is not None]
    if not durations or not (waiting or running):
        return ""
    mean, now = sum(durations) / len(durations), time.monotonic()
    seconds = waiting * mean + sum(max(0.0, mean - (now - job.start_time)) for job in running)
    return f"; {screen.time_left(seconds / workers)}"


@contextlib.contextmanager
def _terminating(running: list[_RunningCommand]) -> Iterator[None]:
    """Terminates the running commands if an error or a signal (`main.run`) ends this one."""
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for job in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.process.pid, number)
            for job in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    job.process.wait(_GRACE_PERIOD)

"""Runs a command: shows its messages, and turns errors and signals into exit codes."""

import contextlib
import logging as std_logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import tqdm

from ast_net import cli, config, errors, noise

# Libraries write a setting as its name in backquotes; on the command line it has dashes.
_SETTING = re.compile(r"`(\w+)(=[^`]*)?`")
# What ends a command: Ctrl-C, `kill` or `docker stop`, and a terminal that is closed.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run(verb: str, function: Callable[[cli.Arguments], None]) -> None:
    """Runs a command with the arguments of the command line.

    An error that its user can correct is shown as a sentence, without a traceback. SIGTERM and
    SIGHUP end the command as Ctrl-C does: what it has begun is tidied up. A second signal ends the
    process at once.

    Args:
      verb: the command's name, a key of `cli.VERBS`.
      function: the command.
    """
    if sys.stderr is None:  # Closed; otherwise the next file to be opened would take its place.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # Keeps results and messages in order where both are written to one file, and shows names that
    # the terminal's encoding does not have.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        with interrupting():
            _run(verb, function)
    except BrokenPipeError:
        # The reader of the output has stopped. Without this, Python would report that at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(verb: str, function: Callable[[cli.Arguments], None]) -> None:
    verbose = False
    with contextlib.ExitStack() as stack:
        try:
            arguments = cli.parse(verb, sys.argv[1:])
            verbose = arguments.read(config.Messages).verbose
            stack.enter_context(noise.whole() if verbose else noise.reduced(_Sentences()))
            function(arguments)
        except cli.HelpRequest as request:
            print(request)
        except BrokenPipeError:
            raise
        except (errors.InputError, OSError) as error:
            reason = _reason(error)
            if reason is None:
                raise
            if verbose:
                traceback.print_exc()
            _end(error)
            sys.exit(f"error: {reason}")
        except KeyboardInterrupt as interrupt:
            _end(interrupt)
            remedy = "; run the same command again to continue" if cli.VERBS[verb].resumes else ""
            print(f"interrupted{remedy}", file=sys.stderr)
            number = interrupt.args[0] if interrupt.args else signal.SIGINT
            sys.exit(128 + number)


def heeded_signals() -> dict[int, Any]:
    """Returns the signals that end a command, with their handlers; none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    # Ignored signals stay so: nohup ignores SIGHUP. Windows has no SIGHUP.
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handlers = {int(number): signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Lets each of _SIGNALS raise a KeyboardInterrupt with its number, and a second one kill."""

    def interrupt(number: int, _) -> None:
        for other in handlers:
            signal.signal(other, signal.SIG_DFL)
        raise KeyboardInterrupt(number)

    handlers = heeded_signals()
    try:
        for number in handlers:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(error: BaseException) -> None:
    """Ends the interrupted functions, so that their progress bars disappear before the message."""
    traceback.clear_frames(error.__traceback__)


def _reason(error: errors.InputError | OSError) -> str | None:
    """Returns the message of an error for the command line, or None if it has none."""
    if isinstance(error, errors.InputError):
        return _with_dashes(str(error))
    place = f"{error.filename}: " if error.filename else ""
    remedy = ""
    if place and isinstance(error, PermissionError | FileExistsError | NotADirectoryError):
        remedy = "; give another path, or check who may use this one"
    return error.strerror and f"{place}{error.strerror}{remedy}"


def _with_dashes(message: str) -> str:
    return _SETTING.sub(r"--\1\2", message)


class _Sentences(std_logging.Handler):
    """Shows messages on standard error without time and place, above any progress bar."""

    def emit(self, record: std_logging.LogRecord) -> None:
        message = _with_dashes(record.getMessage())
        if record.levelno >= std_logging.WARNING:
            message = f"warning: {message}"
        tqdm.tqdm.write(message, file=sys.stderr)

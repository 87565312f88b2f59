"""What libraries print about themselves, kept away from the screen while a verb runs.

There are three sources. Python's warnings and logging are filtered. C++ code reads environment
variables, as far as it has any. What it writes in spite of them, partly before it reads them, goes
to file descriptor 2; another process takes that, forgets it when the verb ends, and shows the end
of it when the verb's process dies: the reason of an abort stands there.
"""

import contextlib
import logging as std_logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from absl import flags, logging

_VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # errors and what aborts
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}
# They print what they log themselves, so that a handler of ours does not see it.
_LOGGERS = ("tensorflow", "nncf", "tf2onnx")
# The last bytes that are kept of what libraries write.
_KEPT = 10_000
_END = b"\0"
# What is no reason of a crash. Without a GPU, TensorFlow calls that an error.
_UNIMPORTANT = re.compile(
    rb"(?m)^(WARNING: All log messages before |INFO: |[IW]\d{4} |E\d{4} .* failed call to cuInit)"
    rb".*\n?"
)


@contextlib.contextmanager
def reduced(handler: std_logging.Handler) -> Iterator[None]:
    """Shows the package's own messages alone, by a handler; everything is as before at the end.

    To be entered before TensorFlow is imported: it logs as it is loaded.

    Args:
      handler: gets the package's messages, from information on.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as stack:
        # A process that has threads cannot be copied safely, and TensorFlow has said its part.
        if "tensorflow" not in sys.modules and hasattr(os, "fork"):
            stack.enter_context(_held_back())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in _LOGGERS:
            logger = std_logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(std_logging.CRITICAL)
        stack.enter_context(_logging(handler, logging.INFO, _is_own))
        yield


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Shows what the package and all libraries log, with time and place."""
    with _logging(logging.get_absl_handler(), logging.DEBUG, _is_own_or_information):
        yield


def _is_own(record: std_logging.LogRecord) -> bool:
    return record.name == "absl" and f"{os.sep}ast_net{os.sep}" in record.pathname


def _is_own_or_information(record: std_logging.LogRecord) -> bool:
    return _is_own(record) or record.levelno >= std_logging.INFO


@contextlib.contextmanager
def _logging(
    handler: std_logging.Handler, level: int, is_shown: Callable[[std_logging.LogRecord], bool]
) -> Iterator[None]:
    """Gives absl's and Python's logging one more handler, and a level."""
    flags.FLAGS.mark_as_parsed()  # absl's logging would complain
    root = std_logging.getLogger()
    levels = root.level, logging.get_verbosity()
    root.addHandler(handler)
    handler.addFilter(is_shown)
    logging.set_verbosity(level)
    try:
        yield
    finally:
        handler.removeFilter(is_shown)
        root.removeHandler(handler)
        logging.set_verbosity(levels[1])
        root.setLevel(levels[0])


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Sends file descriptor 2 to another process; Python's standard error goes on to the screen."""
    try:
        screen = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    receiving, sending = os.pipe()
    keeper = os.fork()
    if not keeper:
        os.close(sending)
        _keep(receiving, screen)
    os.close(receiving)
    os.dup2(sending, 2)
    python = sys.stderr
    sys.stderr = os.fdopen(screen, "w", buffering=1, errors="backslashreplace", closefd=False)
    try:
        yield
    finally:
        sys.stderr = python
        os.dup2(screen, 2)
        os.close(screen)
        os.write(sending, _END)
        os.close(sending)
        os.waitpid(keeper, 0)


def _keep(receiving: int, screen: int) -> NoReturn:
    """Reads to the end; without _END the writer was killed, and the last lines are shown."""
    kept = b""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 2)
        while _END not in kept:
            received = os.read(receiving, _KEPT)
            if not received:
                os.write(screen, _UNIMPORTANT.sub(b"", kept))
                break
            kept = (kept + received)[-_KEPT:]
    finally:
        os._exit(0)

"""Keeps what libraries print about themselves away from the screen while a command runs.

There are three sources. Python's warnings and logging are filtered. C++ libraries are told by
environment variables to be quiet. What they write nevertheless, some of it before they read these
variables, goes to file descriptor 2. Another process collects that. It forgets it when the command
ends, and shows the last lines if the process dies: they say why it was aborted.
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
# These loggers have handlers of their own, so filtering ours would not silence them.
_LOGGERS = ("tensorflow", "nncf", "tf2onnx")
# The last bytes that are kept of what libraries write.
_KEPT = 10_000
_END = b"\0"
# Lines that do not explain a crash. TensorFlow logs an error if there is no GPU.
_UNIMPORTANT = re.compile(
    rb"(?m)^(WARNING: All log messages before |[IW]\d{4} |INFO: |E\d{4} .* failed call to cuInit)"
    rb".*\n?"
)


@contextlib.contextmanager
def reduced(handler: std_logging.Handler) -> Iterator[None]:
    """Shows only the package's own messages while the block runs.

    Enter it before TensorFlow is imported, which logs while it is being loaded.

    Args:
      handler: shows the package's messages of level INFO and above.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as stack:
        # After TensorFlow is loaded there are threads, and forking would not be safe.
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
def without_deprecations() -> Iterator[None]:
    """Leaves out what TensorFlow Datasets says about deprecated names that it uses itself."""
    logger = logging.get_absl_logger()
    logger.addFilter(_is_no_deprecation)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_deprecation)


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Shows everything that the package and libraries log, with times and places."""
    with _logging(logging.get_absl_handler(), logging.DEBUG, _is_own_or_information):
        yield


def _is_own(record: std_logging.LogRecord) -> bool:
    return record.name == "absl" and f"{os.sep}ast_net{os.sep}" in record.pathname


def _is_no_deprecation(record: std_logging.LogRecord) -> bool:
    return "tensorflow_datasets" not in record.pathname or "deprecated" not in str(record.msg)


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
    """Sends file descriptor 2 to another process, while sys.stderr still reaches the screen."""
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
    """Reads to the end. Without _END the writer was killed, so the last lines are shown."""
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

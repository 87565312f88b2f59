"""How a verb runs: what it shows of logs, and what becomes of errors and signals."""

import contextlib
import logging as std_logging
import os
import pathlib
import platform
import re
import sys
import traceback
from collections.abc import Callable

import tqdm
from absl import logging

from ast_net import cli, config, errors, jobs, noise, screen

# A library calls a setting by its name, in backquotes; on the command line it has dashes.
_SETTING = re.compile(r"`(\w+)(=[^`]*)?`")
# Parts of a processor's name that do not name it.
_LEGAL = re.compile(r"\((R|TM|tm)\)| CPU| Processor| @.*| \d+-Core")


def run(verb: str, function: Callable[[cli.Arguments], None]) -> None:
    """Runs a verb with the arguments of the command line.

    What its user can put right is said in a line or two, without a traceback.

    Args:
      verb: a key of `cli.VERBS`.
      function: the verb.
    """
    if sys.stderr is None:  # It was closed; the next file that is opened takes its place.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # In a file, too, results and messages stand in the order they were made.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    verbose = False
    with contextlib.ExitStack() as stack:
        try:
            arguments = cli.parse(verb, sys.argv[1:])
            verbose = arguments.read(config.Messages).verbose
            stack.enter_context(noise.whole() if verbose else noise.reduced(_Sentences()))
            function(arguments)
        except cli.HelpRequest as request:
            print(request)
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
            remedy = "; the same command goes on from here" if cli.VERBS[verb].resumes else ""
            print(f"interrupted{remedy}", file=sys.stderr)
            sys.exit(128 + 2)


def say_what_it_runs_on() -> None:
    """Says on which processors a verb computes; to be called once TensorFlow is loaded anyway."""
    import tensorflow as tf  # Takes seconds, and not all verbs get so far.

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        name = details.get("device_name", "unknown")
        processors = f"{screen.number(len(gpus), 'GPU')} ({name})"
    else:
        processors = f"{screen.number(jobs.cores(), 'CPU core')} ({_processor()})"
    logging.info(f"running on {processors}, TensorFlow {tf.__version__}")


def _end(error: BaseException) -> None:
    """Ends what the error interrupted, so that its bars leave the screen before a message comes."""
    traceback.clear_frames(error.__traceback__)


def _reason(error: errors.InputError | OSError) -> str | None:
    """What an error says on the command line; None if it says nothing."""
    if isinstance(error, errors.InputError):
        return _with_dashes(str(error))
    place = f"{error.filename}: " if error.filename else ""
    return error.strerror and f"{place}{error.strerror}"


def _with_dashes(message: str) -> str:
    return _SETTING.sub(r"--\1\2", message)


class _Sentences(std_logging.Handler):
    """Shows messages on standard error without time and place, above the bars on the screen."""

    def emit(self, record: std_logging.LogRecord) -> None:
        message = _with_dashes(record.getMessage())
        if record.levelno >= std_logging.WARNING:
            message = f"warning: {message}"
        tqdm.tqdm.write(message, file=sys.stderr)


def _processor() -> str:
    """The processor's name."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return " ".join(_LEGAL.sub("", name).split())

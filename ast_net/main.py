"""How a verb runs: what it prints of logs, and what becomes of errors and signals."""

import logging as std_logging
import os
import re
import sys
from collections.abc import Callable

from absl import flags, logging

from ast_net import cli, errors

# A library calls a setting by its name, in backquotes; on the command line it has dashes.
_SETTING = re.compile(r"`(\w+)(=[^`]*)?`")


def run(verb: str, function: Callable[[cli.Arguments], None]) -> None:
    """Runs a verb with the arguments of the command line.

    What its user can put right is said in a line or two, without a traceback.

    Args:
      verb: a key of `cli.VERBS`.
      function: the verb.
    """
    _log_what_concerns_the_user()
    try:
        function(cli.parse(verb, sys.argv[1:]))
    except cli.HelpRequest as request:
        print(request)
    except errors.InputError as error:
        message = _SETTING.sub(r"--\1\2", str(error))
        sys.exit(f"error: {message}")
    except OSError as error:
        if error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {place}{error.strerror}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + 2)


def _log_what_concerns_the_user() -> None:
    flags.FLAGS.mark_as_parsed()  # absl's logging would complain
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_concerns_the_user)


def _concerns_the_user(record: std_logging.LogRecord) -> bool:
    """What the package says, and others' warnings; but TFDS warns of settings that are not its own."""
    own = record.name == "absl" and f"{os.sep}ast_net{os.sep}" in record.pathname
    library = "tensorflow_datasets" in record.pathname
    return own or (record.levelno >= std_logging.WARNING and not library)

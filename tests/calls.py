"""How tests call the package: verbs as on a command line, and graphs without tracing them."""

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

import tensorflow as tf

from ast_net import main


class Call(NamedTuple):
    """What a verb left: its exit code, or the message it ended with, and what it printed."""

    ended: int | str
    printed: str


def call(verb: str, *flags: str) -> Call:
    """Runs a verb in this process, with its flags as on a command line."""
    function = getattr(importlib.import_module(f"ast_net.{verb}"), verb)
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", [verb, *flags]), contextlib.redirect_stdout(printed):
        try:
            main.run(verb, function)
        except SystemExit as ended:
            return Call(ended.code or 0, printed.getvalue())
    return Call(0, printed.getvalue())


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Runs step by step what is a graph otherwise: a few steps take less than its tracing."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)

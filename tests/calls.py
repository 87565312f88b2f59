"""Calls of the package: commands as from a command line, and graphs without tracing."""

import contextlib
import importlib
import io
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

import tensorflow as tf

from ast_net import main

ROOT = pathlib.Path(__file__).parents[1]


class Call(NamedTuple):
    """The result of a command.

    Attributes:
      ended: its exit code, or the message it ended with.
      printed: its standard output.
      said: its standard error.
    """

    ended: int | str
    printed: str
    said: str


def call(verb: str, *flags: str) -> Call:
    """Runs a command in this process with these flags."""
    function = getattr(importlib.import_module(f"ast_net.{verb}"), verb)
    printed, said = io.StringIO(), io.StringIO()
    code: int | str = 0
    with (
        mock.patch.object(sys, "argv", [verb, *flags]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
    ):
        try:
            main.run(verb, function)
        except SystemExit as ended:
            code = ended.code or 0
    return Call(code, printed.getvalue(), said.getvalue())


def python(*arguments, **options):
    """Runs Python on the package in a process of its own; gives it with what it wrote."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("TF_CPP_MIN_LOG_LEVEL", "OPENCV_LOG_LEVEL"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        **options,
    )


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Runs functions step by step, not as graphs: a few steps take less time than tracing."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)

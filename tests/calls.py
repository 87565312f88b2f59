"""Calls a verb in this process, as on a command line."""

import contextlib
import importlib
import io
import sys
from typing import NamedTuple
from unittest import mock

from ast_net import main


class Call(NamedTuple):
    """How a verb ended and what it showed.

    Attributes:
      ended: its exit code, or the message it ended with.
      printed: on standard output.
      said: on standard error.
    """

    ended: int | str
    printed: str
    said: str


def call(verb: str, *flags: str) -> Call:
    """Runs a verb in this process, with its flags as on a command line."""
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

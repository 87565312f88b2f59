"""Calls a command in this process, as from a command line."""

import contextlib
import importlib
import io
import sys
from typing import NamedTuple
from unittest import mock

from ast_net import main


class Call(NamedTuple):
    """The result of a command: its exit code, or the message it ended with, and its output."""

    ended: int | str
    printed: str


def call(verb: str, *flags: str) -> Call:
    """Runs a command in this process with these flags."""
    function = getattr(importlib.import_module(f"ast_net.{verb}"), verb)
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", [verb, *flags]), contextlib.redirect_stdout(printed):
        try:
            main.run(verb, function)
        except SystemExit as ended:
            return Call(ended.code or 0, printed.getvalue())
    return Call(0, printed.getvalue())

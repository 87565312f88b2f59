"""What a command imports before it predicts, and what can be imported afterwards."""

import gc
import importlib
import sys

import calls
import pytest

import ast_net
from ast_net import imports

PROGRAM = """
import gc, sys
from ast_net import imports
with imports.of_command():
    from ast_net.prediction import session
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 100_000
print(sorted({"matplotlib", "pandas", "scipy", "sklearn"} & sys.modules.keys()))
import matplotlib.figure, pandas, scipy.optimize
"""


def test_a_command_does_not_import_what_only_keras_would_need():
    done = calls.python("-c", PROGRAM)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_process_that_has_tensorflow_is_left_alone():
    frozen = gc.get_freeze_count()
    with imports.of_command():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_packages_are_hidden_only_during_the_block():
    name = "mailcap_of_nobody"
    with imports._hidden((name, "json")):
        assert name in sys.modules and sys.modules["json"] is not None
        with pytest.raises(ModuleNotFoundError):
            __import__(name)
    assert name not in sys.modules


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_afterwards_as_before(enabled):
    try:
        if not enabled:
            gc.disable()
        with pytest.raises(ZeroDivisionError), imports.without_collections():
            assert not gc.isenabled()
            _ = 1 / 0
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_public_names_are_imported_without_collections(monkeypatch):
    real, enabled = importlib.import_module, []

    def import_module(name):
        enabled.append(gc.isenabled())
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    assert ast_net.Predictor and gc.isenabled()
    assert enabled == [False]

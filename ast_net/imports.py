"""Imports TensorFlow, Keras and the modules that need them in half the time.

The other half is garbage collection, which looks again and again through objects that all stay, and
packages that Keras imports wherever they are installed.
"""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from typing import Any

# What TensorFlow and Keras import only to accept its objects, or for functions that no command
# calls. Commands that need one of these packages themselves import it afterwards.
_OPTIONAL = ("matplotlib", "pandas", "scipy", "sklearn")


@contextlib.contextmanager
def of_command() -> Iterator[None]:
    """Imports TensorFlow and the modules that the block imports quickly.

    It is for a process of this package alone: its Keras will not know pandas's tables or
    scikit-learn's estimators.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    with without_collections():
        with _hidden(_OPTIONAL):
            importlib.import_module("tensorflow")
        yield
        gc.freeze()  # Nor will later collections look through what has been imported.


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Turns the garbage collector off for a block of imports."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Lets imports of these packages fail as if they were not installed."""
    # None is Python's own way to say so.
    hidden: dict[str, Any] = {name: None for name in packages if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]

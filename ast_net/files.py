"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path to write to; on success that file takes its place at once, else nothing is left.

    The temporary file lies in the same folder, which is made if need be, and has the same suffixes,
    as some writers choose the format by them.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp("".join(path.suffixes), f".{path.stem}.", path.parent)
    os.close(handle)
    try:
        yield pathlib.Path(temporary)
        os.replace(temporary, path)
    finally:
        pathlib.Path(temporary).unlink(missing_ok=True)

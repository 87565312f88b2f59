"""Folders of files that take long to make, kept with a digest that shows whether they are whole."""

import hashlib
import pathlib
import shutil
from collections.abc import Callable

from absl import logging

from ast_net import files

DIGEST = "sha256"


def folder(path: pathlib.Path, content: str, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Returns a folder that holds what `make` wrote, in this call or in an earlier one.

    It is made again if a file is damaged. If another process makes it at the same time, one of the
    two folders is kept.

    Args:
      path: the folder. All that its files depend on should be part of the name.
      content: what it holds, such as "the int8 network", for the warning.
      make: writes the files into the folder that it is given.

    Raises:
      OSError: the disk is full or read-only.
    """
    if not _is_whole(path):
        if path.exists():
            logging.warning(f"{path}: {content} is damaged, and is made again")
        shutil.rmtree(path, ignore_errors=True)
        with files.whole_folder(path) as temporary:
            make(temporary)
            (temporary / DIGEST).write_text(_digest(temporary))
    return path


def _is_whole(path: pathlib.Path) -> bool:
    try:
        return (path / DIGEST).read_bytes() == _digest(path).encode()
    except OSError:
        return False


def _digest(path: pathlib.Path) -> str:
    """The SHA-256 of each file, in the order of their names."""
    paths = sorted(file for file in path.iterdir() if file.name != DIGEST)
    return " ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in paths)

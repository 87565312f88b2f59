"""Creates the folder of a model's version, whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from ast_net import errors, files


def check(export_dir: str | pathlib.Path) -> pathlib.Path:
    """Checks that the folder's name is a version number, and that this version does not exist.

    TensorFlow Serving takes each folder whose name is a number for a version, and serves the
    highest.

    Raises:
      InputError: the name is not a number, or the version exists.
    """
    path = pathlib.Path(os.path.abspath(export_dir))
    number = _version(path.name)
    if number is None:
        raise errors.InputError(
            f"{export_dir}: the folder's name must be a version number, as servers expect, "
            f"found {path.name!r}: give, for example, `export_dir={pathlib.Path(export_dir) / '1'}`"
        )
    versions = {_version(other.name): other for other in path.parent.glob("*")}
    if number in versions:
        free = path.parent / str(1 + max(filter(None, versions), default=0))
        raise errors.InputError(
            f"{versions[number]}: this version exists, and a server may be using it, so it is not "
            f"replaced: give `export_dir={free}`"
        )
    return path


@contextlib.contextmanager
def new(export_dir: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder to fill; on success it is renamed to the version, else deleted.

    Its name begins with a dot, so that no server takes it for a version, even if the process is
    killed and leaves it behind.

    Raises:
      InputError: as in `check`, or another process has created the version meanwhile.
    """
    path = check(export_dir)
    try:
        with files.whole_folder(path, exist_ok=False) as temporary:
            yield temporary
    except OSError:
        check(path)
        raise


def _version(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 19 else None

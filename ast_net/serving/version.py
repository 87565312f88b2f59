"""Creates the folder of an exported model, whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from ast_net import errors, files


def check(export_dir: str | pathlib.Path, numbered: bool = True) -> pathlib.Path:
    """Checks that the folder is new, and that its name is a version number if it must be one.

    TensorFlow Serving takes each folder whose name is a number for a version, and serves the
    highest.

    Args:
      export_dir: the folder.
      numbered: whether its name must be a version number.

    Raises:
      InputError: the name is not a number, or the folder or the version exists.
    """
    path = pathlib.Path(os.path.abspath(export_dir))
    if not numbered:
        if os.path.lexists(path):
            raise errors.InputError(
                f"{export_dir}: exists, and a program may be using it, so it is not replaced: "
                "delete it, or give another `export_dir`"
            )
        return path
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
def new(export_dir: str | pathlib.Path, numbered: bool = True) -> Iterator[pathlib.Path]:
    """Yields a temporary folder to fill; on success it is renamed, else deleted; see `check`.

    Its name begins with a dot, so that no server takes it for a version, even if the process is
    killed and leaves it behind.

    Raises:
      InputError: as in `check`, or another process has created the folder meanwhile.
    """
    path = check(export_dir, numbered)
    try:
        with files.whole_folder(path, exist_ok=False) as temporary:
            yield temporary
    except OSError:
        check(path, numbered)
        raise


def _version(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 19 else None

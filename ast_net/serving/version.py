"""A version of a model on disk, whole or not at all."""

import contextlib
import errno
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

from ast_net import errors


def check(export_dir: str | pathlib.Path) -> pathlib.Path:
    """Checks that the folder's name is a version, and that this version does not exist.

    TensorFlow Serving takes each folder whose name is a number for a version, and serves the
    highest.

    Raises:
      InputError: its name is not a number, or the version exists.
    """
    path = pathlib.Path(os.path.abspath(export_dir))
    number = _version(path.name)
    if number is None:
        raise errors.InputError(
            f"{export_dir}: expected a version's number as the last part, as servers want it, "
            f"found {path.name!r}: give, for example, `export_dir={pathlib.Path(export_dir) / '1'}`"
        )
    names = os.listdir(path.parent) if path.parent.is_dir() else []
    same = [name for name in names if _version(name) == number]
    if same:
        highest = max(filter(None, map(_version, names)), default=0)
        raise errors.InputError(
            f"{path.parent / same[0]}: this version exists and may be in use; versions are never "
            f"replaced: give `export_dir={path.parent / str(1 + highest)}`"
        )
    return path


@contextlib.contextmanager
def new(export_dir: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder to fill; on success it becomes the version at once, else it is deleted.

    It lies beside the version, and its name begins with a dot: no server takes it for a version,
    even if the process is killed.

    Raises:
      InputError: as `check`, or another process has made the version meanwhile.
    """
    path = check(export_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            check(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _version(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 19 else None

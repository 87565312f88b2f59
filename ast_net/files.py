"""Names files, writes them so that they appear whole or not at all, and reports damaged ones."""

import collections
import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from absl import logging

from ast_net import errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# After one of these errors, other files cannot be written either.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# How the names of folders for unfinished files begin.
_PARTIAL = ".partial-"
# Names of files may contain bytes that are not UTF-8. Text files keep them as they are.
ENCODING: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
# Separators, control characters, bytes that are not UTF-8, and what Windows does not allow.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\:*?"<>|]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# Longest safe name, in bytes of UTF-8. File systems allow 255; suffixes need the rest.
_MAX_NAME = 200


def safe_name(name: str) -> str:
    """Returns a name that a file or folder can have on every system, for any text.

    Characters that are not safe become _, also a dot at the beginning: the result is neither hidden
    nor another folder. Long names are cut.
    """
    name = _UNSAFE.sub("_", name).encode()[:_MAX_NAME].decode(errors="ignore").rstrip(". ")
    if name.startswith("."):
        name = f"_{name[1:]}"
    return f"_{name}" if not name or _DEVICE.fullmatch(name) else name


def safe_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Returns a safe name for each name, all different; the second `talk` becomes talk_2.

    They also differ where upper and lower case count as the same.

    Args:
      names: any texts, such as names of recordings.
      taken: names that other files in the same folder have.
    """
    used = {_folded(name) for name in taken}
    numbers: collections.Counter[str] = collections.Counter()
    result = []
    for first in map(safe_name, names):
        name = first
        while _folded(name) in used:
            numbers[first] += 1
            name = f"{first}_{numbers[first] + 1}"
        used.add(_folded(name))
        result.append(name)
    return result


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path and moves that file to `path` at the end; deletes it on an error.

    The temporary file has the same name, because some writers choose the format by the suffix. It
    lies in a temporary folder beside `path`; what killed processes left of such folders is deleted.
    Folders that are missing are created. A finished file survives a power cut.
    """
    path = pathlib.Path(path)
    with _partial(path) as temporary:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)


@contextlib.contextmanager
def whole_folder(path: str | pathlib.Path, exist_ok: bool = True) -> Iterator[pathlib.Path]:
    """Does the same as `whole` for a new folder.

    If another process creates `path` first, that folder is kept.

    Raises:
      OSError: the folder exists and `exist_ok` is false, or it cannot be written.
    """
    path = pathlib.Path(path)
    with _partial(path) as temporary:
        temporary.mkdir()
        yield temporary
        for part in (*temporary.rglob("*"), temporary):
            sync(part)
        try:
            os.rename(temporary, path)
        except OSError:
            if not (exist_ok and path.is_dir()):
                raise
        sync(path.parent)


@contextlib.contextmanager
def alone(folder: str | pathlib.Path, task: str) -> Iterator[None]:
    """Runs a block in one process at a time; the others wait for it.

    The folder is locked, and created if necessary. The lock ends with the process, however that
    ends, and leaves no file. On systems that cannot lock a folder nobody waits.

    Args:
      folder: the processes that use this folder wait for each other.
      task: what is done, such as "preparing recola", for the message to those who wait.
    """
    folder = pathlib.Path(folder)
    lock = _existing_lock(folder, task)
    try:
        yield
    finally:
        # Before the lock ends, so that nobody else has the folder yet.
        with contextlib.suppress(OSError):
            folder.rmdir()  # if nothing was written to it
        if lock is not None:
            os.close(lock)


def _existing_lock(folder: pathlib.Path, task: str) -> int | None:
    """Creates a folder if necessary and locks it; see `_lock` and `alone`."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = _lock(folder, wait=False)
        except BlockingIOError:
            logging.info(f"waiting for another process that is {task}")
            lock = _lock(folder, wait=True)
        # The process that had the lock may have removed the folder.
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(folder)
            if lock is None or os.path.samestat(os.fstat(lock), found):
                return lock
        if lock is not None:
            os.close(lock)


def sweep(folder: str | pathlib.Path) -> None:
    """Deletes what killed processes left unfinished in a folder.

    `whole` does this in the folder that it writes to. Call it for a folder in which nothing may be
    left to write.
    """
    for partial in pathlib.Path(folder).glob(f"{_PARTIAL}*"):
        with contextlib.suppress(BlockingIOError):
            lock = _lock(partial, wait=False)
            if lock is not None:
                shutil.rmtree(partial, ignore_errors=True)
                os.close(lock)


@contextlib.contextmanager
def temporary_folder(parent: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a new folder that only this user can read, and deletes it at the end.

    What killed processes left of such folders in `parent` is deleted first (not on Windows).
    """
    with _partial(pathlib.Path(parent) / "temporary") as folder:
        folder.mkdir(mode=0o700)
        yield folder


def is_empty(folder: str | pathlib.Path) -> bool:
    """Returns whether a folder has no files; unfinished ones of `whole` do not count."""
    return all(path.name.startswith(_PARTIAL) for path in pathlib.Path(folder).iterdir())


def is_final(error: BaseException) -> bool:
    """Returns whether nothing else can be written after this error: the disk or a pipe failed."""
    disk_error = isinstance(error, OSError) and error.errno in _DISK_ERRORS
    return disk_error or isinstance(error, BrokenPipeError)


def sync(path: pathlib.Path) -> None:
    """Waits until a file, or the list of a folder's files, is on the disk.

    Raises:
      OSError: the disk is full or broken.
    """
    if fcntl is None:
        return  # Windows cannot do it for folders.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # The file system does not offer it.
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _partial(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path of the same name in a new folder beside `path`; deletes the folder at the end.

    Errors that name the temporary path are changed to name `path`.
    """
    folder, lock = None, None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        folder, lock = _new_partial_folder(path.parent)
        yield folder / path.name
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = re.sub(rf"[/\\]{re.escape(_PARTIAL)}\w+", "", error.filename)
        raise
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _new_partial_folder(parent: pathlib.Path) -> tuple[pathlib.Path, int | None]:
    """Creates a folder for an unfinished file; a lock shows other processes that it is in use.

    Returns:
      The folder, and the lock's file descriptor or None (`_lock`).
    """
    while True:
        folder = parent / f"{_PARTIAL}{secrets.token_hex(4)}"
        folder.mkdir()
        lock = _lock(folder, wait=True)
        if folder.exists():
            return folder, lock
        # Another process has swept it before it was locked.
        if lock is not None:
            os.close(lock)


def _lock(folder: pathlib.Path, wait: bool) -> int | None:
    """Locks a folder until the returned descriptor is closed or the process ends.

    Returns:
      None if the folder is gone, or the system has no locks for folders (Windows, some network file
      systems).

    Raises:
      BlockingIOError: another process has the lock, and `wait` is false.
    """
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


@contextlib.contextmanager
def reading(
    path: str | pathlib.Path, content: str, remedy: str = "check the path, or copy it again"
) -> Iterator[None]:
    """Turns any exception raised while a file is read into an InputError that names the file.

    For a damaged file, parsers, h5py, Keras and SciPy raise almost any exception, and it differs
    from version to version.

    Args:
      path: the file.
      content: what the file should contain, such as "JSON".
      remedy: what the user should do, or which file is expected.

    Raises:
      InputError: in place of any exception, except when memory runs out.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        # Importing it takes seconds, and only TensorFlow itself raises this error.
        tensorflow = sys.modules.get("tensorflow")
        if tensorflow and isinstance(error, tensorflow.errors.ResourceExhaustedError):
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        # Keras adds many lines about numbers and layers.
        reason = textwrap.shorten(reason, 400)
        raise errors.InputError(
            f"{path}: cannot be read as {content} ({reason}); {remedy}"
        ) from error


@contextlib.contextmanager
def tensorflow_output(path: str | pathlib.Path) -> Iterator[None]:
    """Turns TensorFlow's errors into OSError. Use it only around the lines that write a file.

    TensorFlow raises the same errors for a full disk, a full GPU and the end of a data set.
    """
    import tensorflow as tf  # Importing takes seconds, and most callers do not need it.

    try:
        yield
    except tf.errors.OpError as error:
        # The message begins with the name of the operation; the reason follows.
        reason = error.message.rpartition("}} ")[2]
        raise OSError(errno.ENOSPC, f"cannot be written ({reason})", str(path)) from error

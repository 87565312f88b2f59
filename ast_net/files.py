"""Writes files and folders so that they appear whole or not at all, and reports damaged ones."""

import contextlib
import errno
import os
import pathlib
import secrets
import shutil
import sys
import textwrap
from collections.abc import Iterator

from absl import logging

from ast_net import errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# After one of these errors, other files cannot be written either.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path and moves that file to `path` at the end; deletes it on an error.

    The temporary file lies in the same folder, which is created if necessary. It has the same
    suffix, because some writers choose the format by the suffix.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | pathlib.Path, exist_ok: bool = True) -> Iterator[pathlib.Path]:
    """Does the same as `whole` for a new folder.

    If another process creates `path` first, that folder is kept.

    Raises:
      OSError: the folder exists and `exist_ok` is false, or it cannot be written.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        try:
            os.rename(temporary, path)
        except OSError:
            if not (exist_ok and path.is_dir()):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.info(f"waiting for another process that is {task}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                pass  # The file system has no locks for folders.
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            folder.rmdir()  # if nothing was written to it


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

"""Files and folders that appear whole or not at all."""

import contextlib
import errno
import os
import pathlib
import secrets
import shutil
import textwrap
from collections.abc import Iterator

from ast_net import errors

# With these errors nothing else can be written, either.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path; what is written there moves to `path` at the end, or is deleted.

    The temporary file is in the same folder, which is created if need be, and has the same suffix,
    because some writers choose the format by it.
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
    """Does what `whole` does, for a new folder; one that another process made first stays.

    Raises:
      OSError: there is such a folder, and not `exist_ok`, or it cannot be written.
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
def reading(
    path: str | pathlib.Path, content: str, remedy: str = "check the path, or copy it again"
) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into an InputError that names the file.

    Parsers, h5py, Keras and SciPy raise almost any exception for a damaged file, others in every
    version.

    Args:
      path: the file.
      content: what it should hold, "JSON".
      remedy: what to do, or which file would do.

    Raises:
      InputError: in place of every exception, except when memory is used up.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        import tensorflow as tf  # Takes seconds, and most users of this module do not need it.

        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        # Keras adds lines of numbers and layers.
        reason = textwrap.shorten(reason, 400)
        raise errors.InputError(
            f"{path}: cannot be read as {content} ({reason}); {remedy}"
        ) from error


@contextlib.contextmanager
def tensorflow_output(path: str | pathlib.Path) -> Iterator[None]:
    """Turns TensorFlow's errors into OSError; for the lines that write a file, and no others.

    TensorFlow raises the same errors for a full disk as for a full GPU or the end of a data set.
    """
    import tensorflow as tf  # Takes seconds, and most users of this module do not need it.

    try:
        yield
    except tf.errors.OpError as error:
        # The name of the operation comes before what happened.
        reason = error.message.rpartition("}} ")[2]
        raise OSError(errno.ENOSPC, f"cannot be written ({reason})", str(path)) from error

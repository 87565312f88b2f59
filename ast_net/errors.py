"""The one error that users are meant to read."""

import contextlib
import pathlib
from collections.abc import Iterator


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file or setting, what was found, what was expected and the remedy. The verbs
    print it without a traceback; everything else that is raised is a defect of the package.
    """


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[None]:
    """Turns the file system's errors into an InputError that names the path."""
    try:
        yield
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); check the path"
        raise InputError(message) from error

"""The exception whose message is written for users."""


class InputError(ValueError):
    """The user's input cannot be used.

    The message names the file or setting, what was found, what was expected, and what to do. The
    commands print it without a traceback; any other exception is a bug in the package.
    """

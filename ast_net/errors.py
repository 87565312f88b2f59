"""The one error that users are meant to read."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file or setting, what was found, what was expected and the remedy. The verbs
    print it without a traceback; everything else that is raised is a defect of the package.
    """

"""The folder of a run (workdir): its file names, and the settings of the run that owns it.

The README describes the files.
"""

import pathlib
from typing import TypeVar

from ast_net import cli, config, errors, files

RUN_FLAGS = "run.flags"
CHECKPOINTS = "checkpoints"
MODEL_SPEC = "model.json"
HISTORY = "history.csv"
TENSORBOARD = "tensorboard"
EVALUATION = "evaluation"
REACTION_DELAY = "reaction_delay"
# A run can be continued with a larger number of these; run.flags then holds the larger one.
_MAY_GROW = ("epochs", "patience")

_Run = TypeVar("_Run", bound=config.Experiment | config.Finetuning)


def weights_file(model: str) -> str:
    """Returns the name of the weights file of a model, best or last."""
    return f"{model}.weights.h5"


def find(folder: str | pathlib.Path, group: type[_Run]) -> _Run | None:
    """Returns the settings of the run in a folder; None if the folder holds no run.

    Raises:
      InputError: run.flags is damaged, or contains anything but a run's settings.
    """
    path = pathlib.Path(folder) / RUN_FLAGS
    if not path.is_file():
        return None
    with files.reading(path, "text", "restore it, or give another `workdir`"):
        text = path.read_text(**files.ENCODING)
    run = cli.deserialise(group, text, path)
    # Runs of the first versions have --mixed_precision for bfloat16, the only one that there was.
    began = {"true": "bfloat16"}.get(config.values(run)["mixed_precision"])
    return config.changed(run, {"mixed_precision": began}) if began else run


def requested(arguments: cli.Arguments) -> config.Experiment:
    """Returns the run that the arguments of `train` describe.

    It is a new run, or, with a `workdir` but without a `dataset`, the run in that folder.

    Raises:
      InputError: the workdir holds no run, or its run.flags is damaged.
    """
    if arguments.has("dataset") or arguments.read(config.RunModel).workdir is None:
        return arguments.read(config.Experiment)
    return reopen(arguments, config.Experiment)


def reopen(arguments: cli.Arguments, group: type[_Run]) -> _Run:
    """Returns the settings of the run in `workdir`, replaced by the flags that were given.

    The paths in run.flags are dropped, since the workdir may come from somebody else and must not
    decide which files are read or written.

    Raises:
      InputError: the workdir holds no run, or its run.flags is damaged.
    """
    folder = arguments.read(config.RunModel).workdir
    if folder is None:
        raise errors.InputError("no run: give `workdir=FOLDER`, the folder that train used")
    run = find(folder, group)
    if run is None:
        raise errors.InputError(
            f"{pathlib.Path(folder) / RUN_FLAGS}: no such file; expected the workdir of a run: "
            "train one first, or check the path"
        )
    paths = config.values(config.Cache()) | {"manual_dir": None, "backbone_weights": None}
    paths["workdir"] = folder
    run = config.changed(run, paths)
    given = arguments.change(run)
    if given.dataset == run.dataset:
        return given
    # Settings that describe the run's data set do not apply to another one.
    defaults = config.values(config.DataSource()) | config.values(config.ReactionDelay())
    return arguments.change(config.changed(run, defaults))


def check(folder: str | pathlib.Path, settings: _Run) -> _Run | None:
    """Checks that a folder is new or holds the same run; returns that run, or None if it is new.

    Raises:
      InputError: the folder holds a run with different settings, or other files.
    """
    folder = pathlib.Path(folder)
    run = find(folder, type(settings))
    if run is None:
        if folder.is_file() or (folder.is_dir() and not files.is_empty(folder)):
            raise errors.InputError(
                f"{folder}: is a file, or a folder with files but no {RUN_FLAGS}; expected a new "
                "folder or the workdir of an earlier run: give another `workdir`"
            )
        return None
    differing = list(config.differences(run, settings))
    if differing:
        listed = "".join(
            f"\n  `{name}`: was {config.text_of(old)}, is now {config.text_of(new)}"
            for name, old, new in differing
        )
        reason = ""
        if "epochs" in {name for name, _, _ in differing}:
            reason = "\nThe learning rate's schedule depends on the number of epochs."
        raise errors.InputError(
            f"{folder}: this workdir was created with a different configuration:{listed}{reason}\n"
            "Give another `workdir`, or the same settings as before"
        )
    return run


def claim(folder: str | pathlib.Path, settings: _Run) -> None:
    """Creates the folder and writes the run's settings to it, as run.flags.

    If the folder already holds this run, its settings are kept, except that `epochs` and `patience`
    become the larger of the two values.

    Raises:
      InputError: see `check`.
    """
    run, path = check(folder, settings), pathlib.Path(folder) / RUN_FLAGS
    if run is not None:
        old, new = config.values(run), config.values(settings)
        larger = {name: max(old[name], new[name]) for name in _MAY_GROW if name in new}
        settings = config.changed(run, larger)
    files.sweep(folder)
    text = cli.serialise(settings)
    if run is None or path.read_text(**files.ENCODING) != text:
        with files.whole(path) as temporary:
            temporary.write_text(text, **files.ENCODING)

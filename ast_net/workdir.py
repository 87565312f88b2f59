"""The folder that a run leaves behind (its layout is in the README), and whose run it is."""

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
# A run may be called again with more of these; run.flags then has the larger number.
_GROWING = ("epochs", "patience")

_Run = TypeVar("_Run", bound=config.Experiment | config.Finetuning)


def weights_file(model: str) -> str:
    """Returns the name of the file with the weights of the best or the last epoch."""
    return f"{model}.weights.h5"


def find(folder: str | pathlib.Path, group: type[_Run]) -> _Run | None:
    """Returns the settings of the run in a folder; None if there is none.

    Raises:
      InputError: its run.flags is damaged, or holds more than a run's settings.
    """
    path = pathlib.Path(folder) / RUN_FLAGS
    if not path.is_file():
        return None
    with files.reading(path, "text", "restore it"):
        text = path.read_text(encoding="utf-8")
    return cli.deserialise(group, text, path)


def reopen(arguments: cli.Arguments, group: type[_Run]) -> _Run:
    """Returns the settings of the run in `workdir`, with what was given in place of what they had.

    Files that run.flags names are not opened: they may be somebody else's. What is not given anew is
    missing from the result, but for `data_dir`, which may be read and must not be written to.

    Raises:
      InputError: there is no such run, or its run.flags is damaged.
    """
    folder = arguments.read(config.RunModel).workdir
    if folder is None:
        raise errors.InputError("no run: give `workdir=FOLDER`, as it was given to train")
    run = find(folder, group)
    if run is None:
        raise errors.InputError(
            f"{pathlib.Path(folder) / RUN_FLAGS}: no such file; expected the workdir of a run, "
            "as training with `dataset` leaves it"
        )
    unknown = {"workdir": folder, "manual_dir": None, "backbone_weights": None}
    run = config.changed(run, unknown)
    given = arguments.change(run)
    if given.dataset == run.dataset:
        return given
    # What was said of the run's data set does not hold for another one.
    others = config.values(config.DataSource()) | config.values(config.ReactionDelay())
    return arguments.change(config.changed(run, others))


def may_write(arguments: cli.Arguments, run: config.Cache) -> bool:
    """Whether the run's `data_dir` may be written to: it was given, or is the usual one."""
    return arguments.has("data_dir") or run.data_dir == config.Cache().data_dir


def check(folder: str | pathlib.Path, settings: _Run) -> _Run | None:
    """Sees that the folder is new, or one that the same run was started in; returns that run.

    Raises:
      InputError: the folder holds a run with other settings, or other things.
    """
    folder = pathlib.Path(folder)
    run = find(folder, type(settings))
    if run is None:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise errors.InputError(
                f"{folder}: holds files but no {RUN_FLAGS}, or is a file; expected a new folder or one of "
                "an earlier run: give another `workdir`"
            )
        return None
    differing = list(config.differences(run, settings))
    if differing:
        listed = "".join(
            f"\n  `{name}`: {config.text_of(there)} there, {config.text_of(here)} now"
            for name, there, here in differing
        )
        reason = ""
        if "epochs" in {name for name, _, _ in differing}:
            reason = "\nThe learning rate's schedule depends on the number of epochs."
        raise errors.InputError(
            f"{folder}: this workdir was created with a different configuration:{listed}{reason}\nGive "
            "another `workdir`, or the settings as they were"
        )
    return run


def claim(folder: str | pathlib.Path, settings: _Run) -> None:
    """Makes the folder and leaves the run's settings in it; of those that are there more epochs count.

    Raises:
      InputError: as `check`.
    """
    run, path = check(folder, settings), pathlib.Path(folder) / RUN_FLAGS
    if run is not None:
        before, now = config.values(run), config.values(settings)
        more = {name: max(before[name], now[name]) for name in _GROWING if name in now}
        settings = config.changed(run, more)
    text = cli.serialise(settings)
    if run is None or path.read_text(encoding="utf-8") != text:
        with files.whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

"""The folder of a run (workdir): its file names, and the settings of the run that owns it.

The README describes the files.
"""

import pathlib
from collections.abc import Iterator
from typing import Any, TypeVar

from ast_net import cli, config, errors, fields, files

RUN_FLAGS = "run.flags"
CHECKPOINTS = "checkpoints"
MODEL_SPEC = "model.json"
HISTORY = "history.csv"
TENSORBOARD = "tensorboard"
EVALUATION = "evaluation"
# Receives the evaluations of the included model.
INCLUDED = "runs/included"
REACTION_DELAY = "reaction_delay"
# A run can be continued with a larger number of these; run.flags then holds the larger one.
_MAY_GROW = ("epochs", "patience")

_Run = TypeVar("_Run", bound=config.Experiment | config.Finetuning)


def weights_file(model: str) -> str:
    """Returns the name of the weights file of a model, best or last."""
    return f"{model}.weights.h5"


def evaluation_folder(folder: str | pathlib.Path, dataset: str | None, split: str) -> pathlib.Path:
    """Returns the folder in a workdir for the evaluation on a partition of a data set."""
    return pathlib.Path(folder) / EVALUATION / f"{dataset}_{split}"


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
    began = {"true": "bfloat16"}.get(fields.values(run)["mixed_precision"])
    return fields.changed(run, {"mixed_precision": began}) if began else run


def requested(arguments: cli.Arguments) -> config.Experiment:
    """Returns the run that the arguments of `train` describe.

    It is a new run, or, with a `workdir` but without a `dataset`, the run in that folder.

    Raises:
      InputError: the workdir holds no run, or its run.flags is damaged.
    """
    if arguments.has("dataset") or arguments.read(config.RunModel).workdir is None:
        return arguments.read(config.Experiment)
    return reopen(arguments, config.Experiment)


def evaluated(arguments: cli.Arguments) -> config.Experiment:
    """Returns the run that the arguments of `evaluate` name (`reopen`).

    Without a `workdir` the included model is meant, and the arguments only say on what.

    Raises:
      InputError: the workdir holds no run, its run.flags is damaged, or neither a run nor a data
        set is given.
    """
    if arguments.read(config.RunModel).workdir is not None:
        return reopen(arguments, config.Experiment)
    if not arguments.has("dataset"):
        raise errors.InputError(
            "nothing to evaluate: give `workdir=FOLDER`, the folder of a run, or `dataset=NAME` to "
            "evaluate the included model on that data set"
        )
    return arguments.read(config.Experiment)


def reopen(arguments: cli.Arguments, group: type[_Run]) -> _Run:
    """Returns the settings of the run in `workdir`, replaced by the flags that were given.

    The paths in run.flags are dropped, since the workdir may come from somebody else and must not
    decide which files are read or written. The one exception is the CNN's weights file, which
    model.json names: it is read, and used only if its digest is the one in model.json.

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
    paths = fields.values(config.Cache()) | {"manual_dir": None, "backbone_weights": None}
    paths["workdir"] = folder
    run = fields.changed(run, paths)
    given = arguments.change(run)
    if given.dataset == run.dataset:
        return given
    # Settings that describe the run's data set do not apply to another one.
    defaults = fields.values(config.DataSource()) | fields.values(config.ReactionDelay())
    return arguments.change(fields.changed(run, defaults))


def differences(stored: _Run, current: _Run) -> Iterator[tuple[str, Any, Any]]:
    """Yields name, stored value and current value of each setting that makes two runs different.

    Settings with `identity=False` do not make a difference: for example, a run may be continued
    with more epochs. Under a learning rate schedule the number of epochs does make a difference,
    because the learning rate depends on it.
    """
    schedule = fields.values(current).get("learning_rate_schedule", "constant")
    pairs = zip(fields.settings_of(stored), fields.settings_of(current), strict=True)
    for before, now in pairs:
        identity = now.field.metadata["identity"] or (
            schedule != "constant" and now.name == "epochs"
        )
        if identity and before.value != now.value:
            yield now.name, before.value, now.value


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
    differing = list(differences(run, settings))
    if differing:
        listed = "".join(
            f"\n  `{name}`: was {fields.text_of(old)}, is now {fields.text_of(new)}"
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
        old, new = fields.values(run), fields.values(settings)
        larger = {name: max(old[name], new[name]) for name in _MAY_GROW if name in new}
        settings = fields.changed(run, larger)
    files.sweep(folder)
    text = cli.serialise(settings)
    if run is None or path.read_text(**files.ENCODING) != text:
        with files.whole(path) as temporary:
            temporary.write_text(text, **files.ENCODING)

"""The folder that a run leaves behind (its layout is in the README)."""

import pathlib

from ast_net import errors, files

RUN_FLAGS = "run.flags"
CHECKPOINTS = "checkpoints"
MODEL_SPEC = "model.json"
HISTORY = "history.csv"
EVALUATION = "evaluation"
REACTION_DELAY = "reaction_delay"
# Where things lie may differ from call to call; every other flag is the run.
PLACES = ("--data_dir=", "--manual_dir=", "--workdir=")
# What runs were before these were flags.
OLDER_RUNS = ("--runtime=tensorflow", "--precision=float32")
# A comment in run.flags, before a flag whose value was found.
_FOUND_BY = "# found by "


def weights_file(model: str) -> str:
    """Returns the name of the file with the weights of the best or the last epoch."""
    return f"{model}.weights.h5"


def check(workdir: pathlib.Path, run_flags: str) -> None:
    """Sees that the folder is new, or one that the same run was started in.

    Args:
      workdir: the folder.
      run_flags: the run's configuration, one --flag=value a line.

    Raises:
      InputError: the folder holds a run of another configuration, or other things.
    """
    path = workdir / RUN_FLAGS
    if path.is_file():
        _compare(path, path.read_text().splitlines(), run_flags.splitlines())
    elif workdir.is_file() or (workdir.is_dir() and any(workdir.iterdir())):
        raise errors.InputError(
            f"{workdir}: holds files but no {RUN_FLAGS}, or is a file; expected a new folder or one of an "
            "earlier run: give another --workdir"
        )


def claim(workdir: pathlib.Path, run_flags: str) -> None:
    """Makes the folder and leaves the run's configuration in it, unless that is there already.

    Raises:
      InputError: as `check`.
    """
    check(workdir, run_flags)
    if not (workdir / RUN_FLAGS).is_file():
        with files.whole(workdir / RUN_FLAGS) as temporary:
            temporary.write_text(run_flags)


def settle(run_flags: str, asked: str, found: str) -> str:
    """The flags of a run with what it was asked to find, and found, in place of the question.

    Args:
      run_flags: the run's configuration, one --flag=value a line.
      asked: the line of the flag as given, --reaction_delay=auto.
      found: the line in its place, --reaction_delay=2.0,2.4; a comment before it keeps the question.
    """
    return run_flags.replace(f"{asked}\n", f"{_FOUND_BY}{asked}\n{found}\n")


def settled(workdir: pathlib.Path, asked: str) -> str | None:
    """What `settle` wrote in place of the question when the run was started; None if it was not asked."""
    path = workdir / RUN_FLAGS
    lines = path.read_text().splitlines() if path.is_file() else []
    return dict(zip(lines, lines[1:])).get(f"{_FOUND_BY}{asked}")


def _compare(path: pathlib.Path, found: list[str], expected: list[str]) -> None:
    ignored = (*PLACES, _FOUND_BY)
    there, here = ({line.partition("=")[0] for line in lines} for lines in (found, expected))
    found = found + [line for line in OLDER_RUNS if line.partition("=")[0] in here - there]
    before = [line for line in found if line not in expected and not line.startswith(ignored)]
    now = [line for line in expected if line not in found and not line.startswith(ignored)]
    if not before and not now:
        return
    raise errors.InputError(
        f"{path}: this workdir is of another configuration.\n  there: {' '.join(before)}\n"
        f"  now:   {' '.join(now)}\nGive another --workdir, or these flags as they were "
        f"(--flagfile={path})"
    )

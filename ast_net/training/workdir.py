"""The folder that a run leaves behind (its layout is in the README)."""

import pathlib

from ast_net import errors, files

RUN_FLAGS = "run.flags"
CHECKPOINTS = "checkpoints"
BEST_MODEL = "best.keras"
LAST_MODEL = "last.keras"
HISTORY = "history.csv"
EVALUATION = "evaluation"
# Where things lie may differ from call to call; every other flag is the run.
PLACES = ("--data_dir=", "--manual_dir=", "--workdir=")


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


def _compare(path: pathlib.Path, found: list[str], expected: list[str]) -> None:
    before = [line for line in found if line not in expected and not line.startswith(PLACES)]
    now = [line for line in expected if line not in found and not line.startswith(PLACES)]
    if not before and not now:
        return
    raise errors.InputError(
        f"{path}: this workdir is of another configuration.\n  there: {' '.join(before)}\n"
        f"  now:   {' '.join(now)}\nGive another --workdir, or these flags as they were "
        f"(--flagfile={path})"
    )

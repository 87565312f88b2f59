"""python -m ast_net.evaluate --workdir=...: tables, predictions and figures of a trained model."""

import pathlib

from absl import flags

from ast_net import cli, errors, workdir
from ast_net.training import runs

_SPLIT = flags.DEFINE_enum("split", "dev", ["train", "dev", "test"], "What to evaluate on.")
_MODEL = flags.DEFINE_enum(
    "model", "best", ["best", "last"], "Which of the run's models.", allow_override=True
)

flags.adopt_module_key_flags(cli)


def main() -> None:
    """Evaluates the run that is in the workdir."""
    if flags.FLAGS.workdir is None:
        raise errors.InputError("no run: give --workdir=FOLDER, as it was given to train")
    flagfile = pathlib.Path(flags.FLAGS.workdir) / workdir.RUN_FLAGS
    if not flagfile.is_file():
        raise errors.InputError(f"{flagfile}: no such file; expected the workdir of a run")
    cli.restore(str(flagfile))
    runs.evaluate(cli.experiment(), _SPLIT.value, _MODEL.value)


if __name__ == "__main__":
    cli.run(main)

"""python -m ast_net.describe --dataset=...: what is in a prepared data set."""

import pathlib

from absl import flags

from ast_net import cli
from ast_net.reports import inspection
from ast_net.training import runs

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Where tables and figures go. Default: DATA_DIR/description/DATASET.",
    allow_override=True,  # other verbs have one, too
)
_FACES = flags.DEFINE_integer(
    "faces", 24, "Faces on each recording's page; 0 for no pages.", lower_bound=0
)

flags.adopt_module_key_flags(cli)


def main() -> None:
    """Describes the data set of the flags."""
    experiment = cli.experiment()
    default = pathlib.Path(experiment.data_dir) / "description" / experiment.dataset
    folder = pathlib.Path(_OUTPUT_DIR.value) if _OUTPUT_DIR.value else default
    prepared = runs.prepare(experiment)
    inspection.describe(prepared, experiment.manual_dir, folder, _FACES.value)


if __name__ == "__main__":
    cli.run(main)

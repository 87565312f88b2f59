"""python -m ast_net.prepare: video files and ratings to records, without training."""

from absl import flags

from ast_net import cli
from ast_net.training import runs

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "beam_pipeline_options",
    None,
    "Options of Apache Beam, as runner=FlinkRunner,parallelism=8: it makes the recordings. Default: one "
    "after the other, here.",
)

flags.adopt_module_key_flags(cli)


def main() -> None:
    """Prepares the data set of the flags."""
    runs.prepare(cli.experiment(), FLAGS.beam_pipeline_options)


if __name__ == "__main__":
    cli.run(main)

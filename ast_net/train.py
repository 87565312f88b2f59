"""python -m ast_net.train: prepares the data if need be, trains, and evaluates."""

from absl import flags

from ast_net import cli
from ast_net.training import runs

flags.adopt_module_key_flags(cli)


def main() -> None:
    """Does the whole run that the flags describe."""
    runs.train_and_evaluate(cli.experiment(), cli.run_flags())


if __name__ == "__main__":
    cli.run(main)

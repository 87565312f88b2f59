"""python -m ast_net.prepare: video files and ratings to records, without training."""

from ast_net import cli
from ast_net.training import experiment


def main() -> None:
    """Prepares the data set of the flags."""
    experiment.prepare(cli.experiment())


if __name__ == "__main__":
    cli.run(main)

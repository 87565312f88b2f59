"""python -m ast_net.describe: what is in a data set."""

from ast_net import cli, config, main


def describe(arguments: cli.Arguments) -> None:
    """Describes the data set of the flags."""
    from ast_net.reports import inspection

    inspection.describe(arguments.read(config.Preparation), arguments.read(config.Description))


if __name__ == "__main__":
    main.run("describe", describe)

"""python -m ast_net.describe: shows what is in a data set."""

from ast_net import cli, config, main


def describe(arguments: cli.Arguments) -> None:
    """Describes the data set that the flags name."""
    settings, outputs = arguments.read(config.Preparation), arguments.read(config.Description)
    from ast_net.reports import inspection

    main.say_what_it_runs_on()
    inspection.describe(settings, outputs)


if __name__ == "__main__":
    main.run("describe", describe)

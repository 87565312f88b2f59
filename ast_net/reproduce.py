"""python -m ast_net.reproduce: makes the paper's tables and figures from your data."""

from ast_net import cli, config, main


def reproduce(arguments: cli.Arguments) -> None:
    """Trains all rows with all seeds, continuing an interrupted call, and writes the report."""
    settings, hardware = arguments.read(config.Reproduction), arguments.read(config.Devices)
    from ast_net import devices
    from ast_net.training import reproduction

    devices.use(hardware)
    reproduction.reproduce(settings, hardware)


if __name__ == "__main__":
    main.run("reproduce", reproduce)

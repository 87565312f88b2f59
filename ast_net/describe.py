"""python -m ast_net.describe: shows what is in a data set."""

from ast_net import cli, config, imports, main


def describe(arguments: cli.Arguments) -> None:
    """Describes the data set that the flags name."""
    settings, outputs = arguments.read(config.Preparation), arguments.read(config.Description)
    hardware = arguments.read(config.Devices)
    with imports.of_command():
        from ast_net import devices
        from ast_net.reports import inspection

    devices.use(hardware)
    inspection.describe(settings, outputs)


if __name__ == "__main__":
    main.run("describe", describe)

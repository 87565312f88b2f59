"""python -m ast_net.export: exports a model for servers and other runtimes."""

from ast_net import cli, config, imports, main


def export(arguments: cli.Arguments) -> None:
    """Exports the model that the flags name."""
    settings = arguments.read(config.Export)
    with imports.of_command():
        from ast_net import devices
        from ast_net.serving import exporting

    # A GPU gains nothing here, and others may need its memory.
    devices.use(config.Devices(device="cpu"))
    exporting.export(settings)


if __name__ == "__main__":
    main.run("export", export)

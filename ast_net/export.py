"""python -m ast_net.export: a model for servers and other runtimes."""

from ast_net import cli, config, main


def export(arguments: cli.Arguments) -> None:
    """Exports the model that the flags name."""
    from ast_net.serving import exporting

    exporting.export(arguments.read(config.Export))


if __name__ == "__main__":
    main.run("export", export)

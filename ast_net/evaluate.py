"""python -m ast_net.evaluate: evaluates a trained model."""

from ast_net import cli, config, imports, main, workdir


def evaluate(arguments: cli.Arguments) -> None:
    """Evaluates a run, on its own data set or another, or the included model."""
    run = workdir.evaluated(arguments)
    settings, hardware = arguments.read(config.Evaluation), arguments.read(config.Devices)
    with imports.of_command():
        from ast_net import devices
        from ast_net.training import runs

    devices.use(hardware)
    runs.evaluate(run, settings)


if __name__ == "__main__":
    main.run("evaluate", evaluate)

"""python -m ast_net.train: prepares the data if necessary, trains, and evaluates."""

from ast_net import cli, config, imports, main, workdir


def train(arguments: cli.Arguments) -> None:
    """Starts the run that the flags describe, or continues the one in the workdir."""
    run, hardware = workdir.requested(arguments), arguments.read(config.Devices)
    # Imported here, as in all commands, so that mistakes in flags need not wait for TensorFlow.
    with imports.of_command():
        from ast_net import devices
        from ast_net.training import runs

    devices.use(hardware)
    runs.train_and_evaluate(run)


if __name__ == "__main__":
    main.run("train", train)

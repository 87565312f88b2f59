"""python -m ast_net.finetune: trains the CNN on discrete expressions."""

from ast_net import cli, config, imports, main, workdir


def finetune(arguments: cli.Arguments) -> None:
    """Starts the run that the flags describe, or continues the one in the workdir."""
    if arguments.has("dataset") or not arguments.has("workdir"):
        settings = arguments.read(config.Finetuning)
    else:
        settings = workdir.reopen(arguments, config.Finetuning)
    hardware = arguments.read(config.Devices)
    with imports.of_command():
        from ast_net import devices
        from ast_net.training import expressions

    devices.use(hardware)
    expressions.finetune(settings)


if __name__ == "__main__":
    main.run("finetune", finetune)

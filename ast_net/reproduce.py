"""python -m ast_net.reproduce: makes the paper's tables and figures from your data."""

from ast_net import cli, config, errors, imports, main


def reproduce(arguments: cli.Arguments) -> None:
    """Trains all rows with all seeds, continuing an interrupted call, and writes the report."""
    settings, beam = arguments.read(config.Reproduction), arguments.read(config.BeamOptions)
    hardware = arguments.read(config.Devices)
    if beam.beam_pipeline_options and arguments.has("workers"):
        raise errors.InputError(
            "`workers` is for this machine, and the runner of `beam_pipeline_options` has its own "
            "number of workers: leave one of them out"
        )
    with imports.of_command():
        from ast_net import devices
        from ast_net.training import reproduction

    devices.use(hardware)
    reproduction.reproduce(settings, hardware, beam.beam_pipeline_options)


if __name__ == "__main__":
    main.run("reproduce", reproduce)

"""python -m ast_net.prepare: turns videos and ratings into records, without training."""

from ast_net import cli, config, imports, main, screen


def prepare(arguments: cli.Arguments) -> None:
    """Prepares the data set that the flags name."""
    settings, beam = arguments.read(config.Preparation), arguments.read(config.BeamOptions)
    hardware = arguments.read(config.Devices)
    with imports.of_command():
        from ast_net import devices
        from ast_net.records import store

    devices.use(hardware)
    prepared = store.prepare(settings, beam.beam_pipeline_options, needed=())
    count = screen.number(sum(map(len, prepared.splits.values())), "recording")
    print(f"{prepared.dataset}: {count}, prepared in {screen.shown(prepared.folder)}")


if __name__ == "__main__":
    main.run("prepare", prepare)

"""python -m ast_net.prepare: videos and ratings to records, without training."""

from ast_net import cli, config, main


def prepare(arguments: cli.Arguments) -> None:
    """Prepares the data set of the flags."""
    settings, beam = arguments.read(config.Preparation), arguments.read(config.BeamOptions)
    from ast_net.records import store

    prepared = store.prepare(settings, beam.beam_pipeline_options)
    count = sum(map(len, prepared.splits.values()))
    print(f"{prepared.dataset}: records of {count} recordings in {prepared.folder}")


if __name__ == "__main__":
    main.run("prepare", prepare)

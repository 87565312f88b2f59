"""python -m ast_net.prepare: videos and ratings to records, without training."""

from ast_net import cli, config, main


def prepare(arguments: cli.Arguments) -> None:
    """Prepares the data set of the flags."""
    from ast_net.records import (
        store,  # --help and mistakes in flags need not wait for TensorFlow
    )

    options = arguments.read(config.BeamOptions).beam_pipeline_options
    prepared = store.prepare(arguments.read(config.Preparation), options)
    print(
        f"{prepared.dataset}: records of {len(prepared.recordings)} recordings in {prepared.folder}"
    )


if __name__ == "__main__":
    main.run("prepare", prepare)

"""python -m ast_net.predict: predicts valence and arousal of every face in every frame."""

from ast_net import cli, config, errors, imports, main


def predict(arguments: cli.Arguments) -> None:
    """Predicts the inputs that the flags name."""
    source, outputs = arguments.read(config.Inputs), arguments.read(config.Outputs)
    settings, networks = arguments.read(config.Prediction), arguments.read(config.Networks)
    beam, hardware = arguments.read(config.BeamOptions), arguments.read(config.Devices)
    recordings = {}
    if source.camera is None:
        from ast_net.prediction import inputs

        # A wrong path need not wait for TensorFlow.
        recordings = inputs.find(source.video, source.pictures, source.recursive)
    with imports.of_command():
        from ast_net import devices
        from ast_net.prediction import session

    devices.use(hardware)
    summaries = session.predict(
        source, recordings, outputs, settings, networks, beam.beam_pipeline_options
    )
    failed = [summary for summary in summaries if summary.error]
    if len(summaries) == 1 and failed:
        raise errors.InputError(failed[0].error)
    if failed:
        listed = "".join(f"\n  {summary.error}" for summary in failed)
        raise errors.InputError(f"{len(failed)} of {len(summaries)} inputs failed:{listed}")


if __name__ == "__main__":
    main.run("predict", predict)

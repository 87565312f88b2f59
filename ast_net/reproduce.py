"""python -m ast_net.reproduce: makes the paper's tables and figures from your data."""

from ast_net import cli, config, main


def reproduce(arguments: cli.Arguments) -> None:
    """Trains all rows with all seeds, continuing an interrupted call, and writes the report."""
    settings, beam = arguments.read(config.Reproduction), arguments.read(config.BeamOptions)
    from ast_net.training import reproduction

    main.say_what_it_runs_on()
    reproduction.reproduce(settings, beam.beam_pipeline_options)


if __name__ == "__main__":
    main.run("reproduce", reproduce)

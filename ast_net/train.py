"""python -m ast_net.train: prepares the data if necessary, trains, and evaluates."""

from ast_net import cli, config, main, workdir


def train(arguments: cli.Arguments) -> None:
    """Starts the run that the flags describe, or continues the one in the workdir."""
    if arguments.has("dataset") or not arguments.has("workdir"):
        run, may_prepare = arguments.read(config.Experiment), True
    else:
        run = workdir.reopen(arguments, config.Experiment)
        may_prepare = workdir.may_write(arguments, run)
    # Imported here, as in all commands, so that mistakes in flags need not wait for TensorFlow.
    from ast_net.training import runs

    main.say_what_it_runs_on()
    runs.train_and_evaluate(run, may_prepare=may_prepare)


if __name__ == "__main__":
    main.run("train", train)

"""python -m ast_net.train: prepares the data if need be, trains, and evaluates."""

from ast_net import cli, config, main, workdir


def train(arguments: cli.Arguments) -> None:
    """Does the whole run that the flags describe, or goes on with the one in the workdir."""
    if arguments.has("dataset") or not arguments.has("workdir"):
        run, may_prepare = arguments.read(config.Experiment), True
    else:
        run = workdir.reopen(arguments, config.Experiment)
        may_prepare = workdir.may_write(arguments, run)
    # Mistakes in flags need not wait for TensorFlow; so in all verbs.
    from ast_net.training import runs

    main.say_what_it_runs_on()
    runs.train_and_evaluate(run, may_prepare=may_prepare)


if __name__ == "__main__":
    main.run("train", train)

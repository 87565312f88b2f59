"""python -m ast_net.train: prepares the data if need be, trains, and evaluates."""

from ast_net import cli, config, main, workdir


def train(arguments: cli.Arguments) -> None:
    """Does the whole run that the flags describe, or goes on with the one in the workdir."""
    from ast_net.training import (
        runs,  # --help and mistakes in flags need not wait for TensorFlow
    )

    if arguments.has("dataset") or not arguments.has("workdir"):
        runs.train_and_evaluate(arguments.read(config.Experiment))
    else:
        run = workdir.reopen(arguments, config.Experiment)
        runs.train_and_evaluate(run, may_prepare=workdir.may_write(arguments, run))


if __name__ == "__main__":
    main.run("train", train)

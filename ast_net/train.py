"""python -m ast_net.train: prepares the data if necessary, trains, and evaluates."""

from ast_net import cli, main, workdir


def train(arguments: cli.Arguments) -> None:
    """Starts the run that the flags describe, or continues the one in the workdir."""
    run = workdir.requested(arguments)
    # Imported here, as in all commands, so that mistakes in flags need not wait for TensorFlow.
    from ast_net.training import runs

    main.say_what_it_runs_on()
    runs.train_and_evaluate(run)


if __name__ == "__main__":
    main.run("train", train)

"""python -m ast_net.predict: valence and arousal of every face in every frame."""

import os
import sys

from ast_net import cli, config, errors, main


def predict(arguments: cli.Arguments) -> None:
    """Predicts what the flags name."""
    named, outputs = arguments.read(config.Inputs), arguments.read(config.Outputs)
    settings, networks = arguments.read(config.Prediction), arguments.read(config.Networks)
    if named.camera is None:
        from ast_net.prediction import inputs

        inputs.find(named.video)  # A wrong path need not wait for TensorFlow.
    from ast_net.prediction import session

    main.say_what_it_runs_on()
    try:
        summaries = session.predict(named, outputs, settings, networks)
    except BrokenPipeError:
        # Who reads JSON lines has read enough; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    failed = [summary for summary in summaries if summary.error]
    if len(summaries) == 1 and failed:
        raise errors.InputError(failed[0].error)
    if failed:
        listed = "".join(f"\n  {summary.error}" for summary in failed)
        raise errors.InputError(f"{len(failed)} of {len(summaries)} inputs failed:{listed}")


if __name__ == "__main__":
    main.run("predict", predict)

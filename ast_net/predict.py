"""python -m ast_net.predict: valence and arousal of every face in every frame."""

import os
import sys

from ast_net import cli, config, main


def predict(arguments: cli.Arguments) -> None:
    """Predicts what the flags name."""
    inputs, outputs = arguments.read(config.Inputs), arguments.read(config.Outputs)
    settings, networks = arguments.read(config.Prediction), arguments.read(config.Networks)
    from ast_net.prediction import session

    try:
        summaries = session.predict(inputs, outputs, settings, networks)
    except BrokenPipeError:
        # Who reads JSON lines has read enough; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    failed = [summary for summary in summaries if summary.error]
    print(
        f"{len(summaries) - len(failed)} of {len(summaries)} inputs: see {outputs.output_dir}",
        file=sys.stderr,
    )
    if failed:
        sys.exit("\n".join(["error:", *(f"  {summary.line()}" for summary in failed)]))


if __name__ == "__main__":
    main.run("predict", predict)

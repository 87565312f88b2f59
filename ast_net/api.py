"""The commands as functions for Python; `ast_net` has their names.

Settings have the names of the commands' flags.
"""

import os
import pathlib
from typing import TYPE_CHECKING, Any

from ast_net import cli, config, imports, noise, workdir

if TYPE_CHECKING:
    import pandas


def predict_video(
    path: str | os.PathLike,
    workdir: str | os.PathLike | None = None,
    pictures: str | None = None,
    **settings: Any,
) -> "pandas.DataFrame":
    """Predicts one video; for several, a `Predictor` loads the networks only once.

        table = ast_net.predict_video("talk.mp4")
        table.plot("timestamp_s", ["valence_smooth", "arousal_smooth"])

    Args:
      path, pictures: as of `Predictor.predict`.
      workdir, **settings: as of `Predictor`.

    Returns:
      The table that `Predictor.predict` returns.

    Raises:
      InputError: a setting is wrong, these are not a video or pictures, or the networks cannot be
        loaded.
    """
    with imports.without_collections():
        from ast_net.prediction import predictor

    return predictor.Predictor(workdir, **settings).predict(path, pictures)


def train_run(**settings: Any) -> pathlib.Path:
    """Trains a model, as the command `train` does.

        run = ast_net.train_run(dataset="recordings", manual_dir="FOLDER", epochs=50)
        table = ast_net.predict_video("talk.mp4", run)

    Args:
      **settings: settings of the command `train`. With a workdir but without a dataset, the run in
        that folder is continued.

    Returns:
      The run's folder; the README describes its files.

    Raises:
      InputError: a setting is wrong, the data cannot be used, or the folder has another run.
    """
    arguments = _arguments("train", settings)
    run, hardware = workdir.requested(arguments), arguments.read(config.Devices)
    from ast_net import devices
    from ast_net.training import runs  # Prediction needs neither data sets nor losses.

    devices.use(hardware)
    with noise.without_deprecations():
        return runs.train_and_evaluate(run)


def evaluate_run(
    workdir: str | os.PathLike | None = None, **settings: Any
) -> dict[str, Any] | None:
    """Evaluates a trained model, as the command `evaluate` does.

        metrics = ast_net.evaluate_run("runs/recordings", split="test")
        metrics["protocols"]["rated"]["average"]["ccc"]["mean"]

    Args:
      workdir: the run's folder; None for the included model, which needs a `dataset`.
      **settings: settings of the command `evaluate`.

    Returns:
      The content of metrics.json; None if the partition has no ratings.

    Raises:
      InputError: a setting is wrong, or the data or the model cannot be used.
    """
    arguments = _arguments("evaluate", settings | {"workdir": workdir})
    run, hardware = _evaluated(arguments), arguments.read(config.Devices)
    from ast_net import devices
    from ast_net.training import runs

    devices.use(hardware)
    with noise.without_deprecations():
        return runs.evaluate(run, arguments.read(config.Evaluation))


def _evaluated(arguments: cli.Arguments) -> config.Experiment:
    return workdir.evaluated(arguments)


def _arguments(verb: str, settings: dict[str, Any]) -> cli.Arguments:
    return cli.from_keywords(cli.VERBS[verb].groups, settings)

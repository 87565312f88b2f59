"""A whole run: prepare, train, evaluate. Each verb is one of these calls."""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Iterator

import keras
import tensorflow as tf
import tensorflow_datasets as tfds

from ast_net import config, errors, workdir
from ast_net.cnn import backbone
from ast_net.records import clips, example_format, reaction_delay, store
from ast_net.reports import delay_report, evaluation, figures
from ast_net.temporal import stacked_lstm as lstm
from ast_net.temporal import streaming, temporal_model
from ast_net.training import temporal_step

# The flag of a run that is to find its reaction delay, as run.flags would have it.
_FIND_DELAY = "--reaction_delay=auto"


def prepare(
    experiment: config.Experiment, beam_pipeline_options: str | None = None
) -> tfds.core.DatasetBuilder:
    """Video files and ratings to records, unless that is done already.

    Args:
      experiment: the run.
      beam_pipeline_options: as for `store.prepare`.
    """
    settings = example_format.RecordsConfig(
        backbone=experiment.backbone,
        backbone_weights=experiment.backbone_weights,
        runtime=store.runtime_of(experiment.dataset, experiment.runtime, experiment.backbone),
        clip=experiment.training.clip,
        targets=experiment.record_targets,
        partitions=experiment.partitions,
        video_pattern=experiment.video_pattern,
        max_rating_gap=experiment.max_rating_gap,
    )
    return store.prepare(
        experiment.dataset,
        settings,
        experiment.data_dir,
        experiment.manual_dir,
        beam_pipeline_options,
    )


def train_and_evaluate(experiment: config.Experiment, run_flags: str) -> None:
    """Prepares the data, trains in the workdir, and evaluates the best model on dev.

    Args:
      experiment: the run.
      run_flags: the run's configuration as a flagfile, left in the workdir.
    """
    folder = pathlib.Path(experiment.workdir)
    found, searched = experiment.training.reaction_delay, None
    earlier = workdir.settled(folder, _FIND_DELAY) if experiment.find_reaction_delay else None
    if earlier is not None:
        run_flags = workdir.settle(run_flags, _FIND_DELAY, earlier)
    workdir.check(folder, run_flags)
    builder = prepare(experiment)
    if earlier is not None:
        found = _delays_of(earlier, folder)
    elif experiment.find_reaction_delay:
        searched = find_reaction_delay(experiment, builder)
        found = tuple(searched.found.tolist())
        flag = "--reaction_delay=" + ",".join(str(delay) for delay in found)
        run_flags = workdir.settle(run_flags, _FIND_DELAY, flag)
    training = dataclasses.replace(experiment.training, reaction_delay=found)
    experiment = dataclasses.replace(experiment, training=training, find_reaction_delay=False)
    # Only now: a run that fails for want of a file may be called again with other flags.
    workdir.claim(folder, run_flags)
    if searched is not None:
        delay_report.report(folder / workdir.REACTION_DELAY, searched, experiment.targets)
    with _damage_reported(builder):
        _train(experiment, builder, folder)
    _evaluate(experiment, builder, "dev", workdir.BEST_MODEL)


def find_reaction_delay(
    experiment: config.Experiment, builder: tfds.core.DatasetBuilder
) -> reaction_delay.Search:
    """Each target's reaction delay, from the training partition alone."""
    with _damage_reported(builder):
        segments = store.segments(builder, "train")
        return reaction_delay.search(segments, experiment.target_columns)


def _delays_of(flag: str, folder: pathlib.Path) -> tuple[float, ...]:
    """The numbers of a line --reaction_delay=2.0,2.4 of run.flags."""
    try:
        return tuple(float(delay) for delay in flag.partition("=")[2].split(","))
    except ValueError:
        raise errors.InputError(
            f"{folder / workdir.RUN_FLAGS}: found {flag}, expected --reaction_delay= and seconds; give another "
            "--workdir"
        ) from None


@contextlib.contextmanager
def _damage_reported(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
    """Says which records TensorFlow found damaged, which it does not."""
    try:
        yield
    except tf.errors.DataLossError as error:
        raise errors.InputError(
            f"{builder.data_dir}: records are damaged ({error.message}). Delete this folder and prepare "
            "again (faces that were found are kept)"
        ) from error


def _train(
    experiment: config.Experiment, builder: tfds.core.DatasetBuilder, folder: pathlib.Path
) -> None:
    train_segments = store.segments(builder, "train")
    temporal_model.save_origin(folder / workdir.ORIGIN, _origin(experiment, train_segments))
    moments = clips.feature_moments(train_segments)
    keras.utils.set_random_seed(experiment.training.seed)
    model = lstm.build_stacked_lstm(
        len(moments[0]),
        experiment.lstm.units,
        len(experiment.targets),
        "mixed_bfloat16" if experiment.training.mixed_precision else "float32",
        moments,
    )

    def batches(epoch: int):
        return clips.batches(train_segments, experiment.training, experiment.target_columns, epoch)

    predictor = streaming.StreamingPredictor(model, experiment.training.clip.stride)

    def dev_cc() -> dict[str, float]:
        predictions = _predict(experiment, builder, "dev", predictor)
        table = evaluation.tabulate(predictions, experiment.targets)
        means = {target: table[target]["cc"]["mean"] for target in experiment.targets}
        return {target: math.nan if cc is None else cc for target, cc in means.items()}

    temporal_step.train(model, batches, dev_cc, folder, experiment.training, experiment.loss)


def _origin(experiment: config.Experiment, segments: tf.data.Dataset) -> temporal_model.Origin:
    """What predicting with the run's model must know."""
    name, weights = experiment.backbone, experiment.backbone_weights
    return temporal_model.Origin(
        targets=experiment.targets,
        backbone=name,
        weights_id=backbone.weights_id(name, weights),
        backbone_weights=weights,
        clip_frames=experiment.training.clip.frames,
        stride=experiment.training.clip.stride,
        frame_rate=clips.frame_rate(segments),
    )


def evaluate(experiment: config.Experiment, split: str, model: str) -> None:
    """Evaluates a trained model of the workdir: tables, predictions and figures.

    Args:
      experiment: the run that left the workdir.
      split: train, dev or test.
      model: the file in the workdir, best.keras or last.keras.
    """
    if experiment.find_reaction_delay:
        raise errors.InputError(
            "--reaction_delay=auto is for train, which leaves the delay it finds in the workdir; evaluate takes "
            "that, or seconds"
        )
    builder = prepare(experiment)
    with _damage_reported(builder):
        _evaluate(experiment, builder, split, model)


def _evaluate(experiment: config.Experiment, builder, split: str, model: str) -> None:
    if split not in builder.info.splits:
        raise errors.InputError(
            f"{experiment.dataset} has no split {split}, expected one of {sorted(builder.info.splits)}"
        )
    path = pathlib.Path(experiment.workdir) / model
    predictor = streaming.StreamingPredictor(lstm.load(path), experiment.training.clip.stride)
    predictions = _predict(experiment, builder, split, predictor)
    table = evaluation.tabulate(predictions, experiment.targets)
    folder = path.parent / (
        workdir.EVALUATION if split == "dev" else f"{workdir.EVALUATION}_{split}"
    )
    evaluation.write(folder, predictions, experiment.targets, table)
    figures.write(folder / "figures", predictions, experiment.targets, table)
    print(evaluation.format_table(table))
    for name in evaluation.undefined(table):
        print(f"{name}: no CC (nothing valid, or a constant series); left out of mean, min and max")
    print(f"{len(predictions)} recordings of {experiment.dataset}, {split}: see {folder}")


def _predict(
    experiment: config.Experiment, builder, split: str, predictor: streaming.StreamingPredictor
) -> list[evaluation.Prediction]:
    training = experiment.training
    return list(
        evaluation.predict(
            predictor,
            store.segments(builder, split),
            training.reaction_delay,
            experiment.target_columns,
        )
    )

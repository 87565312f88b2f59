"""A whole run: prepare, train, evaluate."""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from ast_net import config, errors, workdir
from ast_net.cnn import backbone
from ast_net.records import catalogue, clips, reaction_delay, store
from ast_net.reports import delay_report, evaluation, evaluation_figures
from ast_net.temporal import siamese, stacked_lstm, streaming, temporal_model
from ast_net.training import temporal_step


def train_and_evaluate(experiment: config.Experiment, may_prepare: bool = True) -> None:
    """Prepares the data, trains in the workdir, and evaluates the best model on dev.

    Args:
      experiment: the run; what it leaves to the data set is filled in (`completed`).
      may_prepare: whether records may be made, or must be there.

    Raises:
      InputError: the data cannot be used, or the workdir is another run's.
    """
    experiment = completed(experiment)
    folder = pathlib.Path(str(experiment.workdir))
    run = workdir.find(folder, config.Experiment)
    if run and run.reaction_delay.origin == "found" and experiment.reaction_delay.seconds == "auto":
        experiment = dataclasses.replace(experiment, reaction_delay=run.reaction_delay)
    workdir.check(folder, experiment)
    records = _records(experiment, folder, may_prepare)
    spec = _spec(experiment, folder, records)
    search = None
    if experiment.reaction_delay.seconds == "auto":
        search = find_reaction_delay(records)
        delay = config.ReactionDelay(tuple(search.seconds.tolist()), "found")
        experiment = dataclasses.replace(experiment, reaction_delay=delay)
    # Only now: a run that fails for want of a file may be called again with other settings.
    workdir.claim(folder, experiment)
    temporal_model.save_spec(folder / workdir.MODEL_SPEC, spec)
    if search is not None:
        delay_report.report(folder / workdir.REACTION_DELAY, search, experiment.targets)
    with _damage_reported(records):
        _train(experiment, records, folder)
    _evaluate(experiment, records, folder, "dev", "best")


def evaluate(
    experiment: config.Experiment, settings: config.Evaluation, may_prepare: bool = True
) -> None:
    """Evaluates a model of a run: tables, predictions and figures.

    Args:
      experiment: the run that left the workdir, or the same with another data set.
      settings: which model, and which split.
      may_prepare: whether records may be made, or must be there.

    Raises:
      InputError: the data or the model cannot be used.
    """
    experiment = completed(experiment)
    if experiment.reaction_delay.seconds == "auto":
        raise errors.InputError(
            "`reaction_delay=auto` is for train, which leaves the delay that it finds in the workdir; "
            "evaluate takes that, or seconds"
        )
    folder = pathlib.Path(str(experiment.workdir))
    records = _records(experiment, folder, may_prepare)
    with _damage_reported(records):
        _evaluate(experiment, records, folder, settings.split, settings.model)


def completed(experiment: config.Experiment) -> config.Experiment:
    """Returns the experiment with the data set's own workdir, precision and reaction delay filled in."""
    reader = catalogue.data_set(experiment).reader
    changes: dict = {"runtime": store.resolved(experiment).runtime}
    if experiment.workdir is None:
        changes["workdir"] = f"runs/{experiment.dataset}"
    if experiment.reaction_delay.seconds is None:
        changes["reaction_delay"] = config.ReactionDelay((reader.REACTION_DELAY,))
    return dataclasses.replace(experiment, **changes)


def find_reaction_delay(records: store.Records) -> reaction_delay.DelaySearch:
    """Finds each target's reaction delay, on the training partition alone."""
    with _damage_reported(records):
        return reaction_delay.search(records.segments("train"), len(records.targets))


def _records(
    experiment: config.Experiment, folder: pathlib.Path, may_prepare: bool
) -> store.Records:
    """Opens the records of a run, and makes them if need be and allowed."""
    if may_prepare and (experiment.manual_dir or not (folder / workdir.MODEL_SPEC).is_file()):
        return store.prepare(experiment)
    spec = temporal_model.load_spec(folder / workdir.MODEL_SPEC)
    own = workdir.find(folder, config.Experiment)
    same_data = own is not None and own.dataset == experiment.dataset
    records = store.find(experiment, spec.backbone_digest, spec.records if same_data else None)
    if records is not None:
        return records
    if may_prepare:
        return store.prepare(experiment)
    raise errors.InputError(
        f"{experiment.data_dir}: the records of this run are not here: give `data_dir`, and if they must "
        "be made `manual_dir` and `backbone_weights`"
    )


def _spec(
    experiment: config.Experiment, folder: pathlib.Path, records: store.Records
) -> temporal_model.ModelSpec:
    """What predicting with the run's model must know; what is there already must agree.

    Raises:
      InputError: the run was begun with other weights of the CNN, or with other recordings.
    """
    path = folder / workdir.MODEL_SPEC
    if path.is_file():
        spec = temporal_model.load_spec(path)
        if spec.records != records.digest:
            raise errors.InputError(
                f"{folder}: videos, ratings or the CNN's weights have changed since this run began (records "
                f"{spec.records} there, {records.digest} now): give another `workdir`"
            )
        return spec
    weights = experiment.backbone_weights
    return temporal_model.ModelSpec(
        targets=experiment.targets,
        backbone=experiment.backbone,
        backbone_digest=backbone.weights_id(experiment.backbone, weights),
        backbone_weights=weights,
        feature_size=backbone.FEATURE_SIZE[experiment.backbone],
        units=experiment.lstm.units,
        clip_frames=experiment.clip.frames,
        stride=experiment.clip.stride,
        frame_rate=records.frame_rate,
        records=records.digest,
    )


@contextlib.contextmanager
def _damage_reported(records: store.Records) -> Iterator[None]:
    """Says which records TensorFlow found damaged, which it does not."""
    try:
        yield
    except tf.errors.DataLossError as error:
        raise records.damage(error) from error


def _train(experiment: config.Experiment, records: store.Records, folder: pathlib.Path) -> None:
    moments = records.moments()
    keras.utils.set_random_seed(experiment.training.seed)
    model = stacked_lstm.build_stacked_lstm(
        len(moments[0]),
        experiment.lstm.units,
        len(experiment.targets),
        "mixed_bfloat16" if experiment.training.mixed_precision else "float32",
        moments,
    )
    predictor = streaming.StreamingPredictor(model, experiment.clip.stride)
    train_segments = records.segments("train")
    delays = experiment.reaction_delay.each(len(experiment.targets))

    def batches(epoch: int) -> tf.data.Dataset:
        return clips.batches(train_segments, experiment, epoch)

    def dev_cc() -> dict[str, float]:
        predictions = evaluation.predict(predictor, records.segments("dev"), delays)
        table = evaluation.tabulate(list(predictions), experiment.targets)
        means = {target: table[target]["cc"]["mean"] for target in experiment.targets}
        return {target: math.nan if cc is None else cc for target, cc in means.items()}

    training_model = siamese.build_training_model(
        siamese.build_siamese(model), experiment.clip, experiment.loss
    )
    temporal_step.train(model, training_model, batches, dev_cc, folder, experiment.training)


def _evaluate(
    experiment: config.Experiment,
    records: store.Records,
    folder: pathlib.Path,
    split: str,
    model: str,
) -> None:
    network = temporal_model.load(folder, model).network
    predictor = streaming.StreamingPredictor(network, experiment.clip.stride)
    delays = experiment.reaction_delay.each(len(experiment.targets))
    predictions = list(evaluation.predict(predictor, records.segments(split), delays))
    table = evaluation.tabulate(predictions, experiment.targets)
    output = folder / workdir.EVALUATION / f"{experiment.dataset}_{split}"
    evaluation.write(output, predictions, table)
    evaluation_figures.write(output / "figures", predictions, table)
    print(evaluation.format_table(table))
    for name in evaluation.undefined(table):
        print(f"{name}: no CC (nothing valid, or a constant series); left out of mean, min and max")
    print(f"{len(predictions)} recordings of {experiment.dataset}, {split}: see {output}")

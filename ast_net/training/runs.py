"""A complete run: prepares the data, trains, and evaluates."""

import dataclasses
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from ast_net import config, devices, errors, screen, shipped, workdir
from ast_net.cnn import backbone
from ast_net.records import catalogue, clips, reaction_delay, record_files, store
from ast_net.reports import delay_report, evaluation, tables
from ast_net.temporal import scoring, siamese, stacked_lstm, streaming, temporal_model
from ast_net.training import checks, history, selection, temporal_step


def train_and_evaluate(experiment: config.Experiment) -> pathlib.Path:
    """Prepares the data, trains in the workdir, and evaluates the best model.

    It is evaluated on dev, and on test if that partition has ratings.

    Args:
      experiment: the run; defaults that depend on the data set are filled in (`completed`).

    Returns:
      The workdir.

    Raises:
      InputError: the data cannot be used, or the workdir belongs to another run.
    """
    experiment = completed(experiment)
    folder = pathlib.Path(str(experiment.workdir))
    run = workdir.find(folder, config.Experiment)
    if run and run.reaction_delay.origin == "found" and experiment.reaction_delay.seconds == "auto":
        experiment = dataclasses.replace(experiment, reaction_delay=run.reaction_delay)
    experiment = devices.resolved(experiment, run)
    workdir.check(folder, experiment)
    records = _records(experiment, folder, ("train", "dev"))
    search = None
    if experiment.reaction_delay.seconds == "auto":
        search = find_reaction_delay(records)
        delay = config.ReactionDelay(tuple(search.seconds.tolist()), "found")
        experiment = dataclasses.replace(experiment, reaction_delay=delay)
    checks.check(records, experiment)
    spec = _spec(experiment, folder, records)
    # The workdir is claimed only now, so that a run that failed because a file was missing can be
    # started again with other settings.
    workdir.claim(folder, experiment)
    temporal_model.save_spec(folder / workdir.MODEL_SPEC, spec)
    if search is not None:
        delay_report.report(folder / workdir.REACTION_DELAY, search, experiment.targets)
    with records.naming_damage():
        _train(experiment, records, folder)
    weights = [workdir.weights_file(model) for model in ("best", "last")]
    screen.wrote(folder, *weights, workdir.MODEL_SPEC, workdir.RUN_FLAGS, workdir.HISTORY)
    loaded, selected = temporal_model.load(folder, "best"), _selection(folder, "best")
    for split in ("dev", "test"):
        if has_ratings(records, split):
            output = workdir.evaluation_folder(folder, experiment.dataset, split)
            _evaluate(experiment, records, loaded, selected, split, output)
    return folder


def evaluate(experiment: config.Experiment, settings: config.Evaluation) -> dict | None:
    """Evaluates a model of a run, or the included one: writes tables, predictions and figures.

    A partition without ratings is predicted but not scored.

    Args:
      experiment: the run in the workdir, or the same run with another data set; for the included
        model, one that only has a data set.
      settings: which model and which partition to evaluate; without a workdir, the included model.

    Returns:
      The content of metrics.json; None for a partition without ratings.

    Raises:
      InputError: the data or the model cannot be used.
    """
    experiment = completed(experiment)
    if experiment.reaction_delay.seconds == "auto":
        raise errors.InputError(
            "`reaction_delay=auto` is for train: leave it out to use the delay that train found, "
            "or give seconds"
        )
    folder = None if settings.workdir is None else pathlib.Path(settings.workdir)
    place = folder or workdir.INCLUDED
    output = workdir.evaluation_folder(place, experiment.dataset, settings.split)
    if settings.output_dir is not None:
        output = pathlib.Path(settings.output_dir)
        evaluation.check_folder(output)
    # All that can fail at once comes before hours of face tracking.
    loaded = temporal_model.load(folder, settings.model)
    selected = (0, "none") if folder is None else _selection(folder, settings.model)
    records = _records(experiment, folder, (settings.split,))
    return _evaluate(experiment, records, loaded, selected, settings.split, output)


def completed(experiment: config.Experiment) -> config.Experiment:
    """Returns the experiment with workdir, precision and reaction delay filled in.

    Their defaults depend on the data set.
    """
    reader = catalogue.data_set(experiment).reader
    changes: dict = {"runtime": store.resolved(experiment).runtime}
    if experiment.workdir is None:
        changes["workdir"] = f"runs/{experiment.dataset}"
    if experiment.reaction_delay.seconds is None:
        changes["reaction_delay"] = config.ReactionDelay((reader.REACTION_DELAY,))
    return dataclasses.replace(experiment, **changes)


def find_reaction_delay(records: record_files.Records) -> reaction_delay.DelaySearch:
    """Finds the reaction delay of each target, using only the training partition."""
    with records.naming_damage():
        return reaction_delay.search(records.segments("train"), len(records.targets))


def _records(
    experiment: config.Experiment, folder: pathlib.Path | None, needed: tuple[str, ...]
) -> record_files.Records:
    """Opens the records of a run; makes them if they are missing and the source is given.

    If there is a model already, the features are those of the CNN that it was trained with.

    Args:
      experiment: the run.
      folder: its workdir, which may not exist yet; None for the included model.
      needed: the splits that must not be empty.

    Raises:
      InputError: there are no records in `data_dir` and the source is not given, or the CNN's
        weights are not those of the model.
    """
    spec_file = shipped.STACKED_LSTM_SPEC if folder is None else folder / workdir.MODEL_SPEC
    if not spec_file.is_file():
        return store.prepare(experiment, needed=needed)
    spec = temporal_model.load_spec(spec_file)
    if experiment.backbone_weights:
        temporal_model.cnn_weights(spec, experiment.backbone_weights)
    if not experiment.manual_dir:
        run = None if folder is None else workdir.find(folder, config.Experiment)
        same_data = run is not None and run.dataset == experiment.dataset
        digest = spec.records if same_data else None
        wanted = () if digest else needed
        records = store.find(experiment, spec.backbone_digest, digest, wanted)
        if records is not None:
            return records
        has_folder = catalogue.data_set(experiment).reader(experiment).has_folder()
        if run is not None and not has_folder:
            used = f", which used `data_dir={run.data_dir}`" if same_data else ""
            raise errors.InputError(
                f"{experiment.data_dir}: no records of this run{used}: give `data_dir`; to make "
                "the records again, also give `manual_dir`"
            )
    weights = temporal_model.cnn_weights(spec, experiment.backbone_weights)
    experiment = dataclasses.replace(experiment, backbone_weights=weights)
    return store.prepare(experiment, needed=needed)


def stored_spec(
    folder: pathlib.Path, records: record_files.Records
) -> temporal_model.ModelSpec | None:
    """Returns the specification of the model in a workdir; None if there is none yet.

    Raises:
      InputError: model.json is damaged, or the run was started with other records.
    """
    path = folder / workdir.MODEL_SPEC
    if not path.is_file():
        return None
    spec = temporal_model.load_spec(path)
    if spec.records != records.digest:
        raise errors.InputError(
            f"{folder}: videos, ratings or the CNN's weights have changed since this run started "
            f"(records {spec.records} then, {records.digest} now): give another `workdir`"
        )
    return spec


def _spec(
    experiment: config.Experiment, folder: pathlib.Path, records: record_files.Records
) -> temporal_model.ModelSpec:
    """Returns the specification of the run's model; a workdir that has one keeps it.

    Raises:
      InputError: see `stored_spec`.
    """
    spec = stored_spec(folder, records)
    if spec is not None:
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
        time_step=records.time_step,
        frame_rate=records.frame_rate,
        reaction_delay=_delays(experiment),
        records=records.digest,
    )


def _train(
    experiment: config.Experiment, records: record_files.Records, folder: pathlib.Path
) -> None:
    moments = records.moments()
    keras.utils.set_random_seed(experiment.training.seed)
    model = stacked_lstm.build_stacked_lstm(
        len(moments[0]),
        experiment.lstm.units,
        len(experiment.targets),
        devices.policy(experiment.training.mixed_precision),
        moments,
        "float16",
    )
    predictor = streaming.StreamingPredictor(model, records.time_step)

    def batches(epoch: int) -> tf.data.Dataset:
        segments, interleaved = records.shuffled("train", (experiment.training.seed, epoch))
        return clips.batches(segments, interleaved, experiment, records.time_step, epoch)

    # As many training recordings as dev has, so that scoring takes no longer for train.
    dev, train = records.segments("dev"), records.segments("train", len(records.splits["dev"]))

    def scores() -> dict[str, float]:
        means = _means(experiment, records, "dev", predictor, dev, ("cc", "ccc"))
        return means | _means(experiment, records, "train", predictor, train, ("cc",))

    training_model = siamese.build_training_model(
        siamese.build_siamese(model), experiment.clip, experiment.loss
    )
    dev_batches = clips.measuring_batches(dev, experiment, records.time_step)
    temporal_step.train(model, training_model, batches, dev_batches, scores, folder, experiment)


def has_ratings(records: record_files.Records, split: str) -> bool:
    """Returns whether the data set has this partition, and the partition has ratings."""
    frames = records.frames(split) if split in records.splits else ()
    return any(np.isfinite(recording.labels).any() for recording in frames)


def _means(
    experiment: config.Experiment,
    records: record_files.Records,
    split: str,
    predictor: streaming.StreamingPredictor,
    segments: tf.data.Dataset,
    measures: tuple[str, ...],
) -> dict[str, float]:
    """Returns {column of history.csv: mean over recordings, protocol `rated`}, NaN if undefined."""
    predictions = list(evaluation.predict(predictor, segments))
    seconds = experiment.clip.seconds(records.time_step)
    delays = _delays(experiment)
    scores = scoring.score(predictions, experiment.targets, delays, seconds, intervals=False)
    rated = scores["protocols"]["rated"]
    means = {
        f"{split}_{measure}_{target}": rated[target][measure]["mean"]
        for measure in measures
        for target in experiment.targets
    }
    return {name: math.nan if mean is None else mean for name, mean in means.items()}


def _delays(experiment: config.Experiment) -> tuple[float, ...]:
    return experiment.reaction_delay.per_target(len(experiment.targets))


def _evaluate(
    experiment: config.Experiment,
    records: record_files.Records,
    loaded: temporal_model.TemporalModel,
    selected: tuple[int, str],
    split: str,
    output: pathlib.Path,
) -> dict | None:
    predictor = streaming.StreamingPredictor(loaded.network, loaded.spec.time_step)
    with records.naming_damage():
        predictions = list(evaluation.predict(predictor, records.segments(split)))
    epoch, selected_by = selected
    chose_epoch = split == "dev" and selected_by != "last" and loaded.spec.records == records.digest
    metrics = evaluation.report(
        output,
        predictions,
        experiment.targets,
        evaluation.EvaluationSetup(split, epoch, selected_by, chose_epoch, _delays(experiment)),
        config.Clip(loaded.spec.clip_frames).seconds(loaded.spec.time_step),
        catalogue.data_set(experiment).reader,
    )
    count = screen.number(len(predictions), "recording")
    if metrics is None:
        print(f"{experiment.dataset}, {split}: {count} without ratings, predicted but not scored")
        screen.wrote(output, "predictions.csv", "avec/")
        return None
    print(f"\n{experiment.dataset}, {split}: {count}")
    print(evaluation.format_table(metrics))
    for remark in evaluation.remarks(metrics, str(experiment.dataset)):
        print(remark)
    screen.wrote(output, "metrics.json", "recordings.csv", "predictions.csv", "figures/", "avec/")
    return tables.json_data(metrics)


def _selection(folder: pathlib.Path, model: str) -> tuple[int, str]:
    """Returns the epoch of a run's model, counted from 1, and the criterion that selected it."""
    run = workdir.find(folder, config.Experiment)
    assert run is not None
    rows = history.read(folder / workdir.HISTORY)
    first = selection.first_full_loss_epoch(run.training, run.loss)
    if model == "last" or len(rows) <= first:
        return len(rows), "last"
    scores = [selection.score(row, run.training.select_by) for row in rows]
    return selection.best(scores, first) + 1, run.training.select_by

"""Reproduces the paper's Table 1 on one data set: trains each row with each seed, then reports.

Runs are trained in parallel by the `train` command, in the workdirs WORKDIR/[fold_K/]ROW/seed_S/.
Their logs are in WORKDIR/logs/.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from absl import logging

from ast_net import cli, config, devices, errors, fields, jobs, workdir
from ast_net.datasets import reader
from ast_net.records import catalogue, record_files, store
from ast_net.reports import comparison, delay_report, reproduction_scores
from ast_net.training import baselines, checks, runs

# Fields of `config.LossWeights` by the abbreviations of the paper's Table 1.
_TERMS = {"La": "label", "T": "trend", "Lo": "local", "G": "global_", "S": "siamese", "CCC": "ccc"}

Folds = dict[str, dict[str, tuple[str, ...]]]


def reproduce(
    settings: config.Reproduction,
    hardware: config.Devices,
    beam_pipeline_options: str | None = None,
) -> None:
    """Prepares the data once, trains the runs that are not finished, and writes the report.

    Args:
      settings: the data set, the rows, the seeds, and the settings that all runs share.
      hardware: how the runs compute; the GPUs are those in use here, one for each run.
      beam_pipeline_options: prepare and train with Apache Beam with these options; None to do so on
        this machine.

    Raises:
      InputError: the data cannot be used; or the workdir has runs with other settings; or runs
        failed, in which case the report covers the remaining ones.
    """
    jobs.require_file_locks()
    experiment = fields.changed(config.Experiment(), fields.values(settings))
    root = pathlib.Path(settings.workdir or f"runs/reproduce-{settings.dataset}")
    experiment = devices.resolved(experiment, _begun(root))
    rows = [row for row in config.ROWS if row in (settings.rows or config.ROWS)]
    of_videos = catalogue.data_set(experiment).reader.OF_VIDEOS
    store.prepare(experiment, beam_pipeline_options if of_videos else None)
    commands: list[jobs.Command] = []
    evaluations: dict[str, list[reproduction_scores.RunEvaluation]] = {}
    for fold, partitions in _folds(experiment, settings.folds).items():
        study = fields.changed(experiment, {f"{s}_recordings": n for s, n in partitions.items()})
        study = runs.completed(dataclasses.replace(study, workdir=str(root / fold)))
        records = store.prepare(study)
        study = _with_reaction_delay(study, records)
        checks.check(records, study)
        # A cross-validation tests each recording once, in the fold whose test partition has it;
        # the dev partitions, which choose the epochs, are not scored.
        candidates = ("test",) if fold else ("dev", "test")
        splits = [split for split in candidates if runs.has_ratings(records, split)]
        for row in rows:
            for seed in range(1 if row in config.BASELINES else settings.seeds):
                run = run_of(study, row, seed)
                folder = pathlib.Path(str(run.workdir))
                outputs = {
                    split: workdir.evaluation_folder(folder, run.dataset, split) for split in splits
                }
                if row in config.BASELINES:
                    baselines.evaluate(row, run, records, splits)
                else:
                    workdir.check(folder, run)
                    runs.stored_spec(folder, records)  # refuses a run with other records
                    commands.append(_command(root, run, [*outputs.values()], hardware))
                for split, output in outputs.items():
                    evaluation = reproduction_scores.RunEvaluation(row, seed, output)
                    evaluations.setdefault(split, []).append(evaluation)
    if beam_pipeline_options:
        failures = jobs.run_on_beam(root / "logs", commands, beam_pipeline_options)
    else:
        places = devices.environments()
        workers = settings.workers or (len(places) if devices.gpus() else 2)
        failures = jobs.run(root / "logs", commands, workers, places)
    comparison.write(root, settings, evaluations, _sources(experiment), failures)
    if failures:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in failures.items())
        raise errors.InputError(
            f"{len(failures)} of {len(commands)} runs failed; give the same command again to retry "
            f"them:{listed}"
        )


def run_of(study: config.Experiment, row: str, seed: int) -> config.Experiment:
    """Returns the run of one row and seed; its workdir lies in the study's workdir.

    Args:
      study: the settings that all runs share. Loss terms that are not in the row get the weight 0.
        The CCC term gets the weight 1 if the study gives it none.
      row: one of `config.ROWS`.
      seed: added to the study's seed.
    """
    terms = {_TERMS[name] for name in row.split("+") if name in _TERMS}
    weights = {name: getattr(study.loss, name) * (name in terms) for name in _TERMS.values()}
    if "ccc" in terms:
        weights["ccc"] = study.loss.ccc or 1.0
    loss = dataclasses.replace(study.loss, **weights) if terms else study.loss
    return dataclasses.replace(
        study,
        loss=loss,
        training=dataclasses.replace(study.training, seed=study.training.seed + seed),
        workdir=str(pathlib.Path(str(study.workdir)) / row / f"seed_{study.training.seed + seed}"),
    )


def assign_folds(sources: Sequence[reader.Source], folds: int) -> list[tuple[str, ...]]:
    """Assigns recordings to folds; all recordings of a subject are in the same fold.

    Subjects with the most recordings come first, and each goes to the fold that has the fewest
    recordings so far. The result depends only on the recordings.

    Args:
      sources: the recordings; one without a subject counts as a separate subject.
      folds: the number of folds.

    Returns:
      The names of the recordings in each fold.

    Raises:
      InputError: there are fewer subjects than folds.
    """
    subjects: dict[str, list[str]] = {}
    for source in sources:
        key = f"recording {source.name}" if source.subject is None else f"subject {source.subject}"
        subjects.setdefault(key, []).append(source.name)
    if len(subjects) < folds:
        raise errors.InputError(
            f"`folds={folds}`: found {len(subjects)} subjects, expected at least one for each "
            "fold: give fewer `folds`"
        )
    result: list[list[str]] = [[] for _ in range(folds)]
    for subject in sorted(subjects, key=lambda s: (-len(subjects[s]), len(s), s)):
        min(result, key=len).extend(subjects[subject])
    return [tuple(names) for names in result]


def _folds(experiment: config.Experiment, folds: int | None) -> Folds:
    """Returns {name of the fold's folder: its partitions}; {"": {}} without a cross-validation."""
    if folds is None:
        return {"": {}}
    source_reader = catalogue.data_set(experiment).reader(experiment)
    sources = source_reader.sources(source_reader.folder())
    parts = assign_folds([source for part in sources.values() for source in part], folds)
    result: Folds = {}
    # Fold k tests part k, chooses the epoch on the next part, and trains on the others.
    for test in range(folds):
        dev = (test + 1) % folds
        train = [names for number, names in enumerate(parts) if number not in (test, dev)]
        result[f"fold_{test + 1}"] = {
            "train": tuple(name for names in train for name in names),
            "dev": parts[dev],
            "test": parts[test],
        }
    return result


def _with_reaction_delay(
    experiment: config.Experiment, records: record_files.Records
) -> config.Experiment:
    """Returns the experiment with the reaction delay in seconds; finds it if it is "auto"."""
    if experiment.reaction_delay.seconds != "auto":
        return experiment
    search = runs.find_reaction_delay(records)
    folder = pathlib.Path(str(experiment.workdir))
    delay_report.report(folder / workdir.REACTION_DELAY, search, experiment.targets)
    delay = config.ReactionDelay(seconds=tuple(search.seconds.tolist()))
    return dataclasses.replace(experiment, reaction_delay=delay)


def _begun(root: pathlib.Path) -> config.Experiment | None:
    """Returns a run that an earlier call has begun, if any."""
    found = next(root.rglob(workdir.RUN_FLAGS), None)
    return workdir.find(found.parent, config.Experiment) if found else None


def _command(
    root: pathlib.Path,
    run: config.Experiment,
    outputs: Sequence[pathlib.Path],
    hardware: config.Devices,
) -> jobs.Command:
    """Returns the command that trains a run, with the flags that differ from the defaults.

    The run's process sees only its own GPU, so its `device` is auto.
    """
    groups = [run, dataclasses.replace(hardware, device="auto")]
    flags = []
    for group in groups:
        defaults = cli.serialise(type(group)()).splitlines()
        flags += [line for line in cli.serialise(group).splitlines() if line not in defaults]
    name = pathlib.Path(str(run.workdir)).relative_to(root).as_posix()
    metrics = tuple(output / "metrics.json" for output in outputs)
    return jobs.Command(name, ("-m", "ast_net.train", *flags), metrics)


def _sources(experiment: config.Experiment) -> Mapping[str, reader.Source]:
    """Returns the recordings on disk by name; none if the data set's folder is not given."""
    source_reader = catalogue.data_set(experiment).reader(experiment)
    if not source_reader.has_folder():
        logging.info(
            "the report will have no rater agreement and no sample frames: give `manual_dir` to "
            "include them"
        )
        return {}
    parts = source_reader.sources(source_reader.folder())
    return {source.name: source for part in parts.values() for source in part}

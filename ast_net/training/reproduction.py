"""The paper's Table 1 on one data set: every row with every seed, side by side, then the report.

WORKDIR/[fold_K/]ROW/seed_S/ is the workdir of a run that `train` makes; WORKDIR/logs/ has what each
printed.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from absl import logging

from ast_net import cli, config, errors, jobs, workdir
from ast_net.datasets import reader
from ast_net.records import catalogue, store
from ast_net.reports import comparison, delay_report, reproduction_scores
from ast_net.temporal import temporal_model
from ast_net.training import baselines, checks, runs

# The terms of the loss by their letters in the paper's Table 1.
_TERMS = {"La": "label", "T": "trend", "Lo": "local", "G": "global_", "S": "siamese", "CCC": "ccc"}

Folds = dict[str, dict[str, tuple[str, ...]]]


def reproduce(settings: config.Reproduction) -> None:
    """Prepares the data once, trains what is not trained yet, and writes the report.

    Args:
      settings: the data set, the rows, the seeds, and what all runs share.

    Raises:
      InputError: the data cannot be used, the workdir has runs with other settings, or runs failed;
        then the report is of the others.
    """
    experiment = config.changed(config.Experiment(), config.values(settings))
    root = pathlib.Path(settings.workdir or f"runs/reproduce-{settings.dataset}")
    rows = [row for row in config.ROWS if row in (settings.rows or config.ROWS)]
    store.prepare(experiment)
    commands: list[jobs.Command] = []
    evaluations: dict[str, list[reproduction_scores.RunEvaluation]] = {}
    for fold, partitions in _folds(experiment, settings.folds).items():
        part = config.changed(experiment, {f"{s}_recordings": n for s, n in partitions.items()})
        part = runs.completed(dataclasses.replace(part, workdir=str(root / fold)))
        records = store.prepare(part)
        part = _with_reaction_delay(part, records)
        checks.check(records, part)
        # In a cross-validation each recording is tested once; what chose an epoch does not count.
        possible = ("test",) if fold else ("dev", "test")
        splits = [split for split in possible if runs.rated(records, split)]
        for row in rows:
            for seed in range(1 if row in config.BASELINES else settings.seeds):
                run = run_of(part, row, seed)
                folder = pathlib.Path(str(run.workdir))
                outputs = {
                    split: folder / workdir.EVALUATION / f"{run.dataset}_{split}"
                    for split in splits
                }
                if row in config.BASELINES:
                    baselines.evaluate(row, run, records, splits)
                else:
                    _check_folder(folder, run, records)
                    commands.append(_command(root, run, [*outputs.values()]))
                for split, output in outputs.items():
                    evaluation = reproduction_scores.RunEvaluation(row, seed, output)
                    evaluations.setdefault(split, []).append(evaluation)
    failures = jobs.run(root / "logs", commands, settings.workers)
    comparison.write(root, settings, evaluations, _sources(experiment), failures)
    if failures:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in failures.items())
        raise errors.InputError(
            f"{len(failures)} of {len(commands)} runs failed; the same command tries them "
            f"again:{listed}"
        )


def run_of(study: config.Experiment, row: str, seed: int) -> config.Experiment:
    """Returns the run of a row and a seed, whose workdir is in the study's.

    Args:
      study: what all runs share. A term that the row has keeps its weight; that of CCC is 1 if it
        has none.
      row: one of `config.ROWS`.
      seed: added to the study's.
    """
    terms = {_TERMS[name] for name in row.split("+") if name in _TERMS}
    kept = {name: getattr(study.loss, name) * (name in terms) for name in _TERMS.values()}
    if "ccc" in terms:
        kept["ccc"] = study.loss.ccc or 1.0
    loss = dataclasses.replace(study.loss, **kept) if terms else study.loss
    return dataclasses.replace(
        study,
        loss=loss,
        training=dataclasses.replace(study.training, seed=study.training.seed + seed),
        workdir=str(pathlib.Path(str(study.workdir)) / row / f"seed_{study.training.seed + seed}"),
    )


def deal(sources: Sequence[reader.Source], folds: int) -> list[tuple[str, ...]]:
    """Deals recordings to folds, all those of a subject to the same one.

    Those with the most recordings are dealt first, each to the fold that has fewest, so that the
    result depends on the recordings alone.

    Args:
      sources: the recordings; one without a subject is a subject of its own.
      folds: their number.

    Returns:
      The names of each fold's recordings.

    Raises:
      InputError: there are fewer subjects than folds.
    """
    subjects: dict[str, list[str]] = {}
    for source in sources:
        key = f"recording {source.name}" if source.subject is None else f"subject {source.subject}"
        subjects.setdefault(key, []).append(source.name)
    if len(subjects) < folds:
        raise errors.InputError(
            f"`folds={folds}`: found {len(subjects)} subjects, expected one for each fold: give "
            "fewer"
        )
    result: list[list[str]] = [[] for _ in range(folds)]
    for subject in sorted(subjects, key=lambda s: (-len(subjects[s]), len(s), s)):
        min(result, key=len).extend(subjects[subject])
    return [tuple(names) for names in result]


def _folds(experiment: config.Experiment, folds: int | None) -> Folds:
    """The partitions of each fold by the name of its folder; none are named without folds."""
    if folds is None:
        return {"": {}}
    source_reader = catalogue.data_set(experiment).reader(experiment)
    sources = source_reader.sources(source_reader.folder())
    parts = deal([source for part in sources.values() for source in part], folds)
    result: Folds = {}
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
    experiment: config.Experiment, records: store.Records
) -> config.Experiment:
    """The experiment with the delay in seconds: found once, on the training partition."""
    if experiment.reaction_delay.seconds != "auto":
        return experiment
    search = runs.find_reaction_delay(records)
    folder = pathlib.Path(str(experiment.workdir))
    delay_report.report(folder / workdir.REACTION_DELAY, search, experiment.targets)
    delay = config.ReactionDelay(seconds=tuple(search.seconds.tolist()))
    return dataclasses.replace(experiment, reaction_delay=delay)


def _check_folder(folder: pathlib.Path, run: config.Experiment, records: store.Records) -> None:
    """Refuses a workdir that has another run, before anything is trained.

    Raises:
      InputError: its settings or its records are others.
    """
    workdir.check(folder, run)
    path = folder / workdir.MODEL_SPEC
    if path.is_file() and temporal_model.load_spec(path).records != records.digest:
        raise errors.InputError(
            f"{folder}: videos, ratings or the CNN's weights have changed since this run began: "
            "give "
            "another `workdir`"
        )


def _command(
    root: pathlib.Path, run: config.Experiment, outputs: Sequence[pathlib.Path]
) -> jobs.Command:
    """The command that does a run, with the flags that are not as by default."""
    usual = cli.serialise(config.Experiment()).splitlines()
    flags = [line for line in cli.serialise(run).splitlines() if line not in usual]
    name = pathlib.Path(str(run.workdir)).relative_to(root).as_posix()
    files = tuple(output / "metrics.json" for output in outputs)
    return jobs.Command(name, ("-m", "ast_net.train", *flags), files)


def _sources(experiment: config.Experiment) -> Mapping[str, reader.Source]:
    """The recordings on disk by name; none where the data set's folder is not at hand."""
    source_reader = catalogue.data_set(experiment).reader(experiment)
    if not source_reader.has_folder():
        logging.info("no raters' agreement and no sample frames in the report: give `manual_dir`")
        return {}
    parts = source_reader.sources(source_reader.folder())
    return {source.name: source for part in parts.values() for source in part}

"""The report of a reproduction: the paper's tables and figures with one's own runs beside them."""

import itertools
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ast_net import config, files, screen
from ast_net.datasets import agreement, reader
from ast_net.reports import (
    comparison_figures,
    deviations,
    paired_tests,
    paper,
    rater_report,
    reproduction_scores,
    tables,
)
from ast_net.temporal import metrics, scoring

REPORT = "report.md"
# Data sets whose frames may be published.
_PUBLIC = ("demo",)
_NAMES = {"mean": "mean rating", "ridge": "ridge regression", "CCC": "1 - CCC alone"}

Evaluations = Mapping[str, Sequence[reproduction_scores.RunEvaluation]]


def write(
    folder: pathlib.Path,
    settings: config.Reproduction,
    evaluations: Evaluations,
    sources: Mapping[str, reader.Source],
    failures: Mapping[str, str],
) -> None:
    """Writes report.md, its tables as CSV, and its figures.

    Args:
      folder: gets report.md, table_1.csv, recordings.csv and figures/.
      settings: of all runs.
      evaluations: of each partition; runs whose evaluation is missing are left out.
      sources: the recordings on disk by name, as far as they are at hand: for the raters' agreement
        and for sample frames.
      failures: what is known of the runs that failed, by name.
    """
    partitions = {}
    for split, part in evaluations.items():
        complete = _complete(part)
        if complete:
            partitions[split] = reproduction_scores.Scores(complete)
    parts = [_head(settings, partitions, failures)]
    for scores in partitions.values():
        parts += [_table_1(settings, scores), _differences(scores)]
    rated = {split: _raters(scores, sources) for split, scores in partitions.items()}
    parts += [_comparisons(settings, partitions, rated), _raters_text(rated)]
    if partitions:
        # The last is test, where there is one: nothing was chosen by it.
        scores = [*partitions.values()][-1]
        drawn = comparison_figures.write(folder / "figures", scores, sources)
        parts.append(_figures(settings, scores, drawn))
        parts.append(_deviations(settings, scores))
        long = itertools.chain.from_iterable(s.long_table() for s in partitions.values())
        tables.write(folder / "recordings.csv", long, digits=None)
        tables.write(folder / "table_1.csv", _csv_rows(partitions.values()), digits=None)
    with files.whole(folder / REPORT) as temporary:
        temporary.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    names = (REPORT, "table_1.csv", "recordings.csv", "figures/") if partitions else (REPORT,)
    screen.wrote(folder, *names)


def _complete(
    evaluations: Sequence[reproduction_scores.RunEvaluation],
) -> list[reproduction_scores.RunEvaluation]:
    """Those rows and seeds whose every fold is there."""
    missing = {
        (evaluation.row, evaluation.seed)
        for evaluation in evaluations
        if not (evaluation.folder / "metrics.json").is_file()
    }
    return [one for one in evaluations if (one.row, one.seed) not in missing]


def _head(
    settings: config.Reproduction,
    partitions: Mapping[str, reproduction_scores.Scores],
    failures: Mapping[str, str],
) -> str:
    lines = [f"# AST-Net on `{settings.dataset}`: the paper's tables and figures", ""]
    if failures:
        lines += [f"**{len(failures)} runs failed and are left out:**", ""]
        lines += [f"- {name}: {reason}" for name, reason in failures.items()] + [""]
    for split, scores in partitions.items():
        delay = ", ".join(f"{seconds:g} s" for seconds in scores.reaction_delay)
        text = (
            f"- Partition `{split}`{_folds_text(settings)}: {len(scores.recordings)} recordings; "
            f"seeds of a trained row: {scores.seeds}; ratings lag by {delay} "
            f"({', '.join(scores.targets[:-1])}{', the first fold' if settings.folds else ''})."
        )
        if scores.chose_epoch:
            text += (
                " **These recordings chose the epochs of the trained rows: their scores are "
                "optimistic.**"
            )
        lines.append(text)
    lines += [
        "- Protocol `rated`: every rated frame counts; while no face is seen the last prediction "
        "stands.",
        "- CC, CCC and RMSE are computed in each recording; max, min and mean are over "
        "recordings, then "
        "averaged over seeds. A constant prediction has CC 0.",
    ]
    return "\n".join(lines)


def _folds_text(settings: config.Reproduction) -> str:
    if not settings.folds:
        return ""
    return (
        f" of a {settings.folds}-fold cross-validation (in each fold other recordings chose the "
        "epoch)"
    )


def _table_1(settings: config.Reproduction, scores: reproduction_scores.Scores) -> str:
    """Table 1 for each target, and for their average."""
    parts = [f"## Table 1: the losses, on {settings.dataset}, {scores.split}"]
    for target in scores.targets:
        printed = target == paper.TABLE_1_TARGET
        if printed:
            place = (settings.dataset, scores.split)
            same = place == (paper.TABLE_1_DATASET, paper.TABLE_1_SPLIT) and not settings.folds
            note = "The last two columns are the paper's Table 1" + (
                "."
                if same
                else ", which is of **another data set or partition** (AVEC2012's development "
                "set): "
                "only the order of the rows can be compared."
            )
            parts.append(f"### {target}\n\n{note}")
        else:
            parts.append(
                f"### {target}" + ("" if target == scoring.AVERAGE else " (not in the paper)")
            )
        parts.append(tables.markdown([*_table_1_rows(scores, target, printed)]))
    parts.append(
        "`sd` is of the mean CC over seeds. `> 0.5` is the share of recordings whose CC, "
        "averaged over "
        "seeds, is above 0.5. `step` is the mean absolute difference between neighbouring frames "
        "of the "
        "prediction, `of gold` the same divided by the gold standard's: the smoother, the smaller."
    )
    return "\n\n".join(parts)


def _table_1_rows(
    scores: reproduction_scores.Scores, target: str, printed: bool
) -> Iterator[tables.Row]:
    for row in scores.rows:
        values = scores.row(row, target)
        step, label_step = values["prediction_step"], values["label_step"]
        above = values["above"]
        result: tables.Row = {
            "loss": _named(row),
            "seeds": values["seeds"],
            "max CC / min CC": _pair(values["max"], values["min"]),
            "mean CC": values["mean"],
            "sd": values["sd"],
            "> 0.5": None if above is None else f"{above:.0%}",
            "CCC": values["ccc"],
            "RMSE": values["rmse"],
            "step": None if step is None else f"{step:.5f}",
            "of gold": f"{step / label_step:.2f}" if step is not None and label_step else None,
        }
        if printed:
            theirs = paper.TABLE_1.get(row)
            result["paper: max / min"] = _pair(*theirs[:2]) if theirs else None
            result["paper: mean CC"] = theirs.mean if theirs else None
        yield result


def _named(row: str) -> str:
    return _NAMES.get(row, row)


def _pair(highest: float | None, lowest: float | None) -> str | None:
    return None if highest is None else f"{highest:.4f} / {lowest:.4f}"


def _csv_rows(partitions) -> Iterator[tables.Row]:
    for scores in partitions:
        for target, row in itertools.product(scores.targets, scores.rows):
            first, last = scores.epochs(row)
            yield {
                "split": scores.split,
                "target": target,
                **scores.row(row, target),
                "first_epoch": first,
                "last_epoch": last,
            }


def _differences(scores: reproduction_scores.Scores) -> str:
    """Each row against the whole loss."""
    reference = config.WHOLE_LOSS
    if reference not in scores.rows or len(scores.rows) < 2:
        return ""
    parts = [f"## Each row against {reference}, on {scores.split}"]
    few = len(scores.recordings) < paired_tests.MIN_RECORDINGS
    parts.append(
        "Seeds are averaged in each recording; then the recordings are compared in pairs. "
        + (
            f"There are fewer than {paired_tests.MIN_RECORDINGS} recordings: no p is given."
            if few
            else "p is of Wilcoxon's signed-rank test, two-sided; the last column is corrected for "
            "the "
            "number of rows by Holm's method."
        )
    )
    for target in scores.targets:
        rows: list[tables.Row] = []
        for row, difference in scores.differences(target, reference).items():
            shown: tables.Row = {
                "loss": _named(row),
                "mean difference of CC": difference.mean,
                "better in": f"{difference.better} of {difference.recordings}",
            }
            if not few:
                shown |= {"p": difference.p, "p, Holm": difference.adjusted}
            rows.append(shown)
        parts += [f"### {target}", tables.markdown(rows)]
    return "\n\n".join(parts)


def _raters(
    scores: reproduction_scores.Scores, sources: Mapping[str, reader.Source]
) -> dict[str, tables.Row]:
    """Of each target, how well the raters of a partition agree; empty without single raters."""
    rated = {}
    for name in scores.recordings:
        source = sources.get(name)
        if source is not None and source.read_raters is not None:
            rated[name] = source.read_raters()
    if not rated:
        return {}
    rows, _ = rater_report.tabulate(rated)
    result = {}
    for target in scores.targets[:-1]:
        own = [row for row in rows if row["target"] == target]
        others = [
            _finite_mean(agreement.against_others(ratings[target].values, metrics.pearson_cc))
            for ratings in rated.values()
        ]
        pairs = [row["cc"] for row in own]
        if math.isnan(_finite_mean(pairs)):
            continue
        result[target] = {
            "recordings": len(own),
            "raters": ", ".join(map(str, sorted({row["raters"] for row in own}))),
            "CC of two raters": _finite_mean(pairs),
            "min over recordings": float(np.nanmin(pairs)),
            "CC of a rater and the mean of the others": _finite_mean(others),
            "Cronbach's alpha": _finite_mean([row["alpha"] for row in own]),
        }
    return result


def _finite_mean(values) -> float:
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _raters_text(rated: Mapping[str, Mapping[str, tables.Row]]) -> str:
    rows = [
        {"partition": split, "target": target, **row}
        for split, targets in rated.items()
        for target, row in targets.items()
    ]
    if not rows:
        return (
            "## The raters\n\nNo agreement between raters: this data set has no ratings of "
            "single raters, "
            "or its folder was not given (`--manual_dir`)."
        )
    return (
        "## The raters\n\nHow well people agree about the same recordings, means over "
        "recordings. It says "
        "how hard the task is. The gold standard is the mean of all raters, whose errors cancel "
        "in part, so "
        "a model can agree with it better than a single rater does.\n\n" + tables.markdown(rows)
    )


def _comparisons(
    settings: config.Reproduction,
    partitions: Mapping[str, reproduction_scores.Scores],
    rated: Mapping[str, Mapping[str, tables.Row]],
) -> str:
    """Tables 2 to 4, each with our own figures at its end."""
    parts = [
        "## Tables 2 to 4: the published methods, and ours",
        "Mean CC over recordings. The published protocols are the authors' own, and mostly not "
        "said in "
        "detail; rows of another data set or partition cannot be compared.",
    ]
    for table in paper.COMPARISONS:
        where = f"{table.title}; {table.modality}"
        rows: list[tables.Row] = [
            _comparison_row(
                f"{method.name}",
                {"arousal": f"{method.arousal:g}", "valence": f"{method.valence:g}"},
                f"{method.average:g}",
                where,
                "as published",
            )
            for method in table.methods
        ]
        for split, scores in partitions.items():
            here = f"{settings.dataset}, {split}{' (cross-validation)' if settings.folds else ''}"
            same = (settings.dataset, split) == (table.dataset, table.split) and not settings.folds
            if not same:
                here += ": **not the same recordings**"
            for row in (config.WHOLE_LOSS, *config.BASELINES):
                if row in scores.rows:
                    means = {t: _cell(scores.row(row, t)["mean"]) for t in scores.targets}
                    seeds = scores.row(row, scores.targets[0])["seeds"]
                    protocol = (
                        f"`{reproduction_scores.PROTOCOL}`, {len(scores.recordings)} recordings"
                    )
                    if row not in config.BASELINES:
                        protocol += f", {seeds} seed{'s' * (seeds > 1)}"
                        protocol += ", chose the epoch" if scores.chose_epoch else ""
                    name = f"ours: {_named(row)}"
                    rows.append(
                        _comparison_row(name, means, means[scoring.AVERAGE], here, protocol)
                    )
            agreed = {t: row["CC of two raters"] for t, row in rated[split].items()}
            if agreed:
                rows.append(
                    _comparison_row(
                        "two of the raters",
                        {target: _cell(value) for target, value in agreed.items()},
                        _cell(float(np.mean([*agreed.values()]))),
                        here,
                        "mean CC of pairs",
                    )
                )
        parts += [f"### Table {table.number}: {table.title}", tables.markdown(rows)]
    return "\n\n".join(parts)


def _comparison_row(
    name: str, means: Mapping[str, str | None], average: str | None, where: str, protocol: str
) -> tables.Row:
    return {
        "method": name,
        "arousal": means.get("arousal"),
        "valence": means.get("valence"),
        "average": average,
        "data set and partition": where,
        "protocol": protocol,
    }


def _cell(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _figures(
    settings: config.Reproduction,
    scores: reproduction_scores.Scores,
    drawn: Sequence[comparison_figures.Drawn],
) -> str:
    parts = [f"## Figures, on {scores.split}"]
    if any(figure.frames for figure in drawn) and settings.dataset not in _PUBLIC:
        parts.append(
            "> **Warning: a figure shows frames of the videos, and so people's faces.** What the "
            "owners of "
            f"`{settings.dataset}` and the people in it have not allowed must not be published: "
            "most licences of "
            "such data sets forbid it. Leave that figure out of whatever leaves your hands."
        )
    for figure in drawn:
        parts.append(f"![{figure.title}](figures/{figure.name})\n\n*{figure.title}.*")
    return "\n\n".join(parts)


def _deviations(settings: config.Reproduction, scores: reproduction_scores.Scores) -> str:
    rows = [
        {"in the paper": item.place, "it says": item.paper, "here": item.here}
        for item in deviations.deviations(settings, scores.reaction_delay)
    ]
    return "## What differs from the paper\n\n" + tables.markdown(rows)

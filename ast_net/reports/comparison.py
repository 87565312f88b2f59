"""Writes the report of a reproduction: its runs next to the paper's tables and figures."""

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
# Data sets whose frames anybody may publish.
_PUBLIC = ("demo",)
_DISPLAY_NAMES = {"mean": "mean rating", "ridge": "ridge regression", "CCC": "1 - CCC alone"}
# The heading of a column of Table 1.
_ABOVE = f"CC > {paper.FIGURE_6_THRESHOLD:g}"

Evaluations = Mapping[str, Sequence[reproduction_scores.RunEvaluation]]


def write(
    folder: pathlib.Path,
    settings: config.Reproduction,
    evaluations: Evaluations,
    sources: Mapping[str, reader.Source],
    failures: Mapping[str, str],
) -> None:
    """Writes report.md, its tables as CSV files, and its figures.

    Args:
      folder: receives report.md, table_1.csv, recordings.csv and figures/.
      settings: the settings of all runs.
      evaluations: the evaluations of each partition; rows and seeds with a missing one are left
        out.
      sources: the available recordings on disk by name, for rater agreement and sample frames.
      failures: {name: reason} of the runs that failed.
    """
    partitions = {}
    for split, split_evaluations in evaluations.items():
        complete = _complete(split_evaluations)
        if complete:
            partitions[split] = reproduction_scores.Scores(complete)
    parts = [_header(settings, partitions, failures)]
    for scores in partitions.values():
        parts += [_table_1(settings, scores), _differences(scores)]
    agreements = {split: _agreement(scores, sources) for split, scores in partitions.items()}
    parts += [_comparisons(settings, partitions, agreements), _agreement_text(agreements)]
    if partitions:
        # The last partition is test, if it has ratings: nothing was chosen on it.
        scores = [*partitions.values()][-1]
        figures = comparison_figures.write(folder / "figures", scores, sources)
        parts.append(_figures(settings, scores, figures))
        parts.append(_deviations(settings, scores))
        rows = itertools.chain.from_iterable(s.long_table() for s in partitions.values())
        tables.write(folder / "recordings.csv", rows, digits=None)
        tables.write(folder / "table_1.csv", _csv_rows(partitions.values()), digits=None)
    with files.whole(folder / REPORT) as temporary:
        temporary.write_text("\n\n".join(part for part in parts if part) + "\n", **files.ENCODING)
    names = (REPORT, "table_1.csv", "recordings.csv", "figures/") if partitions else (REPORT,)
    screen.wrote(folder, *names)


def _complete(
    evaluations: Sequence[reproduction_scores.RunEvaluation],
) -> list[reproduction_scores.RunEvaluation]:
    """Returns the evaluations of those rows and seeds that have all folds."""
    missing = {
        (evaluation.row, evaluation.seed)
        for evaluation in evaluations
        if not (evaluation.folder / "metrics.json").is_file()
    }
    return [e for e in evaluations if (e.row, e.seed) not in missing]


def _header(
    settings: config.Reproduction,
    partitions: Mapping[str, reproduction_scores.Scores],
    failures: Mapping[str, str],
) -> str:
    lines = [f"# AST-Net on `{settings.dataset}`: the paper's tables and figures", ""]
    if failures:
        lines += [f"**{len(failures)} runs failed and are left out:**", ""]
        lines += [f"- {name}: {reason}" for name, reason in failures.items()] + [""]
    for split, scores in partitions.items():
        delays = ", ".join(
            f"{target} {seconds:g} s"
            for target, seconds in zip(scores.targets[:-1], scores.reaction_delay, strict=True)
        )
        text = (
            f"- Partition `{split}`{_folds_text(settings)}: {len(scores.recordings)} recordings; "
            f"seeds per trained row: {scores.seeds}; reaction delay"
            f"{' in the first fold' if settings.folds else ''}: {delays}."
        )
        if scores.chose_epoch:
            text += (
                " **The epochs of the trained rows were chosen on these recordings, so their "
                "scores are optimistic.**"
            )
        lines.append(text)
    lines += [
        "- Protocol `rated`: every rated frame counts; while no face is visible, the last "
        "prediction is held.",
        "- CC, CCC and RMSE are computed for each recording. Their max, min and mean are taken "
        "over recordings, then averaged over seeds. A constant prediction has a CC of 0.",
    ]
    return "\n".join(lines)


def _folds_text(settings: config.Reproduction) -> str:
    if not settings.folds:
        return ""
    return (
        f" of a {settings.folds}-fold cross-validation (in each fold, the epoch was chosen on "
        "other recordings)"
    )


def _table_1(settings: config.Reproduction, scores: reproduction_scores.Scores) -> str:
    """Returns Table 1 for each target and for the average of the targets."""
    parts = [f"## Table 1: the losses ({settings.dataset}, {scores.split})"]
    for target in scores.targets:
        in_paper = target == paper.TABLE_1_TARGET
        if in_paper:
            partition = (settings.dataset, scores.split)
            same = partition == (paper.TABLE_1_DATASET, paper.TABLE_1_SPLIT) and not settings.folds
            note = "The last two columns are the paper's Table 1" + (
                "."
                if same
                else ", measured on **another data set or partition** (AVEC2012's development "
                "set): compare the order of the rows, not the values."
            )
            parts.append(f"### {target}\n\n{note}")
        else:
            parts.append(
                f"### {target}" + ("" if target == scoring.AVERAGE else " (not in the paper)")
            )
        parts.append(tables.markdown([*_table_1_rows(scores, target, in_paper)]))
    parts.append(
        "`sd over seeds` is the standard deviation of the mean CC. "
        f"`{_ABOVE}` is the share of recordings whose CC, averaged over seeds, is above "
        f"{paper.FIGURE_6_THRESHOLD:g}. `step` is the mean absolute difference between the "
        "predictions of consecutive frames, and `step / gold` is that divided by the same for the "
        "gold standard; smaller values mean smoother predictions."
    )
    return "\n\n".join(parts)


def _table_1_rows(
    scores: reproduction_scores.Scores, target: str, in_paper: bool
) -> Iterator[tables.Row]:
    for row in scores.rows:
        values = scores.summary(row, target)
        step, label_step = values["prediction_step"], values["label_step"]
        above = values["above"]
        result: tables.Row = {
            "loss or baseline": _display_name(row),
            "seeds": values["seeds"],
            "max CC / min CC": _pair(values["max"], values["min"]),
            "mean CC": values["mean"],
            "sd over seeds": values["sd"],
            _ABOVE: None if above is None else f"{above:.0%}",
            "CCC": values["ccc"],
            "RMSE": values["rmse"],
            "step": None if step is None else f"{step:.5f}",
            "step / gold": f"{step / label_step:.2f}" if step is not None and label_step else None,
        }
        if in_paper:
            published = paper.TABLE_1.get(row)
            result["paper: max CC / min CC"] = _pair(*published[:2]) if published else None
            result["paper: mean CC"] = published.mean if published else None
        yield result


def _display_name(row: str) -> str:
    return _DISPLAY_NAMES.get(row, row)


def _pair(highest: float | None, lowest: float | None) -> str | None:
    return None if highest is None else f"{highest:.4f} / {lowest:.4f}"


def _csv_rows(partitions) -> Iterator[tables.Row]:
    for scores in partitions:
        for target, row in itertools.product(scores.targets, scores.rows):
            first, last = scores.epochs(row)
            yield {
                "split": scores.split,
                "target": target,
                **scores.summary(row, target),
                "first_epoch": first,
                "last_epoch": last,
            }


def _differences(scores: reproduction_scores.Scores) -> str:
    """Returns the comparison of each row with the full loss; empty if there is none."""
    reference = config.WHOLE_LOSS
    if reference not in scores.rows or len(scores.rows) < 2:
        return ""
    parts = [f"## Each row compared with {reference} ({scores.split})"]
    few = len(scores.recordings) < paired_tests.MIN_RECORDINGS
    parts.append(
        "For each recording, CC is averaged over seeds; the rows are then compared recording by "
        f"recording. A positive difference means a higher CC than with {reference}. "
        + (
            f"There are fewer than {paired_tests.MIN_RECORDINGS} recordings, so p is not given."
            if few
            else "p is that of Wilcoxon's two-sided signed-rank test; the last column is corrected "
            "for the number of rows with Holm's method."
        )
    )
    for target in scores.targets:
        rows: list[tables.Row] = []
        for row, difference in scores.differences(target, reference).items():
            shown: tables.Row = {
                "loss or baseline": _display_name(row),
                "mean difference in CC": difference.mean,
                "higher CC in": f"{difference.better} of {difference.recordings} recordings",
            }
            if not few:
                shown |= {"p": difference.p, "p (Holm)": difference.adjusted}
            rows.append(shown)
        parts += [f"### {target}", tables.markdown(rows)]
    return "\n\n".join(parts)


def _agreement(
    scores: reproduction_scores.Scores, sources: Mapping[str, reader.Source]
) -> dict[str, tables.Row]:
    """Returns {target: how well raters agree}; empty without the ratings of individual raters."""
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
        target_rows = [row for row in rows if row["target"] == target]
        against_others = [
            _finite_mean(agreement.against_others(ratings[target].values, metrics.pearson_cc))
            for ratings in rated.values()
        ]
        pairs = [row["cc"] for row in target_rows]
        if math.isnan(_finite_mean(pairs)):
            continue
        result[target] = {
            "recordings": len(target_rows),
            "raters": ", ".join(map(str, sorted({row["raters"] for row in target_rows}))),
            "CC of two raters": _finite_mean(pairs),
            "lowest recording": float(np.nanmin(pairs)),
            "CC of a rater with the mean of the others": _finite_mean(against_others),
            "Cronbach's alpha": _finite_mean([row["alpha"] for row in target_rows]),
        }
    return result


def _finite_mean(values) -> float:
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _agreement_text(agreements: Mapping[str, Mapping[str, tables.Row]]) -> str:
    rows = [
        {"partition": split, "target": target, **row}
        for split, targets in agreements.items()
        for target, row in targets.items()
    ]
    if not rows:
        return (
            "## Agreement between raters\n\nNot available: this data set has no ratings of "
            "individual raters, or its folder was not given (`--manual_dir`)."
        )
    return (
        "## Agreement between raters\n\nThe agreement, averaged over recordings, shows how hard "
        "the task is. The gold standard combines all raters, whose errors partly cancel, so a "
        "model can agree with it better than a single rater does.\n\n" + tables.markdown(rows)
    )


def _comparisons(
    settings: config.Reproduction,
    partitions: Mapping[str, reproduction_scores.Scores],
    agreements: Mapping[str, Mapping[str, tables.Row]],
) -> str:
    """Returns Tables 2 to 4 with the results of this reproduction as the last rows."""
    parts = [
        "## Tables 2 to 4: published methods and ours",
        "Mean CC over recordings. Each publication has its own protocol, mostly not described in "
        "detail. Rows measured on another data set or partition cannot be compared.",
    ]
    for table in paper.COMPARISONS:
        published_on = f"{table.title}; {table.modality}"
        rows: list[tables.Row] = [
            _comparison_row(
                method.name,
                {"arousal": f"{method.arousal:g}", "valence": f"{method.valence:g}"},
                f"{method.average:g}",
                published_on,
                "as published",
            )
            for method in table.methods
        ]
        for split, scores in partitions.items():
            ours_on = f"{settings.dataset}, {split}"
            ours_on += " (cross-validation)" if settings.folds else ""
            same = (settings.dataset, split) == (table.dataset, table.split) and not settings.folds
            if not same:
                ours_on += ": **not the same recordings**"
            for row in (config.WHOLE_LOSS, *config.BASELINES):
                if row in scores.rows:
                    means = {t: _cell(scores.summary(row, t)["mean"]) for t in scores.targets}
                    seeds = scores.summary(row, scores.targets[0])["seeds"]
                    protocol = (
                        f"`{reproduction_scores.PROTOCOL}`, {len(scores.recordings)} recordings"
                    )
                    if row not in config.BASELINES:
                        protocol += f", {seeds} seed{'s' * (seeds > 1)}"
                        if scores.chose_epoch:
                            protocol += ", epoch chosen on these recordings"
                    name = f"ours: {_display_name(row)}"
                    rows.append(
                        _comparison_row(name, means, means[scoring.AVERAGE], ours_on, protocol)
                    )
            pairs = {t: row["CC of two raters"] for t, row in agreements[split].items()}
            if pairs:
                rows.append(
                    _comparison_row(
                        "agreement of two raters",
                        {target: _cell(value) for target, value in pairs.items()},
                        _cell(float(np.mean([*pairs.values()]))),
                        ours_on,
                        "mean CC of all pairs of raters",
                    )
                )
        parts += [f"### Table {table.number}: {table.title}", tables.markdown(rows)]
    return "\n\n".join(parts)


def _comparison_row(
    name: str, means: Mapping[str, str | None], average: str | None, partition: str, protocol: str
) -> tables.Row:
    return {
        "method": name,
        "arousal": means.get("arousal"),
        "valence": means.get("valence"),
        "average": average,
        "data set and partition": partition,
        "protocol": protocol,
    }


def _cell(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _figures(
    settings: config.Reproduction,
    scores: reproduction_scores.Scores,
    figures: Sequence[comparison_figures.ReportFigure],
) -> str:
    parts = [f"## Figures ({scores.split})"]
    if any(figure.has_frames for figure in figures) and settings.dataset not in _PUBLIC:
        parts.append(
            "> **Warning: one figure shows frames of the videos, and so people's faces.** Do not "
            f"publish it or pass it on unless the owners of `{settings.dataset}` and the people "
            "shown allow it. Most licences of such data sets forbid it."
        )
    for figure in figures:
        parts.append(f"![{figure.title}](figures/{figure.name})\n\n*{figure.title}.*")
    return "\n\n".join(parts)


def _deviations(settings: config.Reproduction, scores: reproduction_scores.Scores) -> str:
    rows = [
        {"section": item.section, "the paper": item.paper, "this reproduction": item.package}
        for item in deviations.deviations(settings, scores.reaction_delay)
    ]
    return "## Differences from the paper\n\n" + tables.markdown(rows)

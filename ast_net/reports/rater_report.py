"""Reports the agreement between the raters of a data set: tables and a figure."""

import math
from collections.abc import Mapping

import matplotlib.figure
import numpy as np

from ast_net.datasets import agreement, annotations
from ast_net.reports import tables
from ast_net.temporal import metrics

# More names on an axis, or more rows of numbers in a matrix, would be unreadable.
_MAX_NAMES = 60
_MAX_NUMBERS = 10
_MEASURES = {"cc": ("CC", "o"), "ccc": ("CCC", "s"), "alpha": ("alpha", "D")}


def tabulate(
    rated: Mapping[str, Mapping[str, annotations.Ratings]],
) -> tuple[list[tables.Row], list[tables.Row]]:
    """Makes a row for each recording and target, and a row for each of its pairs of raters.

    A pair has the CC and CCC over the times that both raters rated. A recording has the means over
    its pairs and Cronbach's alpha; pairs without a common time or with a constant rater are left
    out.

    Args:
      rated: {recording: {target: ratings}}.
    """
    rows, pairs = [], []
    for recording, targets in rated.items():
        for target, ratings in targets.items():
            key: tables.Row = {"recording": recording, "target": target}
            row = key | {"raters": len(ratings.raters), "ratings": len(ratings.times)}
            compared = _pairs(ratings)
            for measure in ("cc", "ccc"):
                values = [pair[measure] for pair in compared if not math.isnan(pair[measure])]
                row[measure] = float(np.mean(values)) if values else math.nan
                row[f"{measure}_min"] = min(values, default=math.nan)
                row[f"{measure}_max"] = max(values, default=math.nan)
            rows.append(row | {"alpha": agreement.cronbach_alpha(ratings.values)})
            pairs += [key | pair for pair in compared]
    return rows, pairs


def _pairs(ratings: annotations.Ratings) -> list[tables.Row]:
    cc = agreement.pairwise(ratings.values, metrics.pearson_cc)
    ccc = agreement.pairwise(ratings.values, metrics.concordance_cc)
    return [
        {"rater": rater, "other": other, "cc": float(cc[r, s]), "ccc": float(ccc[r, s])}
        for r, other in enumerate(ratings.raters)
        for s, rater in enumerate(ratings.raters[:r])
    ]


def figure(summary_rows: list[tables.Row], pair_rows: list[tables.Row]) -> matplotlib.figure.Figure:
    """Draws two panels for each target: the CCC of each pair of raters, and all recordings."""
    targets = list(dict.fromkeys(row["target"] for row in summary_rows))
    page = matplotlib.figure.Figure(figsize=(12, 3.6 * len(targets)), layout="constrained")
    grid = page.add_gridspec(len(targets), 2, width_ratios=[1, 2])
    for line, target in enumerate(targets):
        compared = [pair for pair in pair_rows if pair["target"] == target]
        _draw_pairs(page.add_subplot(grid[line, 0]), compared, target)
        recordings = [row for row in summary_rows if row["target"] == target]
        axes = page.add_subplot(grid[line, 1])
        for measure, (label, marker) in _MEASURES.items():
            values = np.array([row[measure] for row in recordings], float)
            mean = np.nanmean(values) if np.isfinite(values).any() else math.nan
            axes.plot(values, marker, ms=5, label=f"{label}, mean {mean:.3f}")
        axes.set_title(f"{target}: mean CC and CCC of the pairs, Cronbach's alpha", fontsize=10)
        names = [row["recording"] for row in recordings]
        names = names if len(names) <= _MAX_NAMES else []
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_xlim(-0.5, len(recordings) - 0.5)
        axes.set_ylim(top=1.05)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return page


def _draw_pairs(axes, compared: list[tables.Row], target: str) -> None:
    """Draws a symmetric matrix with the mean CCC over recordings of each pair of raters."""
    raters = sorted({pair[side] for pair in compared for side in ("rater", "other")})
    total, count = np.zeros((2, len(raters), len(raters)))
    for pair in compared:
        sides = [raters.index(pair["rater"]), raters.index(pair["other"])]
        if not math.isnan(pair["ccc"]):
            # Both [r, s] and [s, r].
            total[sides, sides[::-1]] += pair["ccc"]
            count[sides, sides[::-1]] += 1
    values = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    for r, s in np.argwhere(count) if len(raters) <= _MAX_NUMBERS else ():
        axes.text(s, r, f"{values[r, s]:.2f}", ha="center", va="center", fontsize=8)
    axes.imshow(values, cmap="RdYlGn", vmin=-1, vmax=1)
    names = raters if len(raters) <= _MAX_NAMES else []
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{target}: CCC of each pair, mean over recordings", fontsize=10)

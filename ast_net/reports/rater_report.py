"""Agreement between the raters of a data set: tables and a figure."""

import math
from collections.abc import Mapping

import matplotlib.figure
import numpy as np

from ast_net.datasets import agreement, annotations
from ast_net.reports import tables
from ast_net.temporal import metrics

# More names than this along an axis, or more rows of numbers in a matrix, cannot be read.
_MAX_NAMES = 60
_MAX_NUMBERS = 10
_MEASURES = {"cc": ("CC", "o"), "ccc": ("CCC", "s"), "alpha": ("alpha", "D")}

Rated = Mapping[str, Mapping[str, annotations.Ratings]]


def pairs(rated: Rated) -> list[tables.Row]:
    """Makes a row for each recording, target and pair of raters: CC and CCC where both have rated.

    Args:
      rated: {recording: {target: ratings}}.
    """
    return [
        row
        for recording, targets in rated.items()
        for target, ratings in targets.items()
        for row in _pairs(recording, target, ratings)
    ]


def _pairs(recording: str, target: str, ratings: annotations.Ratings) -> list[tables.Row]:
    cc = agreement.pairwise(ratings.values, metrics.pearson_cc)
    ccc = agreement.pairwise(ratings.values, metrics.concordance_cc)
    return [
        {
            "recording": recording,
            "target": target,
            "rater": ratings.raters[s],
            "other": ratings.raters[r],
            "cc": float(cc[r, s]),
            "ccc": float(ccc[r, s]),
        }
        for r in range(len(ratings.raters))
        for s in range(r)
    ]


def summary(rated: Rated) -> list[tables.Row]:
    """Makes a row for each recording and target: CC and CCC of the pairs, and Cronbach's alpha.

    cc and ccc are means over the pairs; a pair without a common frame, or with a constant rater, is
    left out.
    """
    rows = []
    for recording, targets in rated.items():
        for target, ratings in targets.items():
            row: tables.Row = {
                "recording": recording,
                "target": target,
                "raters": len(ratings.raters),
                "ratings": len(ratings.times),
            }
            compared = _pairs(recording, target, ratings)
            for measure in ("cc", "ccc"):
                values = [pair[measure] for pair in compared if not math.isnan(pair[measure])]
                row[measure] = float(np.mean(values)) if values else math.nan
                row[f"{measure}_min"] = min(values, default=math.nan)
                row[f"{measure}_max"] = max(values, default=math.nan)
            row["alpha"] = agreement.cronbach_alpha(ratings.values)
            rows.append(row)
    return rows


def figure(summary_rows: list[tables.Row], pair_rows: list[tables.Row]) -> matplotlib.figure.Figure:
    """Draws two panels for each target: the CCC of each pair of raters, and every recording."""
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
    """Draws the matrix of raters [r, s] with the mean CCC over recordings of each pair."""
    raters = sorted({pair[side] for pair in compared for side in ("rater", "other")})
    of_pair: dict[tuple[int, int], list[float]] = {}
    for pair in compared:
        r, s = raters.index(pair["rater"]), raters.index(pair["other"])
        if not math.isnan(pair["ccc"]):
            of_pair.setdefault((min(r, s), max(r, s)), []).append(pair["ccc"])
    values = np.full((len(raters), len(raters)), np.nan)
    for (r, s), concordances in of_pair.items():
        values[r, s] = values[s, r] = np.mean(concordances)
        if len(raters) <= _MAX_NUMBERS:
            for x, y in ((s, r), (r, s)):
                axes.text(x, y, f"{values[r, s]:.2f}", ha="center", va="center", fontsize=8)
    axes.imshow(values, cmap="RdYlGn", vmin=-1, vmax=1)
    names = raters if len(raters) <= _MAX_NAMES else []
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{target}: CCC of each pair, mean over recordings", fontsize=10)

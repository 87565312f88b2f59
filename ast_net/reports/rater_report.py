"""How well the raters of a data set agree: tables and a figure."""

import math
from collections.abc import Mapping

import matplotlib.figure
import numpy as np

from ast_net.datasets import agreement, annotations
from ast_net.reports import description
from ast_net.temporal import metrics

# More names than this cannot be read below a figure.
_MOST_NAMES = 60
_MOST_NUMBERS = 10
_MEASURES = {"cc": ("CC", "o"), "ccc": ("CCC", "s"), "alpha": ("alpha", "D")}

Rated = Mapping[str, Mapping[str, annotations.Ratings]]


def pairs(rated: Rated) -> list[description.Row]:
    """A row for each recording, target and pair of raters: their CC and CCC where both have rated.

    Args:
      rated: {recording: {target: its ratings}}.
    """
    return [
        row
        for recording, targets in rated.items()
        for target, ratings in targets.items()
        for row in _pairs(recording, target, ratings)
    ]


def _pairs(recording: str, target: str, ratings: annotations.Ratings) -> list[description.Row]:
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


def summary(rated: Rated) -> list[description.Row]:
    """A row for each recording and target: CC and CCC over the pairs of raters, and Cronbach's alpha.

    cc and ccc are means over the pairs; a pair without a common frame, or with a constant rater, is left
    out.
    """
    rows = []
    for recording, targets in rated.items():
        for target, ratings in targets.items():
            row: description.Row = {
                "recording": recording,
                "target": target,
                "raters": len(ratings.raters),
                "ratings": len(ratings.times),
            }
            own = _pairs(recording, target, ratings)
            for measure in ("cc", "ccc"):
                values = [v for p in own if not math.isnan(v := float(p[measure]))]
                row[measure] = float(np.mean(values)) if values else math.nan
                row[f"{measure}_min"] = min(values, default=math.nan)
                row[f"{measure}_max"] = max(values, default=math.nan)
            row["alpha"] = agreement.cronbach_alpha(ratings.values)
            rows.append(row)
    return rows


def figure(
    summary_rows: list[description.Row], pair_rows: list[description.Row]
) -> matplotlib.figure.Figure:
    """A line of panels for each target: CCC of each pair (mean over recordings), and each recording."""
    targets = list(dict.fromkeys(str(row["target"]) for row in summary_rows))
    page = matplotlib.figure.Figure(figsize=(12, 3.6 * len(targets)), layout="constrained")
    grid = page.add_gridspec(len(targets), 2, width_ratios=[1, 2])
    for line, target in enumerate(targets):
        own_pairs = [pair for pair in pair_rows if pair["target"] == target]
        _draw_pairs(page.add_subplot(grid[line, 0]), own_pairs, target)
        own = [row for row in summary_rows if row["target"] == target]
        axes = page.add_subplot(grid[line, 1])
        for measure, (label, marker) in _MEASURES.items():
            values = np.array([row[measure] for row in own], float)
            mean = np.nanmean(values) if np.isfinite(values).any() else math.nan
            axes.plot(values, marker, ms=5, label=f"{label}, mean {mean:.3f}")
        axes.set_title(f"{target}: mean CC and CCC of the pairs, Cronbach's alpha", fontsize=10)
        names = [str(row["recording"]) for row in own] if len(own) <= _MOST_NAMES else []
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_xlim(-0.5, len(own) - 0.5)
        axes.set_ylim(top=1.05)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return page


def _draw_pairs(axes, pairs: list[description.Row], target: str) -> None:
    raters = sorted({str(pair[side]) for pair in pairs for side in ("rater", "other")})
    of_pair: dict[tuple[int, int], list[float]] = {}
    for pair in pairs:
        r, s = raters.index(str(pair["rater"])), raters.index(str(pair["other"]))
        if not math.isnan(float(pair["ccc"])):
            of_pair.setdefault((min(r, s), max(r, s)), []).append(float(pair["ccc"]))
    values = np.full((len(raters), len(raters)), np.nan)
    for (r, s), own in of_pair.items():
        values[r, s] = values[s, r] = np.mean(own)
        if len(raters) <= _MOST_NUMBERS:
            for x, y in ((s, r), (r, s)):
                axes.text(x, y, f"{values[r, s]:.2f}", ha="center", va="center", fontsize=8)
    axes.imshow(values, cmap="RdYlGn", vmin=-1, vmax=1)
    names = raters if len(raters) <= _MOST_NAMES else []
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{target}: CCC of each pair, mean over recordings", fontsize=10)

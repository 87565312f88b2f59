"""Reports the search for the reaction delay: a printed table, a CSV file and a figure."""

import pathlib
from collections.abc import Sequence

import matplotlib.figure
import numpy as np

from ast_net import screen
from ast_net.records import reaction_delay
from ast_net.reports import figures, tables

# With fewer recordings, the standard errors of the search are unreliable.
_FEW_RECORDINGS = 5


def report(path: pathlib.Path, search: reaction_delay.DelaySearch, targets: Sequence[str]) -> None:
    """Prints the CC for each delay and writes it as a CSV file and a figure.

    Args:
      path: the path of both files without suffix.
      search: the result of the search.
      targets: the D targets of the search.
    """
    columns = ["delay_s", *(f"{target}_cc" for target in targets)]
    curve = np.column_stack([search.delays, search.cc]).tolist()
    rows = [dict(zip(columns, row, strict=True)) for row in curve]
    tables.write(path.with_suffix(".csv"), rows, dict.fromkeys(columns, 6) | {"delay_s": 1})
    figures.save(curve_figure(search, targets), path.with_suffix(".png"))
    print(format_curve(search, targets))
    screen.wrote(path.parent, f"{path.name}.csv", f"{path.name}.png")


def format_curve(search: reaction_delay.DelaySearch, targets: Sequence[str]) -> str:
    """Formats the CC for each delay as text, with a star at each target's best delay."""
    rows: list[tables.Row] = []
    for delay, row in zip(search.delays, search.cc):
        cells: tables.Row = {"delay, s": f"{delay:.1f}"}
        for target, cc, best in zip(targets, row, search.seconds):
            cells[f"CC {target}"] = f"{cc:.3f}{'*' if delay == best else ' '}"
        rows.append(cells)
    delays = ", ".join(f"{target} {delay:.1f} s" for target, delay in zip(targets, search.seconds))
    lines = [
        tables.text(rows),
        f"reaction delay: {delays} (found on {search.frames} frames of {search.recordings} "
        "training recordings)",
    ]
    for target, predicted in zip(targets, search.predicted):
        if not predicted:
            lines.append(
                f"{target}: the features do not predict the ratings at any delay; using 0 s"
            )
    if search.recordings < _FEW_RECORDINGS:
        lines.append(
            f"only {search.recordings} recordings: check the curve before you rely on the delay"
        )
    return "\n".join(lines)


def curve_figure(
    search: reaction_delay.DelaySearch, targets: Sequence[str]
) -> matplotlib.figure.Figure:
    """Draws how well the features predict ratings made some seconds later, and the best delays."""
    figure = matplotlib.figure.Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for column, target in enumerate(targets):
        curve, best = search.cc[:, column], search.seconds[column]
        (line,) = axes.plot(search.delays, curve, label=f"{target}: {best:.1f} s")
        axes.axvline(best, color=line.get_color(), ls="--", lw=1)
    axes.set(xlim=search.delays[[0, -1]], xlabel="reaction delay, seconds")
    axes.set_ylabel("CC on left-out recordings")
    axes.set_title("Found on the training partition", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure

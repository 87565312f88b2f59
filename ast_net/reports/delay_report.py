"""What a run says of the reaction delay that it found: a table, a csv and a figure."""

import csv
import pathlib
from collections.abc import Sequence

import matplotlib.figure

from ast_net import files
from ast_net.records import reaction_delay
from ast_net.reports import figures

# With fewer the standard errors of the search say little.
_FEW_RECORDINGS = 5


def report(path: pathlib.Path, searched: reaction_delay.Search, targets: Sequence[str]) -> None:
    """Prints the curve and writes it as csv and as a figure.

    Args:
      path: of both files, without a suffix.
      searched: what was found.
      targets: the names of its columns.
    """
    _write(path.with_suffix(".csv"), searched, targets)
    figures.save(curve_figure(searched, targets), path.with_suffix(".png"))
    print(format_curve(searched, targets))


def _write(path: pathlib.Path, searched: reaction_delay.Search, targets: Sequence[str]) -> None:
    """Writes the curve as csv: a row for each delay, a column for each target."""
    with files.whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["delay_s", *(f"{target}_cc" for target in targets)])
        for delay, row in zip(searched.delays, searched.cc):
            writer.writerow([f"{delay:.1f}", *(f"{cc:.6f}" for cc in row)])


def format_curve(searched: reaction_delay.Search, targets: Sequence[str]) -> str:
    """The curve as a person reads it on a terminal, and what was found."""
    lines = [f"{'delay, s':<12}" + "".join(f"{f'CC {target}':>14}" for target in targets)]
    for delay, row in zip(searched.delays, searched.cc):
        cells = [
            f"{cc:.3f}{'*' if delay == best else ' '}" for cc, best in zip(row, searched.found)
        ]
        lines.append(f"{delay:<12.1f}" + "".join(f"{cell:>14}" for cell in cells))
    delays = ", ".join(f"{target} {delay:.1f} s" for target, delay in zip(targets, searched.found))
    lines.append(
        f"reaction delay: {delays} (of {searched.frames} frames of {searched.recordings} training recordings)"
    )
    for target, predicted in zip(targets, searched.predicted):
        if not predicted:
            lines.append(
                f"{target}: features do not predict the ratings at any delay, so none is found, and 0 is taken"
            )
    if searched.recordings < _FEW_RECORDINGS:
        lines.append(
            f"{searched.recordings} recordings are few: look at the curve before you trust it"
        )
    return "\n".join(lines)


def curve_figure(
    searched: reaction_delay.Search, targets: Sequence[str]
) -> matplotlib.figure.Figure:
    """How well features predict what the raters say some seconds later, and the delays that were found."""
    figure = matplotlib.figure.Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for column, target in enumerate(targets):
        curve, found = searched.cc[:, column], searched.found[column]
        (line,) = axes.plot(searched.delays, curve, label=f"{target}: {found:.1f} s")
        axes.axvline(found, color=line.get_color(), ls="--", lw=1)
    axes.set_xlim(searched.delays[0], searched.delays[-1])
    axes.set_xlabel("reaction delay, seconds")
    axes.set_ylabel("CC on left-out recordings")
    axes.set_title("Found on the training partition", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure

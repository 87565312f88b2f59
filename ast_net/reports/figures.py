"""Functions that several figures share: panels over time, the median filter, saving."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ast_net import files
from ast_net.temporal import timing

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# Length of the median filter in figures, in seconds. As in the paper, no metric uses it.
MEDIAN_SECONDS = 2.0
RAW_COLOUR, FILTERED_COLOUR = "tab:orange", "tab:blue"


def time_panels(
    title: str, labels: Sequence[str]
) -> "tuple[matplotlib.figure.Figure, list[matplotlib.axes.Axes]]":
    """Makes a figure with one panel per label, stacked over a common time axis in seconds."""
    import matplotlib.figure  # Not all predictions are drawn.

    figure = matplotlib.figure.Figure(figsize=(10, 2.6 * len(labels)), layout="constrained")
    write_title(figure, title)
    panels = list(figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0])
    for axes, label in zip(panels, labels, strict=True):
        axes.set_ylabel(label)
    panels[-1].set_xlabel("seconds")
    return figure, panels


def write_title(figure: "matplotlib.figure.Figure", title: str, **style: float) -> None:
    """Writes a title as it is: $ begins no formula, and bytes that are not UTF-8 become ?."""
    readable = title.encode(errors="replace").decode()
    figure.suptitle(readable, parse_math=False, **style)


def draw_series(
    axes: "matplotlib.axes.Axes",
    times: np.ndarray,
    raw: np.ndarray,
    filtered: np.ndarray,
    colours: tuple = (RAW_COLOUR, FILTERED_COLOUR),
    alpha: float = 0.7,
    labels: tuple[str | None, str | None] = ("prediction", "median-filtered"),
) -> None:
    """Draws a raw and a filtered prediction [T] at times [T] in seconds; NaN leaves a gap.

    Args:
      axes: the axes to draw on.
      times, raw, filtered: the times and the two series.
      colours, labels: those of the raw and of the filtered series.
      alpha: the opacity of the raw series.
    """
    axes.plot(times, raw, color=colours[0], lw=0.6, alpha=alpha, label=labels[0])
    axes.plot(times, filtered, color=colours[1], lw=1.4, label=labels[1])
    axes.grid(alpha=0.3)


def draw_gold_standard(axes: "matplotlib.axes.Axes", times: np.ndarray, labels: np.ndarray) -> None:
    """Draws the labels [T] of a target at times [T] in seconds; NaN leaves a gap."""
    axes.plot(times, labels, color="0.25", lw=1.2, ls="--", label="gold standard")


def median_filtered(times: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Filters a series [T] at times [T], in seconds, with a median over MEDIAN_SECONDS."""
    import scipy.ndimage  # The figures of predictions are not filtered.

    # An odd number of frames, so that the window is centred on its frame.
    window = max(1, round(MEDIAN_SECONDS / timing.interval(times, 1.0))) // 2 * 2 + 1
    return scipy.ndimage.median_filter(series, window, mode="reflect")


def save(figure: "matplotlib.figure.Figure", path: pathlib.Path) -> None:
    """Saves a figure; the file appears whole or not at all."""
    with files.whole(path) as temporary:
        figure.savefig(temporary, dpi=120)

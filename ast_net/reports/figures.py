"""The paper's figures of one's own predictions (Figures 2 to 6)."""

import pathlib
from collections.abc import Sequence

import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker
import numpy as np
import scipy.ndimage

from ast_net import files
from ast_net.reports import evaluation

# Seconds of the median filter of the figures. As in the paper, no metric is computed from it.
MEDIAN_SECONDS = 2.0
LABEL_COLOUR, RAW_COLOUR, FILTERED_COLOUR = "0.25", "tab:orange", "tab:blue"


def write(
    folder: pathlib.Path,
    predictions: list[evaluation.RecordingPrediction],
    targets: tuple[str, ...],
    table: dict,
) -> None:
    """Writes a figure over time for each recording, and one of the distribution of their CC."""
    for prediction in predictions:
        save(series_figure(prediction, targets, table), folder / f"{prediction.recording}.png")
    save(distribution_figure(table), folder / "cc_distribution.png")


def series_figure(
    prediction: evaluation.RecordingPrediction, targets: tuple[str, ...], table: dict
) -> matplotlib.figure.Figure:
    """Draws gold standard and prediction over time, with gaps where a frame is not valid."""
    figure, panels = time_panels(prediction.recording, targets)
    times, valid = prediction.timestamps, prediction.mask
    for column, (target, axes) in enumerate(zip(targets, panels, strict=True)):
        predicted, labels = prediction.predictions[:, column], prediction.labels[:, column]
        filtered = median_filtered(times, predicted)
        draw_series(
            axes, times, np.where(valid, predicted, np.nan), np.where(valid, filtered, np.nan)
        )
        labels = np.where(valid, labels, np.nan)
        axes.plot(times, labels, color=LABEL_COLOUR, lw=1.4, ls="--", label="gold standard")
        cc = table[target]["recordings"][prediction.recording]["cc"]
        title = f"{target}, CC {'n/a' if cc is None else f'{cc:.3f}'}"
        axes.set_title(title, loc="left", fontsize=10)
    panels[0].legend(loc="upper right", ncols=3, fontsize=8)
    return figure


def time_panels(
    title: str, labels: Sequence[str]
) -> tuple[matplotlib.figure.Figure, list[matplotlib.axes.Axes]]:
    """Makes a page of panels over the same seconds, one below the other, one for each label."""
    figure = matplotlib.figure.Figure(figsize=(10, 2.6 * len(labels)), layout="constrained")
    figure.suptitle(title)
    panels = list(figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0])
    for axes, label in zip(panels, labels, strict=True):
        axes.set_ylabel(label)
    panels[-1].set_xlabel("seconds")
    return figure, panels


def draw_series(
    axes: matplotlib.axes.Axes,
    times: np.ndarray,
    raw: np.ndarray,
    filtered: np.ndarray,
    colours: tuple = (RAW_COLOUR, FILTERED_COLOUR),
    alpha: float = 0.7,
    labels: tuple[str | None, str | None] = ("prediction", "median-filtered"),
) -> None:
    """Draws a prediction [T] at times [T] in seconds, raw and filtered; NaN leaves a gap.

    Args:
      axes: where to draw.
      times, raw, filtered: the series.
      colours, labels: of the raw and of the filtered series.
      alpha: the opacity of the raw series.
    """
    axes.plot(times, raw, color=colours[0], lw=0.6, alpha=alpha, label=labels[0])
    axes.plot(times, filtered, color=colours[1], lw=1.4, label=labels[1])
    axes.grid(alpha=0.3)


def median_filtered(times: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Filters a series [T] at times [T] in seconds by its median over MEDIAN_SECONDS."""
    step = np.median(np.diff(times)) if len(times) > 1 else 1.0
    window = max(1, round(MEDIAN_SECONDS / step)) // 2 * 2 + 1
    return scipy.ndimage.median_filter(series, window, mode="nearest")


def distribution_figure(table: dict) -> matplotlib.figure.Figure:
    """Draws the histogram of the recordings' CC, a panel for each target (the paper's Figure 6)."""
    figure = matplotlib.figure.Figure(figsize=(5 * len(table), 3.2), layout="constrained")
    for number, (target, row) in enumerate(table.items(), start=1):
        values = [m["cc"] for m in row["recordings"].values() if m["cc"] is not None]
        axes = figure.add_subplot(1, len(table), number)
        lowest = -1.0 if values and min(values) < 0 else 0.0
        bins = list(np.arange(lowest, 1.05, 0.1))
        axes.hist(values, bins, color=FILTERED_COLOUR, edgecolor="white")
        if values:
            axes.axvline(np.mean(values), color=RAW_COLOUR, label=f"mean {np.mean(values):.3f}")
            axes.legend()
        axes.set_title(target)
        axes.set_xlabel("CC of a recording")
        axes.set_ylabel("recordings")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    return figure


def save(figure: matplotlib.figure.Figure, path: pathlib.Path) -> None:
    """Writes a figure, whole or not at all."""
    with files.whole(path) as temporary:
        figure.savefig(temporary, dpi=120)

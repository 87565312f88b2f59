"""The paper's figures, made of one's own predictions (Figures 2 to 6)."""

import pathlib

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
    predictions: list[evaluation.Prediction],
    targets: tuple[str, ...],
    table: dict,
) -> None:
    """Writes a figure over time for each recording, and one of how CC is distributed over them."""
    for prediction in predictions:
        save(series_figure(prediction, targets, table), folder / f"{prediction.recording}.png")
    save(distribution_figure(table), folder / "cc_distribution.png")


def series_figure(
    prediction: evaluation.Prediction, targets: tuple[str, ...], table: dict
) -> matplotlib.figure.Figure:
    """Gold standard and prediction over time, raw and median-filtered; gaps where a frame is not valid."""
    figure = matplotlib.figure.Figure(figsize=(10, 2.6 * len(targets)), layout="constrained")
    figure.suptitle(prediction.recording)
    times = prediction.timestamps
    for column, target in enumerate(targets):
        axes = figure.add_subplot(len(targets), 1, column + 1)
        labels, raw = (
            np.where(prediction.mask, series[:, column], np.nan)
            for series in (prediction.labels, prediction.predictions)
        )
        filtered = median_filtered(times, prediction.predictions[:, column])
        filtered = np.where(prediction.mask, filtered, np.nan)
        axes.plot(times, raw, color=RAW_COLOUR, lw=0.6, alpha=0.7, label="prediction")
        axes.plot(times, filtered, color=FILTERED_COLOUR, lw=1.4, label="median-filtered")
        axes.plot(times, labels, color=LABEL_COLOUR, lw=1.4, ls="--", label="gold standard")
        cc = table[target]["recordings"][prediction.recording]["cc"]
        axes.set_title(
            f"{target}, CC {'n/a' if cc is None else f'{cc:.3f}'}", loc="left", fontsize=10
        )
        axes.set_ylabel(target)
        axes.grid(alpha=0.3)
        if column == 0:
            axes.legend(loc="upper right", ncols=3, fontsize=8)
    axes.set_xlabel("seconds")
    return figure


def median_filtered(times: np.ndarray, series: np.ndarray) -> np.ndarray:
    """A series [T] through a median filter of MEDIAN_SECONDS, its frames being at times [T] in seconds."""
    step = np.median(np.diff(times)) if len(times) > 1 else 1.0
    window = max(1, round(MEDIAN_SECONDS / step)) // 2 * 2 + 1
    return scipy.ndimage.median_filter(series, window, mode="nearest")


def distribution_figure(table: dict) -> matplotlib.figure.Figure:
    """How many recordings have which CC, a panel for each target (the paper's Figure 6)."""
    figure = matplotlib.figure.Figure(figsize=(5 * len(table), 3.2), layout="constrained")
    for number, (target, row) in enumerate(table.items(), start=1):
        values = [m["cc"] for m in row["recordings"].values() if m["cc"] is not None]
        axes = figure.add_subplot(1, len(table), number)
        lowest = -1.0 if values and min(values) < 0 else 0.0
        axes.hist(
            values, list(np.arange(lowest, 1.05, 0.1)), color=FILTERED_COLOUR, edgecolor="white"
        )
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

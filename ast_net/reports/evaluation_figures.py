"""The paper's figures of one's own predictions (Figures 2 to 6)."""

import pathlib

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from ast_net.reports import evaluation, figures


def write(
    folder: pathlib.Path,
    predictions: list[evaluation.RecordingPrediction],
    targets: tuple[str, ...],
    table: dict,
) -> None:
    """Writes a figure over time for each recording, and one of the distribution of their CC."""
    for prediction in predictions:
        figures.save(
            series_figure(prediction, targets, table), folder / f"{prediction.recording}.png"
        )
    figures.save(distribution_figure(table), folder / "cc_distribution.png")


def series_figure(
    prediction: evaluation.RecordingPrediction, targets: tuple[str, ...], table: dict
) -> matplotlib.figure.Figure:
    """Draws gold standard and prediction over time, with gaps where a frame is not valid."""
    figure, panels = figures.time_panels(prediction.recording, targets)
    times, valid = prediction.timestamps, prediction.mask
    for column, (target, axes) in enumerate(zip(targets, panels, strict=True)):
        predicted, labels = prediction.predictions[:, column], prediction.labels[:, column]
        filtered = figures.median_filtered(times, predicted)
        figures.draw_series(
            axes, times, np.where(valid, predicted, np.nan), np.where(valid, filtered, np.nan)
        )
        labels = np.where(valid, labels, np.nan)
        axes.plot(times, labels, color="0.25", lw=1.4, ls="--", label="gold standard")
        cc = table[target]["recordings"][prediction.recording]["cc"]
        title = f"{target}, CC {'n/a' if cc is None else f'{cc:.3f}'}"
        axes.set_title(title, loc="left", fontsize=10)
    panels[0].legend(loc="upper right", ncols=3, fontsize=8)
    return figure


def distribution_figure(table: dict) -> matplotlib.figure.Figure:
    """Draws the histogram of the recordings' CC, a panel for each target (the paper's Figure 6)."""
    figure = matplotlib.figure.Figure(figsize=(5 * len(table), 3.2), layout="constrained")
    for number, (target, row) in enumerate(table.items(), start=1):
        values = [m["cc"] for m in row["recordings"].values() if m["cc"] is not None]
        axes = figure.add_subplot(1, len(table), number)
        lowest = -1.0 if values and min(values) < 0 else 0.0
        bins = list(np.arange(lowest, 1.05, 0.1))
        axes.hist(values, bins, color=figures.FILTERED_COLOUR, edgecolor="white")
        if values:
            axes.axvline(
                np.mean(values), color=figures.RAW_COLOUR, label=f"mean {np.mean(values):.3f}"
            )
            axes.legend()
        axes.set_title(target)
        axes.set_xlabel("CC of a recording")
        axes.set_ylabel("recordings")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    return figure

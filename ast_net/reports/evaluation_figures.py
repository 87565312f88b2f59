"""The paper's figures of one's own predictions (Figures 2 to 6)."""

import pathlib

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from ast_net.reports import evaluation, figures


def write(
    folder: pathlib.Path, predictions: list[evaluation.RecordingPrediction], table: dict
) -> None:
    """Writes a figure over time for each recording, and one of the distribution of their CC."""
    for prediction in predictions:
        figures.save(series_figure(prediction, table), folder / f"{prediction.recording}.png")
    figures.save(distribution_figure(table), folder / "cc_distribution.png")


def series_figure(
    prediction: evaluation.RecordingPrediction, table: dict
) -> matplotlib.figure.Figure:
    """Draws gold standard and prediction over time, with gaps where a frame is not valid."""
    figure, panels = figures.time_panels(prediction.recording, list(table))
    times, valid = prediction.timestamps, prediction.mask
    for column, (axes, (target, row)) in enumerate(zip(panels, table.items(), strict=True)):
        predicted, labels = prediction.predictions[:, column], prediction.labels[:, column]
        filtered = figures.median_filtered(times, predicted)
        figures.draw_series(
            axes, times, np.where(valid, predicted, np.nan), np.where(valid, filtered, np.nan)
        )
        labels = np.where(valid, labels, np.nan)
        axes.plot(times, labels, color="0.25", lw=1.4, ls="--", label="gold standard")
        cc = row["recordings"][prediction.recording]["cc"]
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
        bins = np.arange(-1.0 if min(values, default=0) < 0 else 0.0, 1.05, 0.1)
        axes.hist(values, bins.tolist(), color=figures.FILTERED_COLOUR, edgecolor="white")
        if values:
            mean = row["cc"]["mean"]
            axes.axvline(mean, color=figures.RAW_COLOUR, label=f"mean {mean:.3f}")
            axes.legend()
        axes.set(title=target, xlabel="CC of a recording", ylabel="recordings")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    return figure

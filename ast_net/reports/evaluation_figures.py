"""Draws the predictions of an evaluation as in the paper's Figures 2 to 6."""

import pathlib
from collections.abc import Sequence

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from ast_net import files
from ast_net.reports import figures
from ast_net.temporal import scoring

_DISTRIBUTION = "cc_distribution"


def write(
    folder: pathlib.Path, predictions: Sequence[scoring.RecordingPrediction], metrics: dict
) -> None:
    """Writes a figure over time for each recording, and one with the distribution of their CC.

    Args:
      folder: receives the figures.
      predictions: the predictions of the recordings.
      metrics: the result of `evaluation.metrics_document`.
    """
    names = files.safe_names((p.recording for p in predictions), taken=[_DISTRIBUTION])
    for name, prediction in zip(names, predictions, strict=True):
        figures.save(series_figure(prediction, metrics), folder / f"{name}.png")
    figures.save(distribution_figure(metrics), folder / f"{_DISTRIBUTION}.png")


def series_figure(
    prediction: scoring.RecordingPrediction, metrics: dict
) -> matplotlib.figure.Figure:
    """Draws the ratings, and the predictions they are compared with, over the rating times.

    While no face is visible, the last prediction is held and the background is grey, both as much
    later as the ratings are.

    Args:
      prediction: the predictions of a recording.
      metrics: the result of `evaluation.metrics_document`.
    """
    scores = metrics["recordings"][prediction.recording]["rated"]
    targets = [target for target in scores if target != scoring.AVERAGE]
    figure, panels = figures.time_panels(prediction.recording, targets)
    times = prediction.timestamps
    compared = scoring.predictions_for_ratings(prediction, metrics["reaction_delay"])
    for column, (axes, target) in enumerate(zip(panels, targets, strict=True)):
        predicted = compared[:, column]
        figures.draw_series(axes, times, predicted, figures.median_filtered(times, predicted))
        figures.draw_gold_standard(axes, times, prediction.labels[:, column])
        # Each gap is a slice of consecutive frames without a face.
        for gap in np.ma.clump_masked(np.ma.array(times, mask=~prediction.face)):
            ends = times[[gap.start, min(gap.stop, len(times) - 1)]]
            later = np.minimum(ends + metrics["reaction_delay"][column], times[-1])
            axes.axvspan(*later, color="0.9", lw=0, zorder=0)
        cc = scores[target]["cc"]
        title = f"{target}, CC {'n/a' if cc is None else f'{cc:.3f}'}"
        axes.set_title(title, loc="left", fontsize=10)
    panels[0].legend(loc="upper right", ncols=3, fontsize=8)
    return figure


def distribution_figure(metrics: dict) -> matplotlib.figure.Figure:
    """Draws a histogram of the recordings' CC for each target (the paper's Figure 6).

    Args:
      metrics: the result of `evaluation.metrics_document`.
    """
    targets = [target for target in metrics["protocols"]["rated"] if target != scoring.AVERAGE]
    figure = matplotlib.figure.Figure(figsize=(5 * len(targets), 3.2), layout="constrained")
    for number, target in enumerate(targets, start=1):
        scores = [protocols["rated"][target]["cc"] for protocols in metrics["recordings"].values()]
        values = [cc for cc in scores if cc is not None]
        axes = figure.add_subplot(1, len(targets), number)
        bins = np.arange(-1.0 if min(values, default=0) < 0 else 0.0, 1.05, 0.1)
        axes.hist(values, bins.tolist(), color=figures.FILTERED_COLOUR, edgecolor="white")
        if values:
            mean = np.mean(values)
            axes.axvline(mean, color=figures.RAW_COLOUR, label=f"mean {mean:.3f}")
            axes.legend()
        axes.set(title=target, xlabel="CC of a recording", ylabel="recordings")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    return figure

"""Draws the paper's Figures 2 to 6 for a reproduction: the losses on the same recordings."""

import csv
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import matplotlib.axes
import matplotlib.figure
import numpy as np
from absl import logging

from ast_net import config, errors, files
from ast_net.datasets import reader
from ast_net.faces import video
from ast_net.reports import figures, paper, reproduction_scores

# The losses in the paper's Figures 2, 3 and 4, from top to bottom.
_FIGURE_2 = (config.WHOLE_LOSS, *config.FIGURE_2)
_FIGURE_3 = (config.WHOLE_LOSS, "La+T+S", "La+T")
_FIGURE_4 = ("La+T+Lo+G", config.WHOLE_LOSS)
_RECORDINGS = 4
_SAMPLE_FRAMES = 6
# Approximate length of the longer side of a sample frame, in pixels.
_SAMPLE_SIZE = 320


class ReportFigure(NamedTuple):
    """A figure in the report: its file, its caption, and whether it shows frames of a video."""

    name: str
    title: str
    has_frames: bool = False


class _Series(NamedTuple):
    """A recording in predictions.csv: times [T]; labels and predictions [T] of each target."""

    times: np.ndarray
    labels: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]


class _Panel(NamedTuple):
    """A panel in a grid: the loss of its line, the title of its column, and the curve to draw."""

    loss: str
    column: str
    series: _Series
    target: str
    filtered: bool = False


def write(
    folder: pathlib.Path,
    scores: reproduction_scores.Scores,
    sources: Mapping[str, reader.Source],
) -> list[ReportFigure]:
    """Draws the figures whose losses were trained, with the predictions of the first seed.

    Args:
      folder: receives the figures.
      scores: the scores of all rows.
      sources: the recordings on disk by name, for sample frames.
    """
    written: list[ReportFigure] = []
    if config.WHOLE_LOSS in scores.rows:
        chosen = choose_recordings(scores, _RECORDINGS)
        needed = {*_FIGURE_2, *_FIGURE_3, *_FIGURE_4} & {*scores.rows}
        series = {row: _read(scores, row, chosen) for row in needed}
        written += _loss_figures(folder, scores, series, chosen)
        written.append(_sample_figure(folder, series[config.WHOLE_LOSS], chosen[0], sources))
    figures.save(distribution_figure(scores), folder / "figure_6.png")
    written.append(
        ReportFigure(
            "figure_6.png",
            "Like the paper's Figure 6: CC of each recording, averaged over seeds, for each loss; "
            f"at the top, the share of recordings above {paper.FIGURE_6_THRESHOLD:g} (in the "
            f"paper: over {paper.FIGURE_6_SHARE:.0%} with the full loss, valence, AVEC2012)",
        )
    )
    return written


def choose_recordings(scores: reproduction_scores.Scores, count: int) -> list[str]:
    """Chooses recordings to show by their CC with the full loss, averaged over targets and seeds.

    The median recording is the first. The others are evenly spaced from the worst to the best.
    """
    cc = scores.mean_over_seeds(config.WHOLE_LOSS, scores.targets[-1])
    ranked = sorted(cc, key=lambda name: (cc[name], name)) or scores.recordings
    median = ranked.pop(len(ranked) // 2)
    ranks = np.linspace(0, len(ranked) - 1, min(count - 1, len(ranked))).round().astype(int)
    return [median, *(ranked[rank] for rank in ranks)]


def _read(
    scores: reproduction_scores.Scores, row: str, recordings: Sequence[str]
) -> dict[str, _Series]:
    """Reads the predictions of a row's first seed for the chosen recordings."""
    result: dict[str, _Series] = {}
    first = next(e.seed for e in scores.evaluations if e.row == row)
    for evaluation in scores.evaluations:
        if (evaluation.row, evaluation.seed) != (row, first):
            continue
        path = evaluation.folder / "predictions.csv"
        columns: dict[str, dict[str, list[float]]] = {}
        with files.reading(path, "a table"), path.open(newline="", **files.ENCODING) as file:
            for line in csv.DictReader(file):
                if line["recording"] in recordings:
                    recording = columns.setdefault(line["recording"], {})
                    for name, cell in line.items():
                        if name not in ("recording", "frame", "face"):
                            recording.setdefault(name, []).append(float(cell or "nan"))
            for name, recording in columns.items():
                result[name] = _series(recording, scores.targets[:-1])
    return result


def _series(columns: Mapping[str, Sequence[float]], targets: Sequence[str]) -> _Series:
    arrays = {name: np.array(values, np.float64) for name, values in columns.items()}
    labels, predictions = (
        {target: arrays[f"{target}_{kind}"] for target in targets}
        for kind in ("label", "prediction")
    )
    return _Series(arrays["timestamp_s"], labels, predictions)


def _loss_figures(
    folder: pathlib.Path,
    scores: reproduction_scores.Scores,
    series: Mapping[str, Mapping[str, _Series]],
    chosen: Sequence[str],
) -> Iterator[ReportFigure]:
    """Draws Figures 2 to 4."""
    targets = scores.targets[:-1]
    for number, rows in ((2, _FIGURE_2), (3, _FIGURE_3)):
        trained = [row for row in rows if row in series]
        if len(trained) < 2:
            continue
        panels = [
            [_Panel(row, target, series[row][chosen[0]], target) for target in targets]
            for row in trained
        ]
        name = f"figure_{number}.png"
        title = f"{chosen[0]}: {', '.join(trained)}"
        figures.save(_grid(title, panels), folder / name)
        yield ReportFigure(
            name,
            f"Like the paper's Figure {number}: predictions of {', '.join(trained)} (top to "
            f"bottom) for {chosen[0]}, the recording with the median CC of {config.WHOLE_LOSS}; "
            "dashed: gold standard",
        )
    trained = [row for row in _FIGURE_4 if row in series]
    for target in targets if len(trained) == len(_FIGURE_4) else ():
        panels = [
            [_Panel(row, name, series[row][name], target, filtered) for name in chosen]
            for row, filtered in ((trained[0], False), (trained[1], False), (trained[1], True))
        ]
        name = f"figure_4_{target}.png"
        figures.save(_grid(target, panels), folder / name)
        yield ReportFigure(
            name,
            f"Like the paper's Figure 4: {target} in {', '.join(chosen)}; top to bottom: "
            f"{trained[0]}, {trained[1]}, and {trained[1]} after a median filter; dashed: gold "
            "standard",
        )


def _grid(title: str, panels: Sequence[Sequence[_Panel]]) -> matplotlib.figure.Figure:
    lines, columns = len(panels), len(panels[0])
    figure = matplotlib.figure.Figure((4.2 * columns, 1.7 * lines + 0.6), layout="constrained")
    figures.write_title(figure, title, fontsize=10)
    grid = figure.subplots(lines, columns, sharex="col", sharey="col", squeeze=False)
    for number, line in enumerate(panels):
        for axes, panel in zip(grid[number], line, strict=True):
            _draw(axes, panel)
            if number == 0:
                axes.set_title(panel.column, fontsize=9)
        name = f"{line[0].loss}\nfiltered" if line[0].filtered else line[0].loss
        grid[number, 0].set_ylabel(name, fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    return figure


def _draw(axes: matplotlib.axes.Axes, panel: _Panel) -> None:
    times, predicted = panel.series.times, panel.series.predictions[panel.target]
    colour = figures.RAW_COLOUR
    if panel.filtered:
        colour, predicted = figures.FILTERED_COLOUR, figures.median_filtered(times, predicted)
    axes.plot(times, predicted, color=colour, lw=0.9)
    figures.draw_gold_standard(axes, times, panel.series.labels[panel.target])
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)


def _sample_figure(
    folder: pathlib.Path,
    series: Mapping[str, _Series],
    recording: str,
    sources: Mapping[str, reader.Source],
) -> ReportFigure:
    """Draws Figure 5."""
    curves = series[recording]
    frames = _sample_frames(sources.get(recording), curves.times)
    figures.save(sample_figure(recording, curves, frames), folder / "figure_5.png")
    frames_text = "sample frames, and " if frames else ""
    title = (
        f"Like the paper's Figure 5: {frames_text}the predictions of {config.WHOLE_LOSS} before "
        f"and after a median filter for {recording}; dashed: gold standard"
    )
    return ReportFigure("figure_5.png", title, bool(frames))


def sample_figure(
    recording: str, series: _Series, frames: Sequence[tuple[float, np.ndarray]]
) -> matplotlib.figure.Figure:
    """Draws a line of sample frames (seconds, RGB), and below it each target over time."""
    targets = list(series.labels)
    heights = ([1.3] if frames else []) + [2.0] * len(targets)
    figure = matplotlib.figure.Figure((10, sum(heights) + 0.6), layout="constrained")
    figures.write_title(figure, recording, fontsize=10)
    grid = figure.add_gridspec(len(heights), max(len(frames), 1), height_ratios=heights)
    for column, (time, image) in enumerate(frames):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(image)
        axes.set_title(f"{time:.1f} s", fontsize=8)
        axes.set_axis_off()
    for line, target in enumerate(targets, start=len(heights) - len(targets)):
        axes = figure.add_subplot(grid[line, :])
        predicted = series.predictions[target]
        filtered = figures.median_filtered(series.times, predicted)
        figures.draw_series(axes, series.times, predicted, filtered)
        figures.draw_gold_standard(axes, series.times, series.labels[target])
        for time, _ in frames:
            axes.axvline(time, color="0.8", lw=0.8, zorder=0)
        axes.set_ylabel(target)
        if line == len(heights) - len(targets):
            # The legend is above the panel, where it hides no curve.
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=8)
    axes.set_xlabel("seconds")
    return figure


def _sample_frames(
    source: reader.Source | None, times: np.ndarray
) -> list[tuple[float, np.ndarray]]:
    """Returns small frames evenly spaced over a recording; none if its video cannot be read."""
    if source is None:
        return []
    chosen = set(((np.arange(_SAMPLE_FRAMES) + 0.5) * len(times) / _SAMPLE_FRAMES).astype(int))
    result = []
    try:
        for frame in video.open_video(source.video).frames():
            if frame.index in chosen:
                # Only every k-th pixel is kept.
                k = max(1, max(frame.image.shape) // _SAMPLE_SIZE)
                result.append((frame.timestamp, frame.image[::k, ::k].copy()))
            if len(result) == len(chosen):
                break
    except errors.InputError as error:
        logging.warning(f"the report has no sample frames: {error}")
    return result


def distribution_figure(scores: reproduction_scores.Scores) -> matplotlib.figure.Figure:
    """Draws the CC of each recording, averaged over seeds, in a panel for each target."""
    targets = scores.targets[:-1]
    width = max(6.0, 0.75 * len(scores.rows) + 1.0)
    figure = matplotlib.figure.Figure((width, 3.4 * len(targets)), layout="constrained")
    panels = figure.subplots(len(targets), 1, sharex=True, squeeze=False)[:, 0]
    positions = np.arange(len(scores.rows))
    for axes, target in zip(panels, targets, strict=True):
        cc = [[*scores.mean_over_seeds(row, target).values()] for row in scores.rows]
        axes.boxplot(
            cc, positions=positions, widths=0.6, showfliers=False, medianprops={"color": "0.25"}
        )
        for x, values in zip(positions, cc, strict=True):
            # Offsets follow the order of the recordings, so that the figure is the same every time.
            offsets = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0.0]
            axes.plot(x + np.array(offsets), values, "o", ms=3, color=figures.FILTERED_COLOUR)
            if values:
                share = np.mean(np.array(values) > paper.FIGURE_6_THRESHOLD)
                transform = axes.get_xaxis_transform()
                axes.text(x, 1.01, f"{share:.0%}", transform=transform, ha="center", fontsize=8)
        axes.axhline(paper.FIGURE_6_THRESHOLD, color=figures.RAW_COLOUR, lw=0.8)
        axes.set_ylabel(f"CC, {target}")
        share_title = f"share above {paper.FIGURE_6_THRESHOLD:g}:"
        axes.set_title(share_title, loc="left", fontsize=8, pad=14)
        axes.grid(axis="y", alpha=0.3)
    panels[-1].set_xticks(positions, scores.rows, rotation=45, ha="right", fontsize=8)
    return figure

"""Figure of a recording's predictions over time, raw and median-filtered."""

import array
import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import matplotlib.axes
import matplotlib.figure
import numpy as np

from ast_net.cnn import expression_head
from ast_net.prediction import annotation, frames
from ast_net.reports import figures

# More of them would hide the curves, or make a page that nobody scrolls through.
_MAX_LEGEND, _MAX_POSTERIOR_PANELS = 12, 4
_POSTERIOR_COLOURS = ("#d65f5f", "#8c9440", "#956cb4", "#eec643", "#4878cf", "#ee854a", "#d9d9d9")
_LEGEND: dict[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1, 1),
    "fontsize": 8,
    "frameon": False,
}


class _FacePredictions:
    """The predictions of one face in the K frames that have some; compact, as videos are long."""

    def __init__(self) -> None:
        self.frames = array.array("l")
        self.valid = array.array("b")
        self.values = array.array("f")
        self.posteriors = array.array("f")


@dataclasses.dataclass(frozen=True, eq=False)
class _Curve:
    """A face's series over the T frames from its first to its last; NaN where it is not valid.

    Attributes:
      times: seconds, [T].
      raw, filtered: the targets, [T, D].
      posteriors: of the expressions, [T, 7]; None if there are none.
    """

    times: np.ndarray
    raw: np.ndarray
    filtered: np.ndarray
    posteriors: np.ndarray | None


class Series:
    """Collects predictions frame by frame, about 20 bytes a face and frame, to draw them."""

    def __init__(self, targets: Sequence[str], posteriors: bool = False) -> None:
        self._targets, self._posteriors = tuple(targets), posteriors
        self._times = array.array("d")
        self._faces: dict[int, _FacePredictions] = collections.defaultdict(_FacePredictions)

    def write(self, frame: frames.FramePrediction) -> None:
        """Adds the predictions of the recording's next frame; a dropped frame leaves no gap."""
        if frame.dropped:
            return
        for face in frame.faces:
            series = self._faces[face.face_id]
            series.frames.append(len(self._times))
            series.valid.append(face.valid and face.values is not None)
            series.values.extend(_or_nan(face.values, len(self._targets)))
            if self._posteriors:
                series.posteriors.extend(_or_nan(face.posteriors, len(expression_head.EXPRESSIONS)))
        self._times.append(frame.timestamp)

    def draw(self, title: str) -> matplotlib.figure.Figure:
        """Draws a panel for each target, and one for the posteriors of each face.

        Where a face is not valid its curves have gaps. One face is drawn as in the figures of an
        evaluation; several have the colours of `annotation`.
        """
        curves = {face_id: self._curve(series) for face_id, series in sorted(self._faces.items())}
        curves = {k: curve for k, curve in curves.items() if np.isfinite(curve.raw).any()}
        with_posteriors = _longest_seen(curves)
        expressions = ["expression" if len(curves) == 1 else f"face {k}" for k in with_posteriors]
        figure, panels = figures.time_panels(title, [*self._targets, *expressions])
        for column in range(len(self._targets)):
            _draw_target(panels[column], curves, column)
        for axes, face_id in zip(panels[len(self._targets) :], with_posteriors, strict=True):
            _draw_posteriors(axes, curves[face_id])
        if curves:
            panels[0].legend(ncols=6, **_LEGEND)
        if len(self._times) > 1:
            panels[0].set_xlim(self._times[0], self._times[-1])
        return figure

    def _curve(self, series: _FacePredictions) -> _Curve:
        index = np.array(series.frames)
        times = np.array(self._times)
        valid = np.array(series.valid, bool)
        raw = np.array(series.values, np.float32).reshape(len(index), -1)
        filtered = np.full_like(raw, np.nan)
        # A filter across a stretch without the face would mix what is before it and after it.
        for stretch in _stretches(index, np.isfinite(raw).min(axis=1)):
            for column in range(raw.shape[1]):
                filtered[stretch, column] = figures.median_filtered(
                    times[index[stretch]], raw[stretch, column]
                )

        def at_frames(values: np.ndarray) -> np.ndarray:
            result = np.full((index[-1] - index[0] + 1, values.shape[1]), np.nan, np.float32)
            result[index[valid] - index[0]] = values[valid]
            return result

        posteriors = None
        if series.posteriors:
            posteriors = at_frames(np.array(series.posteriors, np.float32).reshape(len(index), -1))
        return _Curve(
            times[index[0] : index[-1] + 1], at_frames(raw), at_frames(filtered), posteriors
        )


def _longest_seen(curves: dict[int, _Curve]) -> list[int]:
    """The faces whose posteriors have a panel, in order: those that are valid longest."""
    with_posteriors = [k for k, curve in curves.items() if curve.posteriors is not None]
    with_posteriors.sort(key=lambda k: -np.isfinite(curves[k].raw).any(axis=1).sum())
    return sorted(with_posteriors[:_MAX_POSTERIOR_PANELS])


def _draw_target(axes: matplotlib.axes.Axes, curves: dict[int, _Curve], column: int) -> None:
    for number, (face_id, curve) in enumerate(curves.items()):
        raw, filtered = curve.raw[:, column], curve.filtered[:, column]
        colour: str | tuple = figures.RAW_COLOUR
        if len(curves) == 1:
            figures.draw_series(axes, curve.times, raw, filtered)
        else:
            # Darker, as the page is white.
            colour = tuple(0.8 * part / 255 for part in annotation.colour(face_id))
            label = f"face {face_id}" if number < _MAX_LEGEND else None
            figures.draw_series(
                axes, curve.times, raw, filtered, (colour, colour), 0.4, (None, label)
            )
        alone = _alone(raw)
        axes.plot(curve.times[alone], raw[alone], ".", color=colour, ms=5)
    if not curves:
        axes.text(0.5, 0.5, "no face was seen", transform=axes.transAxes, ha="center", va="center")
        axes.grid(alpha=0.3)
    limit = 1.05 * max([1.0, *(np.nanmax(np.abs(curve.raw)) for curve in curves.values())])
    axes.set_ylim(-limit, limit)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)


def _draw_posteriors(axes: matplotlib.axes.Axes, curve: _Curve) -> None:
    assert curve.posteriors is not None
    # Where one is missing all are, and the stack is empty.
    axes.stackplot(
        curve.times,
        np.nan_to_num(curve.posteriors).T,
        labels=expression_head.EXPRESSIONS,
        colors=_POSTERIOR_COLOURS,
        lw=0,
    )
    axes.set_ylim(0, 1)
    axes.legend(ncols=7, **_LEGEND)


def _stretches(index: np.ndarray, finite: np.ndarray) -> list[np.ndarray]:
    """Positions in index [K] of the runs of consecutive frames where finite [K] holds."""
    positions = np.flatnonzero(finite)
    runs = np.split(positions, np.flatnonzero(np.diff(index[positions]) > 1) + 1)
    return [run for run in runs if len(run)]


def _alone(series: np.ndarray) -> np.ndarray:
    """Where a value [T] has NaN or nothing on either side, so that no line shows it."""
    finite = np.pad(np.isfinite(series), 1)
    return finite[1:-1] & ~finite[:-2] & ~finite[2:]


def _or_nan(values: np.ndarray | None, size: int) -> Sequence[float]:
    if values is None:
        return [np.nan] * size
    if len(values) != size:
        raise ValueError(f"expected {size} values of a face, found {len(values)}")
    return values.tolist()

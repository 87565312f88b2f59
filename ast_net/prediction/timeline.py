"""Draws a recording's predictions over time, raw and smooth."""

import array
import collections
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ast_net.prediction import annotation, frames
from ast_net.reports import figures

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# Longer legends would hide the curves, and more panels would make the page too long.
_MAX_LEGEND, _MAX_POSTERIOR_PANELS = 12, 4
# Opacity of the raw curves of several faces, which have the same colours as the smooth ones.
_RAW_OPACITY = 0.4
_POSTERIOR_COLOURS = (
    "#d65f5f",
    "#8c9440",
    "#956cb4",
    "#eec643",
    "#4878cf",
    "#ee854a",
    "#d9d9d9",
    "#8c613c",
)
_LEGEND: Any = dict(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)


class _Curve(NamedTuple):
    """One face over the T frames from its first to its last; NaN in frames that do not show it.

    Attributes:
      times: seconds, [T].
      raw, smooth: predicted targets, and their means over one time step, [T, D].
      posteriors: probabilities of the expressions, [T, K]; [T, 0] if not requested.
    """

    times: np.ndarray
    raw: np.ndarray
    smooth: np.ndarray
    posteriors: np.ndarray


class Series:
    """Collects predictions frame by frame (about 56 bytes per face and frame) and draws them."""

    def __init__(
        self, time_step: float, targets: Sequence[str], expressions: Sequence[str] = ()
    ) -> None:
        """Takes the model's time step in seconds, and the names of the targets and expressions."""
        self._labels = "each frame", f"mean over {time_step:g} s"
        self._targets, self._expressions = tuple(targets), tuple(expressions)
        self._times = array.array("d")
        # For each face its rows, one after the other: frame number, valid, values, smooth,
        # posteriors.
        self._rows: dict[int, array.array] = collections.defaultdict(lambda: array.array("d"))

    def write(self, frame: frames.FramePrediction) -> None:
        """Adds the recording's next frame; a dropped frame is skipped and leaves no gap."""
        if frame.dropped:
            return
        for face in frame.faces:
            row = [len(self._times), face.valid, *face.values, *face.smooth]
            if self._expressions:
                nothing = np.full(len(self._expressions), np.nan)
                row += (nothing if face.posteriors is None else face.posteriors).tolist()
            self._rows[face.face_id].extend(row)
        self._times.append(frame.timestamp)

    def draw(self, title: str) -> "matplotlib.figure.Figure":
        """Draws a panel for each target, and one for the posteriors of each face.

        A curve has a gap where its face is not in the picture. A single face is drawn as in an
        evaluation's figures; several faces have the colours of `annotation`. The posteriors of at
        most four faces are drawn, those that are visible for longest.
        """
        curves = {face_id: self._curve(rows) for face_id, rows in sorted(self._rows.items())}
        curves = {k: curve for k, curve in curves.items() if np.isfinite(curve.raw).any()}
        by_duration = sorted(curves, key=lambda k: -np.isfinite(curves[k].raw).any(axis=1).sum())
        face_ids = sorted(by_duration[:_MAX_POSTERIOR_PANELS]) if self._expressions else []
        expressions = ["expression" if len(curves) == 1 else f"face {k}" for k in face_ids]
        figure, panels = figures.time_panels(title, [*self._targets, *expressions])
        for column in range(len(self._targets)):
            _draw_target(panels[column], curves, column, self._labels)
        for axes, face_id in zip(panels[len(self._targets) :], face_ids, strict=True):
            _draw_posteriors(axes, curves[face_id], self._expressions)
        if curves:
            panels[0].legend(ncols=6, **_LEGEND)
        if len(self._times) > 1:
            panels[0].set_xlim(self._times[0], self._times[-1])
        return figure

    def _curve(self, rows: array.array) -> _Curve:
        count = len(self._targets)
        width = 2 + 2 * count + len(self._expressions)
        table = np.array(rows).reshape(-1, width)
        numbers = table[:, 0].astype(int)
        first, end = numbers[0], numbers[-1] + 1
        series = np.full((end - first, width - 1), np.nan)
        series[numbers - first] = table[:, 1:]
        series[series[:, 0] != 1] = np.nan
        _, raw, smooth, posteriors = np.split(series, [1, 1 + count, 1 + 2 * count], axis=1)
        return _Curve(np.array(self._times[first:end]), raw, smooth, posteriors)


def _draw_target(
    axes: "matplotlib.axes.Axes", curves: dict[int, _Curve], column: int, labels: tuple[str, str]
) -> None:
    if len(curves) > 1:
        # Only for the legend, which also names each face's colour.
        nothing = np.zeros(0)
        figures.draw_series(axes, nothing, nothing, nothing, ("0.3", "0.3"), _RAW_OPACITY, labels)
    for number, (face_id, curve) in enumerate(curves.items()):
        raw, smooth = curve.raw[:, column], curve.smooth[:, column]
        colour: Any = figures.RAW_COLOUR
        style: Any = dict(labels=labels)
        if len(curves) > 1:
            # The annotation's colours, darkened for a white page.
            colour = tuple(0.8 * channel / 255 for channel in annotation.colour(face_id))
            label = f"face {face_id}" if number < _MAX_LEGEND else None
            style = dict(colours=(colour, colour), alpha=_RAW_OPACITY, labels=(None, label))
        figures.draw_series(axes, curve.times, raw, smooth, **style)
        isolated = _isolated(raw)
        axes.plot(curve.times[isolated], raw[isolated], ".", color=colour, ms=5)
    if not curves:
        axes.text(0.5, 0.5, "no face found", transform=axes.transAxes, ha="center", va="center")
        axes.grid(alpha=0.3)
    limit = 1.05 * max([1.0, *(np.nanmax(np.abs(curve.raw)) for curve in curves.values())])
    axes.set_ylim(-limit, limit)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)


def _draw_posteriors(
    axes: "matplotlib.axes.Axes", curve: _Curve, expressions: Sequence[str]
) -> None:
    # NaN becomes 0, so that the stack is empty in frames that do not show the face.
    axes.stackplot(
        curve.times,
        np.nan_to_num(curve.posteriors).T,
        labels=expressions,
        colors=_POSTERIOR_COLOURS,
        lw=0,
    )
    axes.set_ylim(0, 1)
    axes.legend(ncols=len(expressions), **_LEGEND)


def _isolated(series: np.ndarray) -> np.ndarray:
    """Returns which values [T] have no neighbour on either side, so that no line shows them."""
    finite = np.pad(np.isfinite(series), 1)
    return finite[1:-1] & ~finite[:-2] & ~finite[2:]

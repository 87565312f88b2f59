"""Figure of a recording's predictions over time, raw and median-filtered."""

import array
import collections
import dataclasses
from collections.abc import Iterator, Sequence

import matplotlib.axes
import matplotlib.figure
import numpy as np

from ast_net.cnn import expression_head
from ast_net.prediction import annotation, frames
from ast_net.reports import figures

# More of them would hide the curves, or make a page that nobody scrolls through.
_MAX_LEGEND, _MAX_POSTERIOR_PANELS = 12, 4
_POSTERIOR_COLOURS = ("#d65f5f", "#8c9440", "#956cb4", "#eec643", "#4878cf", "#ee854a", "#d9d9d9")


class _Known:
    """What is predicted of one face in the K frames where it is known; compact, as videos are long."""

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
    """Collects predictions frame by frame, about 20 bytes a face and frame, and draws them at the end."""

    def __init__(self, targets: Sequence[str], posteriors: bool = False) -> None:
        self._targets, self._posteriors = tuple(targets), posteriors
        self._times = array.array("d")
        self._faces: dict[int, _Known] = collections.defaultdict(_Known)

    def write(self, frame: frames.FramePrediction) -> None:
        """Adds what is predicted of the recording's next frame; one that was dropped leaves no gap."""
        if frame.dropped:
            return
        for face in frame.faces:
            known = self._faces[face.face_id]
            known.frames.append(len(self._times))
            known.valid.append(face.valid and face.values is not None)
            known.values.extend(_or_nan(face.values, len(self._targets)))
            if self._posteriors:
                known.posteriors.extend(_or_nan(face.posteriors, len(expression_head.EXPRESSIONS)))
        self._times.append(frame.timestamp)

    def draw(self, title: str) -> matplotlib.figure.Figure:
        """A panel for each target, gaps where a face is not valid, and one for each face's posteriors.

        One face is drawn as in the figures of an evaluation; several have the colours of `annotation`.
        """
        curves = {face_id: self._curve(known) for face_id, known in sorted(self._faces.items())}
        curves = {k: curve for k, curve in curves.items() if np.isfinite(curve.raw).any()}
        with_posteriors = [k for k, curve in curves.items() if curve.posteriors is not None]
        # Those that are seen longest.
        with_posteriors.sort(key=lambda k: -np.isfinite(curves[k].raw).any(axis=1).sum())
        with_posteriors = sorted(with_posteriors[:_MAX_POSTERIOR_PANELS])
        panels = len(self._targets) + len(with_posteriors)
        figure = matplotlib.figure.Figure(figsize=(10, 2.6 * panels), layout="constrained")
        figure.suptitle(title)
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for column, target in enumerate(self._targets):
            _draw_target(axes[column], curves, column)
            axes[column].set_ylabel(target)
        for place, face_id in zip(axes[len(self._targets) :], with_posteriors):
            _draw_posteriors(place, curves[face_id])
            place.set_ylabel("expression" if len(curves) == 1 else f"face {face_id}")
        if curves:
            axes[0].legend(
                loc="lower right", bbox_to_anchor=(1, 1), ncols=6, fontsize=8, frameon=False
            )
        if len(self._times) > 1:
            axes[0].set_xlim(self._times[0], self._times[-1])
        axes[-1].set_xlabel("seconds")
        return figure

    def _curve(self, known: _Known) -> _Curve:
        index = np.array(known.frames)
        every = np.array(self._times)
        times = every[index[0] : index[-1] + 1]
        valid = np.array(known.valid, bool)
        values = np.array(known.values, np.float32).reshape(len(index), -1)
        filtered = np.full_like(values, np.nan)
        # A filter across a stretch without the face would mix what was before with what comes after.
        for stretch in _stretches(index, np.isfinite(values).min(axis=1)):
            own = every[index[stretch]]
            for column in range(values.shape[1]):
                filtered[stretch, column] = figures.median_filtered(own, values[stretch, column])
        posteriors = None
        if known.posteriors:
            posteriors = np.array(known.posteriors, np.float32).reshape(len(index), -1)

        def placed(series: np.ndarray) -> np.ndarray:
            result = np.full((len(times), series.shape[1]), np.nan, np.float32)
            result[index[valid] - index[0]] = series[valid]
            return result

        return _Curve(
            times,
            placed(values),
            placed(filtered),
            None if posteriors is None else placed(posteriors),
        )


def _draw_target(axes: matplotlib.axes.Axes, curves: dict[int, _Curve], column: int) -> None:
    one = len(curves) == 1
    for number, (face_id, curve) in enumerate(curves.items()):
        # Darker, as the page is white.
        colour = tuple(0.8 * part / 255 for part in annotation.colour(face_id))
        raw, filtered = curve.raw[:, column], curve.filtered[:, column]
        raw_colour, alpha = (figures.RAW_COLOUR, 0.7) if one else (colour, 0.4)
        label = "median-filtered" if one else f"face {face_id}"
        axes.plot(
            curve.times,
            raw,
            color=raw_colour,
            lw=0.6,
            alpha=alpha,
            label="prediction" if one else None,
        )
        axes.plot(
            curve.times,
            filtered,
            color=figures.FILTERED_COLOUR if one else colour,
            lw=1.4,
            label=label if number < _MAX_LEGEND else None,
        )
        alone = _alone(raw)
        axes.plot(curve.times[alone], raw[alone], ".", color=raw_colour, ms=5)
    if not curves:
        axes.text(0.5, 0.5, "no face was seen", transform=axes.transAxes, ha="center", va="center")
    extremes = [np.nanmax(np.abs(curve.raw)) for curve in curves.values()]
    limit = 1.05 * max(1.0, *extremes) if extremes else 1.05
    axes.set_ylim(-limit, limit)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.grid(alpha=0.3)


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
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=7, fontsize=8, frameon=False)


def _stretches(index: np.ndarray, known: np.ndarray) -> Iterator[np.ndarray]:
    """Runs of consecutive frames with values: positions in index [K], where known [K]."""
    positions = np.flatnonzero(known)
    yield from (
        run for run in np.split(positions, np.flatnonzero(np.diff(index[positions]) > 1) + 1)
        if len(run)
    )  # fmt: skip


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

"""A prepared data set in numbers: a row for each recording and one for each split."""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ast_net.records import example_format, store
from ast_net.reports import tables

# A step between two frames is irregular if it differs from the median step by more than this part.
_IRREGULAR = 0.1
_MOMENTS = ("frames", "min", "mean", "max", "sd")


def recordings(records: store.Records) -> list[tables.Row]:
    """Makes a row for each recording of each split; `_recording` lists the columns."""
    return [
        _recording(split, name, times, faces, labels, records.targets)
        for split in records.splits
        for name, times, faces, labels in _series(records.segments(split))
    ]


def splits(rows: list[tables.Row], targets: tuple[str, ...]) -> list[tables.Row]:
    """Pools the rows of recordings into a row for each split, with moments over all frames."""
    result = []
    for split in dict.fromkeys(row["split"] for row in rows):
        members = [row for row in rows if row["split"] == split]
        column = {name: np.array([row[name] for row in members]) for name in members[0]}
        frames = int(column["frames"].sum())
        total: tables.Row = {
            "split": str(split),
            "recordings": len(members),
            "frames": frames,
            "seconds": float(column["seconds"].sum()),
            "faces": float((column["faces"] * column["frames"]).sum() / frames),
            "rated": float((column["rated"] * column["frames"]).sum() / frames),
        }
        for target in targets:
            total |= _pooled(target, column)
        result.append(total)
    return result


def _pooled(target: str, column: dict[str, np.ndarray]) -> tables.Row:
    """Pools a target's moments over recordings, weighted by their numbers of rated frames."""
    count = column[f"{target}_frames"]
    rated = count > 0
    if not rated.any():
        return _moments(target, np.zeros(0))
    low, mean, high, sd = (column[f"{target}_{kind}"][rated] for kind in _MOMENTS[1:])
    weight = count[rated] / count.sum()
    pooled = float((weight * mean).sum())
    variance = float((weight * (sd**2 + (mean - pooled) ** 2)).sum())
    values = (int(count.sum()), float(low.min()), pooled, float(high.max()), variance**0.5)
    return {f"{target}_{kind}": value for kind, value in zip(_MOMENTS, values)}


def _recording(
    split: str,
    name: str,
    times: np.ndarray,
    faces: np.ndarray,
    labels: np.ndarray,
    targets: tuple[str, ...],
) -> tables.Row:
    """Makes the row of a recording with T frames.

    Columns: split, recording, frames, seconds; frame_rate, 1 / the median step between frames;
    irregular, the share of other steps, and longest_step in seconds; faces, the share of frames
    with a face; rated, the share with all targets; and for each target the number of rated frames
    and min, mean, max and sd of its ratings (NaN where there are none).
    """
    steps = np.diff(times)
    median = float(np.median(steps)) if len(steps) else math.nan
    irregular = np.abs(steps - median) > _IRREGULAR * median
    row: tables.Row = {
        "split": split,
        "recording": name,
        "frames": len(times),
        "seconds": float(times[-1] - times[0]) + (median if len(steps) else 0.0),
        "frame_rate": 1 / median,
        "irregular": float(irregular.mean()) if len(steps) else 0.0,
        "longest_step": float(steps.max()) if len(steps) else math.nan,
        "faces": float(faces.mean()),
        "rated": float(np.isfinite(labels).all(axis=1).mean()),
    }
    for column, target in enumerate(targets):
        row |= _moments(target, labels[np.isfinite(labels[:, column]), column])
    return row


def _moments(target: str, values: np.ndarray) -> tables.Row:
    functions = (np.min, np.mean, np.max, np.std)
    moments = [float(function(values)) if len(values) else math.nan for function in functions]
    return {f"{target}_{kind}": value for kind, value in zip(_MOMENTS, [len(values), *moments])}


def _series(
    segments: tf.data.Dataset,
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each recording's name, timestamps [T], mask [T] and labels [T, D]."""
    for name, pieces in example_format.by_recording(segments):
        parts = [
            [segment[kind].numpy()[:frames] for kind in ("timestamps", "mask", "labels")]
            for segment, frames in pieces
        ]
        times, faces, labels = map(np.concatenate, zip(*parts))
        yield name, times, faces, labels.astype(np.float64)

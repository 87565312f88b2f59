"""Describes a prepared data set: a row of numbers for each recording and for each partition."""

import math
from collections.abc import Callable

import numpy as np

from ast_net.records import example_format, record_files
from ast_net.reports import tables
from ast_net.temporal import timing

# A step between two frames is irregular if it differs by more than this part of the median step.
_IRREGULAR = 0.1
_MOMENTS: dict[str, Callable] = {"min": np.min, "mean": np.mean, "max": np.max, "sd": np.std}


def tabulate(records: record_files.Records) -> tuple[list[tables.Row], list[tables.Row]]:
    """Makes a row for each recording, and a row for each partition over all its frames.

    Columns of a recording: split, recording, frames, seconds; frame_rate, 1 / the median step
    between frames; irregular, the share of steps that differ from the median; longest_step, in
    seconds; faces, the share of frames with a face; rated, the share with ratings of all targets;
    and for each target the number of rated frames and the min, mean, max and sd of its ratings (NaN
    if there are none). A partition has the number of recordings instead of the columns about steps.
    """
    recordings: list[tables.Row] = []
    splits: list[tables.Row] = []
    for split in records.splits:
        rows, series = [], []
        for frames in records.frames(split):
            times, faces, labels = frames.timestamps, frames.valid, frames.labels
            row: tables.Row = {"split": split, "recording": frames.recording, "frames": len(times)}
            rows.append(row | _steps(times) | _contents(faces, labels, records.targets))
            series.append((faces, labels))
        total: tables.Row = {"split": split, "recordings": len(rows)}
        total |= {name: sum(row[name] for row in rows) for name in ("frames", "seconds")}
        faces, labels = map(np.concatenate, zip(*series))
        splits.append(total | _contents(faces, labels, records.targets))
        recordings += rows
    return recordings, splits


def _steps(times: np.ndarray) -> tables.Row:
    """Describes the steps between the T frames of a recording."""
    if len(times) == 1:
        return {"seconds": 0.0, "frame_rate": math.nan, "irregular": 0.0, "longest_step": math.nan}
    steps = np.diff(times)
    median = timing.interval(times)
    irregular = np.abs(steps - median) > _IRREGULAR * median
    return {
        "seconds": example_format.duration(times),
        "frame_rate": 1 / median,
        "irregular": float(irregular.mean()),
        "longest_step": float(steps.max()),
    }


def _contents(faces: np.ndarray, labels: np.ndarray, targets: tuple[str, ...]) -> tables.Row:
    """Describes the faces [T] and labels [T, D] of a recording or a partition."""
    finite = np.isfinite(labels)
    row = {"faces": float(faces.mean()), "rated": float(finite.all(axis=1).mean())}
    for column, target in enumerate(targets):
        values = labels[finite[:, column], column].astype(np.float64)
        row[f"{target}_frames"] = len(values)
        for name, moment in _MOMENTS.items():
            row[f"{target}_{name}"] = float(moment(values)) if len(values) else math.nan
    return row

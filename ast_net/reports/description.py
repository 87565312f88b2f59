"""What is in a prepared data set, in numbers: a row for each recording, and one for each split."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from ast_net.records import store

Row = dict[str, str | int | float]

# A step between two frames is irregular if it differs from the usual one by more than this part of it.
_IRREGULAR = 0.1


def recordings(builder: tfds.core.DatasetBuilder) -> list[Row]:
    """A row for each recording of each split: see `_recording` for its columns."""
    targets = builder.builder_config.targets
    return [
        _recording(split, name, times, faces, labels, targets)
        for split in builder.info.splits
        for name, times, faces, labels in _joined(builder, split)
    ]


def splits(rows: list[Row], targets: tuple[str, ...]) -> list[Row]:
    """The rows of recordings brought together: a row for each split, its moments over all its frames."""
    result = []
    for split in dict.fromkeys(row["split"] for row in rows):
        own = [row for row in rows if row["split"] == split]
        column = {name: np.array([row[name] for row in own]) for name in own[0] if name != "split"}
        frames = int(column["frames"].sum())
        total: Row = {
            "split": str(split),
            "recordings": len(own),
            "frames": frames,
            "seconds": float(column["seconds"].sum()),
            "faces": float((column["faces"] * column["frames"]).sum() / frames),
            "rated": float((column["rated"] * column["frames"]).sum() / frames),
        }
        for target in targets:
            total |= _pooled(target, column)
        result.append(total)
    return result


def _pooled(target: str, column: dict[str, np.ndarray]) -> Row:
    """A target's numbers over recordings, each with as many rated frames as it has."""
    count = column[f"{target}_frames"]
    used = count > 0
    low, mean, high, sd = (
        column[f"{target}_{kind}"][used] for kind in ("min", "mean", "max", "sd")
    )
    if not used.any():
        return _moments(target, np.zeros(0))
    weight = count[used] / count.sum()
    whole = float((weight * mean).sum())
    variance = float((weight * (sd**2 + (mean - whole) ** 2)).sum())
    values = (int(count.sum()), float(low.min()), whole, float(high.max()), variance**0.5)
    return {f"{target}_{kind}": value for kind, value in zip(_MOMENTS, values)}


def _recording(
    split: str,
    name: str,
    times: np.ndarray,
    faces: np.ndarray,
    labels: np.ndarray,
    targets: tuple[str, ...],
) -> Row:
    """One recording of T frames.

    Columns: split, recording, frames, seconds; frame_rate, of the usual (median) step; irregular, the share
    of other steps, and longest_step in seconds; faces, the share of frames with one; rated, the share with
    all targets; and of each target the number of rated frames and min, mean, max and sd of its ratings (NaN
    where there are none).
    """
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else float("nan")
    row: Row = {
        "split": split,
        "recording": name,
        "frames": len(times),
        "seconds": float(times[-1] - times[0]) + (usual if len(steps) else 0.0),
        "frame_rate": 1 / usual,
        "irregular": float(np.mean(np.abs(steps - usual) > _IRREGULAR * usual))
        if len(steps)
        else 0.0,
        "longest_step": float(steps.max()) if len(steps) else float("nan"),
        "faces": float(faces.mean()),
        "rated": float(np.isfinite(labels).all(axis=1).mean()),
    }
    for column, target in enumerate(targets):
        row |= _moments(target, labels[np.isfinite(labels[:, column]), column])
    return row


_MOMENTS = ("frames", "min", "mean", "max", "sd")


def _moments(target: str, values: np.ndarray) -> Row:
    nan = float("nan")
    found: tuple = (0, nan, nan, nan, nan)
    if len(values):
        found = (len(values), *(float(f(values)) for f in (np.min, np.mean, np.max, np.std)))
    return {f"{target}_{kind}": value for kind, value in zip(_MOMENTS, found)}


def _joined(
    builder: tfds.core.DatasetBuilder, split: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each recording's name, timestamps [T], mask [T] and labels [T, D]."""
    parts: list[tuple[np.ndarray, ...]] = []
    for segment in store.segments(builder, split).as_numpy_iterator():
        # The overlap comes again with the next segment.
        new = len(segment["mask"]) - int(segment["overlap"])
        labels = segment["labels"][:new].astype(np.float64)
        parts.append((segment["timestamps"][:new], segment["mask"][:new], labels))
        if int(segment["overlap"]) == 0:
            times, faces, ratings = (np.concatenate(part) for part in zip(*parts))
            yield segment["recording"].decode(), times, faces, ratings
            parts = []

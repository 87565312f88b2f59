"""Predictions of whole recordings, and the tables made of them (section 4.2)."""

import csv
import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from ast_net import files
from ast_net.records import clips
from ast_net.temporal import metrics, streaming

METRICS = {"cc": metrics.pearson_cc, "ccc": metrics.concordance_cc, "rmse": metrics.rmse}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A recording's gold standard and prediction, frame by frame.

    Attributes:
      recording: its name.
      timestamps: float64 [T], seconds.
      labels, predictions: float32 [T, D].
      mask: [T], whether a frame has a face and is rated; only these are compared.
    """

    recording: str
    timestamps: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    mask: np.ndarray


def predict(
    predictor: streaming.StreamingPredictor,
    segments: tf.data.Dataset,
    reaction_delay: Sequence[float],
    targets: list[int],
) -> Iterator[Prediction]:
    """Streams each recording through the model, segment by segment.

    Args:
      predictor: of the model; it begins anew with each recording.
      segments: examples of `example_format.features_dict`, those of a recording in order.
      reaction_delay: seconds between a frame and the ratings it is compared with, one number for all
        targets or one for each.
      targets: the columns of the labels.
    """
    parts: list[Prediction] = []
    for segment in segments:
        if not parts:
            predictor.reset()
        prepared = clips.prepare_segment(segment, reaction_delay, targets)
        # The overlap comes again with the next segment.
        new = len(prepared["mask"]) - int(prepared["overlap"])
        features = np.where(prepared["present"][:, np.newaxis], prepared["features"], 0)[:new]
        parts.append(
            Prediction(
                segment["recording"].numpy().decode(),
                segment["timestamps"].numpy()[:new],
                prepared["labels"].numpy()[:new],
                predictor.predict(features),
                prepared["mask"].numpy()[:new],
            )
        )
        if int(prepared["overlap"]) == 0:
            yield _join(parts)
            parts = []


def _join(parts: list[Prediction]) -> Prediction:
    series = ("timestamps", "labels", "predictions", "mask")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in series}
    return Prediction(recording=parts[0].recording, **joined)


def tabulate(predictions: list[Prediction], targets: tuple[str, ...]) -> dict:
    """The metrics of each target: over recordings, over all frames concatenated, and of each recording.

    A recording where a metric is undefined (nothing valid, or a constant series) has None there, and
    is left out of mean, minimum and maximum.

    Returns:
      {target: {"cc"|"ccc"|"rmse": {"mean", "min", "max", "concatenated"}, "recordings": {name: {metric}}}}.
    """
    table: dict = {}
    for column, target in enumerate(targets):
        recordings = {p.recording: _measure([p], column) for p in predictions}
        concatenated = _measure(predictions, column)
        table[target] = {"recordings": recordings}
        for metric in METRICS:
            values = [v for m in recordings.values() if (v := m[metric]) is not None]
            table[target][metric] = {
                "mean": float(np.mean(values)) if values else None,
                "min": min(values, default=None),
                "max": max(values, default=None),
                "concatenated": concatenated[metric],
            }
    return table


def _measure(predictions: list[Prediction], column: int) -> dict[str, float | None]:
    labels = np.concatenate([p.labels[:, column] for p in predictions])
    predicted = np.concatenate([p.predictions[:, column] for p in predictions])
    mask = np.concatenate([p.mask for p in predictions])
    values = {name: metric(labels, predicted, mask) for name, metric in METRICS.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def undefined(table: dict) -> list[str]:
    """The recordings and targets that have no CC."""
    return [
        f"{recording}, {target}"
        for target, row in table.items()
        for recording, values in row["recordings"].items()
        if values["cc"] is None
    ]


def write(
    folder: pathlib.Path, predictions: list[Prediction], targets: tuple[str, ...], table: dict
) -> None:
    """Writes metrics.json, recordings.csv and predictions.csv."""
    with files.whole(folder / "metrics.json") as path:
        path.write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")
    with files.whole(folder / "recordings.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["recording", "target", *METRICS, "frames", "valid_frames"])
        for p in predictions:
            for target in targets:
                values = table[target]["recordings"][p.recording].values()
                writer.writerow([p.recording, target, *values, len(p.mask), int(p.mask.sum())])
    with files.whole(folder / "predictions.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = [f"{target}_{kind}" for target in targets for kind in ("label", "prediction")]
        writer.writerow(["recording", "frame", "timestamp_s", "valid", *columns])
        for p in predictions:
            values = np.stack([p.labels, p.predictions], axis=-1).reshape(len(p.mask), -1)
            for frame, row in enumerate(values):
                time, valid = f"{p.timestamps[frame]:.6f}", int(p.mask[frame])
                writer.writerow([p.recording, frame, time, valid, *(f"{v:.6f}" for v in row)])


def format_table(table: dict) -> str:
    """The table as a person reads it on a terminal."""
    lines = [f"{'target':<12}{'metric':<8}{'mean':>9}{'min':>9}{'max':>9}{'concatenated':>14}"]
    for target, row in table.items():
        for metric in METRICS:
            values = [row[metric][key] for key in ("mean", "min", "max", "concatenated")]
            cells = ["n/a" if value is None else f"{value:.4f}" for value in values]
            lines.append(
                f"{target:<12}{metric:<8}"
                + "".join(f"{c:>9}" for c in cells[:3])
                + f"{cells[3]:>14}"
            )
    return "\n".join(lines)

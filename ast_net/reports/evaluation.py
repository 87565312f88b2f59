"""Predictions of whole recordings and their scores (section 4.2)."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from ast_net.records import clips, example_format
from ast_net.reports import tables
from ast_net.temporal import metrics, streaming

METRICS = {"cc": metrics.pearson_cc, "ccc": metrics.concordance_cc, "rmse": metrics.rmse}


@dataclasses.dataclass(frozen=True)
class RecordingPrediction:
    """The gold standard and the prediction of a recording's T frames.

    Attributes:
      recording: the recording's name.
      timestamps: float64 [T], seconds.
      labels, predictions: float32 [T, D].
      mask: bool [T], whether a frame has a face and is rated; only such frames are scored.
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
) -> Iterator[RecordingPrediction]:
    """Streams each recording through the model, segment by segment.

    Args:
      predictor: of the model; it begins anew with each recording.
      segments: examples of `example_format.features_dict`, those of a recording in order.
      reaction_delay: seconds between a frame and the ratings it is compared with, for each target.
    """
    for name, pieces in example_format.by_recording(segments):
        predictor.reset()
        parts = []
        for segment, frames in pieces:
            prepared = clips.prepare_segment(segment, reaction_delay)
            features = np.where(prepared["present"][:, np.newaxis], prepared["features"], 0)
            times, labels, mask = segment["timestamps"], prepared["labels"], prepared["mask"]
            predictions = predictor.predict(features[:frames])
            parts.append([times[:frames], labels[:frames], predictions, mask[:frames]])
        yield RecordingPrediction(name, *map(np.concatenate, zip(*parts)))


def tabulate(predictions: list[RecordingPrediction], targets: tuple[str, ...]) -> dict:
    """Computes the metrics of each target: per recording, over recordings, and concatenated.

    Where a metric of a recording is undefined (no valid frame, or a constant series) it is None,
    and mean, minimum and maximum leave it out. "concatenated" is over all frames in one series.

    Returns:
      {target: {"cc"|"ccc"|"rmse": {"mean", "min", "max", "concatenated"},
      "recordings": {name: {"cc"|"ccc"|"rmse"}}}}.
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


def _measure(predictions: list[RecordingPrediction], column: int) -> dict[str, float | None]:
    labels = np.concatenate([p.labels[:, column] for p in predictions])
    predicted = np.concatenate([p.predictions[:, column] for p in predictions])
    mask = np.concatenate([p.mask for p in predictions])
    values = {name: metric(labels, predicted, mask) for name, metric in METRICS.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def undefined(table: dict) -> list[str]:
    """Lists the recordings and targets without a CC, as "recording, target"."""
    return [
        f"{recording}, {target}"
        for target, row in table.items()
        for recording, values in row["recordings"].items()
        if values["cc"] is None
    ]


def write(folder: pathlib.Path, predictions: list[RecordingPrediction], table: dict) -> None:
    """Writes metrics.json, recordings.csv and predictions.csv."""
    tables.write_json(folder / "metrics.json", table)
    recordings: list[tables.Row] = [
        {
            "recording": p.recording,
            "target": target,
            **row["recordings"][p.recording],
            "frames": len(p.mask),
            "valid_frames": int(p.mask.sum()),
        }
        for p in predictions
        for target, row in table.items()
    ]
    tables.write(folder / "recordings.csv", recordings, digits=None)
    frames = (row for p in predictions for row in _frame_rows(p, table))
    tables.write(folder / "predictions.csv", frames, digits=6)


def _frame_rows(prediction: RecordingPrediction, targets: Iterable[str]) -> Iterator[tables.Row]:
    columns = [f"{target}_{kind}" for target in targets for kind in ("label", "prediction")]
    # [T, D, 2] -> [T, 2 D], each target's label beside its prediction.
    values = np.stack([prediction.labels, prediction.predictions], axis=-1)
    values = values.reshape(len(prediction.mask), -1)
    for frame, row in enumerate(values.tolist()):
        yield {
            "recording": prediction.recording,
            "frame": frame,
            "timestamp_s": float(prediction.timestamps[frame]),
            "valid": bool(prediction.mask[frame]),
            **dict(zip(columns, row, strict=True)),
        }


def format_table(table: dict) -> str:
    """Formats the metrics over recordings for a terminal."""
    rows = [
        {"target": target, "metric": metric, **row[metric]}
        for target, row in table.items()
        for metric in METRICS
    ]
    return tables.text(rows)

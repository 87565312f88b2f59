"""Predictions of whole recordings, and their scores as files (section 4.2)."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from ast_net.records import example_format
from ast_net.reports import tables
from ast_net.temporal import scoring

_STATISTICS = ("mean", "sd", "min", "max")


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """What was evaluated: it heads metrics.json.

    Attributes:
      split: train, dev or test.
      epoch: of the model, counted from 1.
      selected_by: what chose that epoch: "cc", "ccc", or "last".
      chose_epoch: whether these recordings chose it, so that their scores are optimistic.
      reaction_delay: seconds, of each of the D targets.
    """

    split: str
    epoch: int
    selected_by: str
    chose_epoch: bool
    reaction_delay: tuple[float, ...]


class FramePredictor(Protocol):
    """What predicts a recording frame after frame, such as `streaming.StreamingPredictor`."""

    def reset(self) -> None: ...

    def predict(self, features: np.ndarray, times: np.ndarray) -> np.ndarray: ...


def predict(
    predictor: FramePredictor, segments: tf.data.Dataset
) -> Iterator[scoring.RecordingPrediction]:
    """Streams each recording through the model, segment by segment.

    Args:
      predictor: of the model; it begins anew with each recording.
      segments: examples of `example_format.features_dict`, those of a recording in order.
    """
    for name, pieces in example_format.by_recording(segments):
        predictor.reset()
        parts = []
        for segment, frames in pieces:
            times, face, labels, features = (
                segment[key].numpy()[:frames]
                for key in ("timestamps", "mask", "labels", "features")
            )
            features = np.where(face[:, np.newaxis], features, 0)
            parts.append([times, face, labels, predictor.predict(features, times)])
        yield scoring.RecordingPrediction(name, *map(np.concatenate, zip(*parts)))


def document(evaluated: Evaluated, scores: dict) -> dict[str, Any]:
    """Returns what metrics.json holds.

    Args:
      evaluated: the model and the recordings.
      scores: as of `scoring.score`.
    """
    return {**dataclasses.asdict(evaluated), **scores}


def write(
    folder: pathlib.Path, predictions: Sequence[scoring.RecordingPrediction], metrics: dict
) -> None:
    """Writes metrics.json, recordings.csv and predictions.csv.

    Args:
      folder: gets the files.
      predictions: of the recordings.
      metrics: as of `document`.
    """
    tables.write_json(folder / "metrics.json", metrics)
    tables.write(folder / "recordings.csv", _recording_rows(metrics), digits=None)
    targets = [t for t in metrics["protocols"]["rated"] if t != scoring.AVERAGE]
    write_predictions(folder, predictions, targets, metrics["reaction_delay"])


def write_predictions(
    folder: pathlib.Path,
    predictions: Sequence[scoring.RecordingPrediction],
    targets: Sequence[str],
    reaction_delay: Sequence[float],
) -> None:
    """Writes predictions.csv: a row a frame, its labels empty where there are none.

    Args:
      folder: gets the file.
      predictions: of the recordings.
      targets: the names of the D targets.
      reaction_delay: seconds by which the ratings lag, of each target.
    """
    frames = (row for p in predictions for row in _frame_rows(p, targets, reaction_delay))
    tables.write(folder / "predictions.csv", frames, digits=6)


def _recording_rows(metrics: dict) -> Iterator[tables.Row]:
    for recording, protocols in metrics["recordings"].items():
        for protocol, targets in protocols.items():
            for target, values in targets.items():
                smoothness = values["smoothness"]
                yield {
                    "recording": recording,
                    "protocol": protocol,
                    "target": target,
                    **{name: values[name] for name in (*scoring.METRICS, "frames", "face")},
                    "label_step": smoothness["labels"],
                    "prediction_step": smoothness["predictions"],
                }


def _frame_rows(
    prediction: scoring.RecordingPrediction, targets: Sequence[str], delays: Sequence[float]
) -> Iterator[tables.Row]:
    columns = [f"{target}_{kind}" for target in targets for kind in ("label", "prediction")]
    compared = scoring.predictions_for_ratings(prediction, delays)
    # [T, D, 2] -> [T, 2 D], each target's label beside its prediction.
    values = np.stack([prediction.labels, compared], axis=-1).reshape(len(compared), -1)
    for frame, row in enumerate(values.tolist()):
        yield {
            "recording": prediction.recording,
            "frame": frame,
            "timestamp_s": float(prediction.timestamps[frame]),
            "face": bool(prediction.face[frame]),
            **dict(zip(columns, row, strict=True)),
        }


def format_table(metrics: dict) -> str:
    """Formats the scores for a terminal: a row for each protocol, target and metric.

    `seen` is left out where all its scores are those of `rated`.

    Args:
      metrics: as of `document`.
    """
    protocols = dict(metrics["protocols"])
    if protocols["seen"] == protocols["rated"]:
        del protocols["seen"]
    rows = []
    for protocol, targets in protocols.items():
        for target, row in targets.items():
            for metric in scoring.METRICS:
                values = row[metric]
                low, high = values["interval"] or (None, None)
                rows.append(
                    {
                        "protocol": protocol,
                        "target": target,
                        "metric": metric,
                        **{name: values[name] for name in _STATISTICS},
                        "95 % from": low,
                        "to": high,
                        "concatenated": values["concatenated"],
                    }
                )
    steps = [
        {
            "protocol": protocol,
            "target": target,
            "frames": row["frames"],
            "with face": row["face"],
            "step of labels": row["smoothness"]["labels"],
            "step of predictions": row["smoothness"]["predictions"],
        }
        for protocol, targets in protocols.items()
        for target, row in targets.items()
        if target != scoring.AVERAGE
    ]
    return f"{tables.text(rows)}\n\n{tables.text(steps, {'with face': 3, 'step of labels': 5, 'step of predictions': 5})}"


def remarks(metrics: dict, dataset: str) -> Iterator[str]:
    """Yields what a reader of the scores must know, a sentence each.

    Args:
      metrics: as of `document`.
      dataset: whose recordings they are.
    """
    split = metrics["split"]
    if metrics["chose_epoch"]:
        yield (
            f"{split} chose the epoch ({metrics['epoch']}, by its {metrics['selected_by'].upper()}), so "
            "these scores are optimistic: report those of other recordings"
        )
    if metrics["selected_by"] == "last":
        yield f"the model is that of the last epoch, {metrics['epoch']}: nothing chose it"
    rated = metrics["protocols"]["rated"]
    for target, row in rated.items():
        if target == scoring.AVERAGE:
            continue
        if row["left_out"]:
            yield (
                f"{target}: no CC for {', '.join(row['left_out'])} (constant ratings, or fewer rated frames "
                "than one clip lasts); left out of the scores over recordings"
            )
        if row["constant"]:
            yield f"{target}: constant predictions in {row['constant']} recordings of {dataset}: CC 0"

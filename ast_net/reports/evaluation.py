"""Predicts whole recordings and writes their scores to files (section 4.2)."""

import dataclasses
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from ast_net import errors, files
from ast_net.datasets import reader
from ast_net.records import example_format
from ast_net.reports import challenge_format, evaluation_figures, tables
from ast_net.temporal import scoring

_PREDICTIONS = "predictions.csv"
_STATISTICS = ("mean", "sd", "min", "max")


@dataclasses.dataclass(frozen=True)
class EvaluationSetup:
    """Which model was evaluated, and on what: the first entries of metrics.json.

    Attributes:
      split: the partition: train, dev or test.
      epoch: the model's epoch, counted from 1; 0 for a baseline or the included model.
      selected_by: how the epoch was selected: "cc", "ccc" or "last"; "none" where the epoch is 0.
      chose_epoch: whether the epoch was selected on these recordings, which makes their scores
        optimistic.
      reaction_delay: the reaction delay of each of the D targets, in seconds.
    """

    split: str
    epoch: int
    selected_by: str
    chose_epoch: bool
    reaction_delay: tuple[float, ...]


class FramePredictor(Protocol):
    """A model that predicts a recording frame by frame, such as `streaming.StreamingPredictor`."""

    def reset(self) -> None: ...

    def predict(self, features: np.ndarray, times: np.ndarray) -> np.ndarray: ...


def predict(
    predictor: FramePredictor, segments: tf.data.Dataset
) -> Iterator[scoring.RecordingPrediction]:
    """Predicts each recording, segment by segment.

    Args:
      predictor: the model; it is reset before each recording.
      segments: examples of `example_format.features_dict`; those of a recording are in order.
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


def check_folder(folder: pathlib.Path) -> None:
    """Checks that an evaluation may be written to a folder: that it is new, or has an earlier one.

    Raises:
      InputError: it is a file, or has other files.
    """
    if folder.is_dir():
        usable = files.is_empty(folder) or (folder / _PREDICTIONS).is_file()
    else:
        usable = not folder.exists()
    if not usable:
        raise errors.InputError(
            f"{folder}: is a file, or a folder with files but no evaluation; expected a new folder "
            "or that of an earlier evaluation: give another `output_dir`"
        )


def report(
    folder: pathlib.Path,
    predictions: Sequence[scoring.RecordingPrediction],
    targets: Sequence[str],
    setup: EvaluationSetup,
    clip_seconds: float,
    data_set: type[reader.Reader],
) -> dict[str, Any] | None:
    """Scores predictions and writes the scores, the predictions, the figures, and avec/.

    Without any rating, only predictions.csv and avec/ are written. An earlier evaluation in the
    folder is deleted first.

    Args:
      folder: receives the files.
      predictions: the predictions of the recordings.
      targets: the names of the D targets.
      setup: the model and the partition.
      clip_seconds: time from the first to the last frame of a clip.
      data_set: the reader that defines the format of the files in avec/.

    Returns:
      The content of metrics.json; None without any rating.
    """
    if (folder / _PREDICTIONS).is_file():
        for name in ("metrics.json", "recordings.csv", _PREDICTIONS):
            (folder / name).unlink(missing_ok=True)
        for name in ("figures", "avec"):
            shutil.rmtree(folder / name, ignore_errors=True)
    delays = setup.reaction_delay
    challenge_format.write(folder / "avec", predictions, targets, delays, data_set)
    if not any(np.isfinite(prediction.labels).any() for prediction in predictions):
        write_predictions(folder, predictions, targets, delays)
        return None
    metrics = metrics_document(setup, scoring.score(predictions, targets, delays, clip_seconds))
    write(folder, predictions, metrics)
    evaluation_figures.write(folder / "figures", predictions, metrics)
    return metrics


def metrics_document(setup: EvaluationSetup, scores: dict) -> dict[str, Any]:
    """Returns the content of metrics.json.

    Args:
      setup: the model and the partition.
      scores: the result of `scoring.score`.
    """
    return {**dataclasses.asdict(setup), **scores}


def write(
    folder: pathlib.Path, predictions: Sequence[scoring.RecordingPrediction], metrics: dict
) -> None:
    """Writes metrics.json, recordings.csv and predictions.csv.

    Args:
      folder: receives the files.
      predictions: the predictions of the recordings.
      metrics: the result of `metrics_document`.
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
    """Writes predictions.csv: one row per frame; missing labels are empty cells.

    Args:
      folder: receives the file.
      predictions: the predictions of the recordings.
      targets: the names of the D targets.
      reaction_delay: the reaction delay of each target, in seconds.
    """
    frames = (row for p in predictions for row in _frame_rows(p, targets, reaction_delay))
    tables.write(folder / _PREDICTIONS, frames, digits=6)


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
    # [T, D, 2] -> [T, 2 D], with each target's label next to its prediction.
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
    """Formats the scores as two tables of text.

    The first has a row for each protocol, target and metric. The second has the number of frames,
    the share of them with a face, and the mean absolute step from one frame to the next.

    `seen` is left out if all its scores equal those of `rated`.

    Args:
      metrics: the result of `metrics_document`.
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
                        "95 % CI low": low,
                        "high": high,
                        "concatenated": values["concatenated"],
                    }
                )
    smoothness = [
        {
            "protocol": protocol,
            "target": target,
            "frames": row["frames"],
            "with face": row["face"],
            "label step": row["smoothness"]["labels"],
            "prediction step": row["smoothness"]["predictions"],
        }
        for protocol, targets in protocols.items()
        for target, row in targets.items()
        if target != scoring.AVERAGE
    ]
    digits = {"with face": 3, "label step": 5, "prediction step": 5}
    return f"{tables.text(rows)}\n\n{tables.text(smoothness, digits)}"


def remarks(metrics: dict, dataset: str) -> Iterator[str]:
    """Yields remarks that a reader of the scores needs.

    Args:
      metrics: the result of `metrics_document`.
      dataset: the name of the data set.
    """
    split = metrics["split"]
    if metrics["chose_epoch"]:
        yield (
            f"epoch {metrics['epoch']} was chosen by its {metrics['selected_by'].upper()} on "
            f"{split}, so these scores are optimistic: evaluate on other recordings"
        )
    if metrics["selected_by"] == "none":
        yield "these are the scores of the included model; for a run of your own, name its workdir"
    if metrics["selected_by"] == "last":
        yield f"this is the model of the last epoch, {metrics['epoch']}; no best epoch was chosen"
    rated = metrics["protocols"]["rated"]
    for target, row in rated.items():
        if target == scoring.AVERAGE:
            continue
        if row["left_out"]:
            yield (
                f"{target}: no CC for {', '.join(row['left_out'])} (constant ratings, or rated "
                "frames that last for less than one clip): left out of the means"
            )
        if row["constant"]:
            yield (
                f"{target}: the predictions are constant in {row['constant']} recordings of "
                f"{dataset}, which counts as CC 0"
            )

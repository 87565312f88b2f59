"""The training loop of both networks; a run that was killed continues where it stopped."""

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import devices, errors, files, screen, workdir
from ast_net.training import history, selection

_NEW_WORKDIR = "give another `workdir` to start a new run"

Step = Callable[[Any], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Task:
    """What `fit` trains, and how the best epoch is chosen.

    The result of an epoch must depend only on `state` before it and on its number. Epochs are
    counted from 0.

    Attributes:
      state: everything that training changes, by name: models, optimizers, lists of variables.
      batches: returns the batches of an epoch; all tensors of a batch are [B, ...].
      step: returns the training step of an epoch. A step trains on one batch and returns its `loss`
        and other values to log, each the mean over the batch.
      measure: measures the network after an epoch; the results are added to history.csv.
      score: returns the score of an epoch from its row of history.csv; NaN if it is undefined.
      save: writes the current weights; called after each epoch that is the best so far.
      first_candidate: the first epoch that may be chosen as the best (`selection.best`).
      shown: the columns of history.csv to print after each epoch.
    """

    state: dict[str, Any]
    batches: Callable[[int], Iterable[Any]]
    step: Callable[[int], Step]
    measure: Callable[[], dict[str, float]]
    score: Callable[[Mapping[str, float]], float]
    save: Callable[[], None]
    first_candidate: int = 0
    shown: Sequence[str] = ("loss",)


def fit(folder: pathlib.Path, task: Task, epochs: int, patience: float = math.inf) -> None:
    """Trains, or continues a run that was stopped or that now has more epochs or patience.

    Writes history.csv, TensorBoard logs and checkpoints to the folder, next to the weights that the
    task saves. Afterwards, the task's state is that of the last epoch. A run that is killed and
    then continued gives the same result as one that never stopped: the unfinished epoch is
    repeated.

    Args:
      folder: the run's workdir.
      task: the network, its data and its training step.
      epochs: the maximum number of epochs, including those of earlier calls.
      patience: the number of epochs without improvement after which training stops, counted from
        the first candidate for the best epoch; unlimited by default.

    Raises:
      InputError: the loss became infinite or NaN, the memory is full, or checkpoints or history.csv
        are damaged or missing.
      OSError: a file cannot be written.
    """
    checkpoints = folder / workdir.CHECKPOINTS
    for left in checkpoints.glob("checkpoint.tmp*"):  # TensorFlow leaves it when it is killed.
        left.unlink()
    checkpoint = tf.train.Checkpoint(**task.state)
    with files.reading(checkpoints, "checkpoints", _NEW_WORKDIR):
        manager = tf.train.CheckpointManager(checkpoint, checkpoints, max_to_keep=2)
    rows = _resume(task, checkpoint, manager.latest_checkpoint, folder)
    if rows:
        logging.info(f"continuing the run in {screen.shown(folder)} after epoch {len(rows)}")
    if _finished(task, rows, epochs, patience):
        return
    logs = folder / workdir.TENSORBOARD
    with files.tensorflow_output(logs):
        summaries = tf.summary.create_file_writer(str(logs))
    if epochs <= task.first_candidate:
        logging.warning(
            f"the warm-up lasts for {task.first_candidate} epochs, so none of the {epochs} epochs "
            "trains with the full loss: the last one is kept; give more `epochs` or fewer "
            "`warmup_epochs`"
        )
    batches = None
    while not _finished(task, rows, epochs, patience):
        name = f"epoch {len(rows) + 1}/{epochs}"
        with (
            devices.memory_reported("give a smaller `batch_size` and a new `workdir`"),
            screen.Progress(name, batches, "batches", lines=False) as progress,
        ):
            rows.append(_epoch(task, len(rows), progress))
        if rows[0].keys() != rows[-1].keys():
            raise errors.InputError(
                f"{folder / workdir.HISTORY}: found the columns {', '.join(rows[0])}, expected "
                f"{', '.join(rows[-1])}; {_NEW_WORKDIR}"
            )
        batches = progress.done
        is_best = _best(task, rows) == len(rows) - 1
        print(_progress_line(task, rows, epochs, is_best), flush=True)
        # The checkpoint is last: if the run is killed before it is complete, the epoch is
        # repeated and its files are written again.
        if is_best:
            task.save()
        history.write(folder / workdir.HISTORY, rows)
        with files.tensorflow_output(logs), summaries.as_default(len(rows)):
            for name, value in rows[-1].items():
                tf.summary.scalar(name, value)
            summaries.flush()
        with files.tensorflow_output(checkpoints):
            manager.save(checkpoint_number=len(rows))
        for path in (*checkpoints.iterdir(), checkpoints):
            files.sync(path)
    if len(rows) < epochs:
        logging.info(
            f"stopped early: no better epoch in {len(rows) - 1 - _best(task, rows)} epochs"
        )


def loss_scaled(
    optimizer: keras.optimizers.Optimizer, mixed_precision: str
) -> keras.optimizers.Optimizer:
    """Returns an optimizer whose `scale_loss` keeps float16's small gradients from becoming 0.

    Other kinds of arithmetic need no scaling, and get the optimizer itself.
    """
    if devices.policy(mixed_precision) != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def compiled(step: Step, jit_compile: bool, signature: list[Any] | None = None) -> Step:
    """Compiles a training step to a graph.

    Args:
      step: the step for one batch.
      jit_compile: whether to compile the graph with XLA.
      signature: the batch with a tf.TensorSpec in place of each tensor; without it, the step is
        traced again for each new shape.

    Returns:
      The compiled step. It raises InputError if XLA cannot compile or run it.
    """
    graph = tf.function(step, jit_compile=jit_compile, input_signature=signature)
    if not jit_compile:
        return graph

    @functools.wraps(graph)
    def checked(batch: Any) -> dict[str, tf.Tensor]:
        try:
            return graph(batch)
        except tf.errors.ResourceExhaustedError:
            raise
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise errors.InputError(
                f"XLA cannot compile the training step ({reason}): give `jit_compile=false`"
            ) from error

    return checked


def _resume(
    task: Task, checkpoint: tf.train.Checkpoint, latest: str | None, folder: pathlib.Path
) -> history.History:
    """Restores the latest checkpoint and returns the rows of history.csv up to it."""
    path = folder / workdir.HISTORY
    rows = history.read(path) if path.is_file() else []
    with files.reading(folder / workdir.CHECKPOINTS, "checkpoints", _NEW_WORKDIR):
        done = int(latest.rpartition("-")[2]) if latest else 0
    # A run killed just before its checkpoint was complete has one row more.
    if not done <= len(rows) <= done + 1:
        raise errors.InputError(
            f"{path}: found {len(rows)} epochs, but checkpoints of {done}: files of this run are "
            "missing, and training would overwrite the others; give another `workdir`"
        )
    content = f"the last checkpoint and {workdir.HISTORY} of this network"
    with files.reading(folder, content, _NEW_WORKDIR):
        _best(task, rows[:done])
        if latest:
            checkpoint.restore(latest).assert_consumed()
    return rows[:done]


def _epoch(task: Task, number: int, progress: screen.Progress) -> dict[str, float]:
    """Trains for one epoch and returns its row of history.csv."""
    started = time.monotonic()
    step = task.step(number)
    figures, sizes = [], []
    for batch in task.batches(number):
        figures.append(step(batch))
        sizes.append(tf.nest.flatten(batch)[0].shape[0])
        progress.update()
    # The values are read after the last step, so that a GPU need not wait at every step.
    row = {
        name: float(np.average([float(values[name]) for values in figures], weights=sizes))
        for name in figures[0]
    }
    if not math.isfinite(row["loss"]):
        raise errors.InputError(
            f"the loss became {row['loss']} in epoch {number + 1}: give a lower `learning_rate` "
            "and a new `workdir`"
        )
    return row | task.measure() | {"seconds": time.monotonic() - started}


def _best(task: Task, rows: history.History) -> int:
    return selection.best([task.score(row) for row in rows], task.first_candidate)


def _finished(task: Task, rows: history.History, epochs: int, patience: float) -> bool:
    return len(rows) >= epochs or len(rows) - 1 - _best(task, rows) >= patience


def _progress_line(task: Task, rows: history.History, epochs: int, is_best: bool) -> str:
    """Formats the line that is printed after an epoch, the last of `rows`."""
    row = rows[-1]
    parts = [f"epoch {len(rows)}/{epochs}"]
    for name in task.shown:
        words = [word.upper() if word in ("cc", "ccc") else word for word in name.split("_")]
        parts.append(f"{' '.join(words)} {row[name]:#.3g}")
    if len(rows) < epochs:
        minutes = (epochs - len(rows)) * row["seconds"] / 60
        parts.append(f"at most {math.ceil(minutes)} min left")
    if len(rows) <= task.first_candidate:
        parts.append("warm-up")
    elif is_best:
        parts.append("best so far")
    return "  ".join(parts)

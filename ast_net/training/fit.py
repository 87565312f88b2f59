"""Training of the temporal model, epoch by epoch, so that a killed run goes on where it was."""

import math
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable

import keras
import tensorflow as tf
import tqdm
from absl import logging

from ast_net import config, errors, workdir
from ast_net.temporal import siamese
from ast_net.temporal import stacked_lstm as lstm
from ast_net.training import history as history_file


def train(
    stacked_lstm: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    measure: Callable[[], dict[str, float]],
    folder: pathlib.Path,
    training: config.Training,
    weights: config.LossWeights,
) -> None:
    """Trains until the epochs are over or the mean dev CC no longer gets better.

    Leaves the best and the last model, history.csv, TensorBoard logs and checkpoints in the folder. An
    epoch depends on the checkpoint before it and its own number alone: one that is broken off is done
    again from its start, with the same result.

    Args:
      stacked_lstm: the model to train, with its initial weights.
      batches: the batches of an epoch, counted from 0 (`datasets.clips.batches`).
      measure: the dev CC of each target, by the weights that stacked_lstm then has.
      folder: the workdir.
      training: epochs, learning rate and so on.
      weights: of the loss.
    """
    model = _compiled(stacked_lstm, training, weights)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    manager = tf.train.CheckpointManager(checkpoint, folder / workdir.CHECKPOINTS, max_to_keep=2)
    history = _resume(checkpoint, manager.latest_checkpoint, folder)
    summaries = tf.summary.create_file_writer(str(folder / "tensorboard"))
    while len(history) < training.epochs and not _stalled(history, training.patience):
        warm = len(history) / training.warmup_epochs if training.warmup_epochs else 1.0
        model.get_layer("loss").constraints.assign(min(1.0, warm))
        row = _epoch(model, batches(len(history)), measure, len(history))
        history.append(row)
        with summaries.as_default(step=len(history)):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        summaries.flush()
        print(_progress_line(history, training), flush=True)
        # What is derived from an epoch comes before its checkpoint: killed in between, it is made again.
        if _best(history) == len(history) - 1:
            lstm.save(stacked_lstm, folder / workdir.weights_file("best"))
        history_file.write(folder / workdir.HISTORY, history)
        manager.save(checkpoint_number=len(history))
    lstm.save(stacked_lstm, folder / workdir.weights_file("last"))


def _compiled(
    stacked_lstm: keras.Model, training: config.Training, weights: config.LossWeights
) -> keras.Model:
    model = siamese.build_training_model(
        siamese.build_siamese(stacked_lstm), training.clip, weights
    )
    optimizer = keras.optimizers.Adam(training.learning_rate)
    model.compile(optimizer=optimizer, jit_compile=training.jit_compile)
    if training.jit_compile and not model.jit_compile:
        raise errors.InputError("Keras cannot compile this model with XLA: leave out --jit_compile")
    optimizer.build(model.trainable_variables)
    return model


def _resume(
    checkpoint: tf.train.Checkpoint, latest: str | None, folder: pathlib.Path
) -> history_file.History:
    """Restores the latest checkpoint, and gives the history up to it."""
    path = folder / workdir.HISTORY
    history = history_file.read(path) if path.is_file() else []
    done = int(latest.rpartition("-")[2]) if latest else 0
    if len(history) < done or len(history) > done + 1:
        raise errors.InputError(
            f"{path}: found {len(history)} epochs, but checkpoints of {done} in "
            f"{folder / workdir.CHECKPOINTS}: something was deleted here, and training would overwrite the "
            "rest. Give another --workdir"
        )
    if latest:
        try:
            checkpoint.restore(latest).assert_consumed()
        except (tf.errors.OpError, IndexError, AssertionError) as error:
            raise errors.InputError(
                f"{latest}: the checkpoint is damaged ({error}). Give another --workdir to start anew"
            ) from error
        logging.info("resuming after epoch %d", done)
    return history[:done]


def _epoch(model, dataset, measure, number: int) -> dict[str, float]:
    started = time.monotonic()
    with tqdm.tqdm(desc=f"epoch {number + 1}", unit="batch", leave=False) as bar:
        count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: bar.update())
        with warnings.catch_warnings():
            # How many batches there are shows when they end; Keras would rather be told.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            fit = model.fit(dataset, verbose=0, shuffle=False, callbacks=[count])
    row = {name: values[0] for name, values in fit.history.items()}
    if not math.isfinite(row["loss"]):
        raise errors.InputError(
            f"the loss became {row['loss']} in epoch {number + 1}: lower --learning_rate"
        )
    row |= {f"dev_cc_{target}": value for target, value in measure().items()}
    return row | {"seconds": time.monotonic() - started}


def _dev_cc(row: dict[str, float]) -> float:
    """The mean over targets; where one is undefined, less than any."""
    mean = statistics.fmean(value for name, value in row.items() if name.startswith("dev_cc_"))
    return -math.inf if math.isnan(mean) else mean


def _best(history: history_file.History) -> int:
    """The epoch with the best mean dev CC, the first of equals."""
    return max(range(len(history)), key=lambda epoch: _dev_cc(history[epoch]))


def _stalled(history: history_file.History, patience: int) -> bool:
    return bool(history) and len(history) - 1 - _best(history) >= patience


def _progress_line(history: history_file.History, training: config.Training) -> str:
    row = dict(history[-1])
    seconds = row.pop("seconds")
    remaining = (training.epochs - len(history)) * seconds / 60
    parts = [f"epoch {len(history)}/{training.epochs}"]
    parts += [
        f"{name.removesuffix('_loss')} {value:.4g}"
        for name, value in row.items()
        if not name.startswith("dev_cc_")
    ]
    parts += [
        f"{name.replace('dev_cc_', 'dev CC ')} {value:.3f}"
        for name, value in row.items()
        if name.startswith("dev_cc_")
    ]
    best = "  best so far" if _best(history) == len(history) - 1 else ""
    return "  ".join(parts) + f"  {seconds:.1f} s, at most {remaining:.0f} min left{best}"

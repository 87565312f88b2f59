"""Training of the CNN on discrete expressions (sections 3.2 and 4.3), epoch by epoch and resumable."""

import pathlib
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tqdm
from absl import logging

from ast_net import config, errors, files, workdir
from ast_net.cnn import augmentation, backbone, compact, expression_head
from ast_net.datasets import fer2013
from ast_net.records import expression_pictures
from ast_net.reports import confusion
from ast_net.training import expression_step, history

BACKBONE_WEIGHTS = "backbone.weights.h5"
HEAD_WEIGHTS = expression_head.FILE
# Without a split to choose the best epoch by, this part of the training pictures is kept for that.
HELD_OUT = 0.1
# Every epoch has a pipeline of its own; this is traced for the first and kept.
_augment = tf.function(augmentation.augment, reduce_retracing=True)


def finetune(settings: config.Finetuning, run_flags: str) -> None:
    """Trains in the workdir, keeps the best epoch by public_test, and measures that on private_test.

    Args:
      settings: the run.
      run_flags: the run's configuration as a flagfile, left in the workdir.

    Raises:
      InputError: the data or the weights cannot be used, or the workdir is another run's.
    """
    folder = pathlib.Path(settings.workdir)
    workdir.claim(folder, run_flags)
    train_split, dev_split, (test_name, test_split) = _splits(
        expression_pictures.load(settings.data_dir, settings.manual_dir)
    )
    keras.utils.set_random_seed(settings.seed)
    cnn = _initial(settings)
    head = expression_head.build_head(cnn.output.shape[-1])
    train(cnn, head, train_split, dev_split, folder, settings)
    del cnn
    report(folder, settings.backbone, test_name, test_split)


def _initial(settings: config.Finetuning) -> keras.Model:
    """The CNN to begin with; `compact` without weights begins at random, not at the package's."""
    policy = "mixed_bfloat16" if settings.mixed_precision else "float32"
    if settings.backbone == "compact" and settings.backbone_weights is None:
        return compact.build_compact(settings.seed, policy)
    return backbone.load(settings.backbone, settings.backbone_weights, policy)


def _splits(
    splits: dict[str, fer2013.Split],
) -> tuple[fer2013.Split, fer2013.Split, tuple]:
    if "public_test" in splits:
        return splits["train"], splits["public_test"], ("private_test", splits["private_test"])
    images, labels = splits["train"]
    held = np.random.default_rng(0).permutation(len(labels)) < HELD_OUT * len(labels)
    logging.info("no public_test here: %d training pictures choose the best epoch", held.sum())
    return (images[~held], labels[~held]), (images[held], labels[held]), ("test", splits["test"])


def report(folder: pathlib.Path, name: str, split: str, test: fer2013.Split) -> None:
    """Measures the weights that the run left and writes evaluation/."""
    table = measure(name, folder / BACKBONE_WEIGHTS, folder / HEAD_WEIGHTS, test)
    confusion.write(folder / workdir.EVALUATION, table, f"{name} on FER2013, {split}")
    print(confusion.format_table(table))
    print(f"{table['pictures']} pictures of {split}: see {folder / workdir.EVALUATION}")


def measure(
    name: str,
    backbone_weights: pathlib.Path,
    head_weights: pathlib.Path,
    split: fer2013.Split,
) -> dict:
    """`confusion.tabulate` of trained weights, in float32 and with one crop.

    Raises:
      InputError: a file is missing or not such weights.
    """
    cnn = backbone.load(name, str(backbone_weights))
    head = expression_head.load_head(cnn.output.shape[-1], str(head_weights))
    images, labels = split
    predicted = predict(_inference(_network(cnn, head, 0.0)), images)
    return confusion.tabulate(labels, predicted, expression_head.EXPRESSIONS)


def _network(cnn: keras.Model, head: keras.Model, dropout: float) -> keras.Model:
    """Pictures float32 [B, 48, 48, 1] in [0, 1] -> logits [B, 7]."""
    pictures = keras.Input((fer2013.SIZE, fer2013.SIZE, 1), name="pictures")
    features = backbone.on_pictures(cnn)(pictures)
    return keras.Model(pictures, head(keras.layers.Dropout(dropout, name="dropout")(features)))


def _inference(network: keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """The network as a graph that is traced once, with the weights it has when called."""
    return tf.function(network, input_signature=[tf.TensorSpec(network.input.shape, tf.float32)])


def predict(
    inference: Callable[[np.ndarray], tf.Tensor], images: np.ndarray, batch_size: int = 64
) -> np.ndarray:
    """The most likely class of each picture uint8 [n, 48, 48, 1], [n].

    Args:
      inference: pictures float32 [B, 48, 48, 1] in [0, 1] -> logits [B, 7].
      images: the pictures.
      batch_size: how many pass through it at once.
    """
    parts = [
        tf.argmax(
            inference(images[first : first + batch_size].astype(np.float32) / 255), axis=1
        ).numpy()
        for first in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts)


def batches(split: fer2013.Split, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Augmented pictures and labels in an order that the seed and the epoch decide.

    The last, smaller batch of an epoch is left out: its batch statistics would be noisy.
    """
    images, labels = tf.constant(split[0]), tf.constant(split[1])
    order = np.random.default_rng((seed, epoch)).permutation(len(split[1]))
    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)

    def prepare(number: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pictures = tf.cast(tf.gather(images, rows), tf.float32) / 255
        chance = tf.stack([tf.constant(seed * 100_003 + epoch, tf.int64), number])
        return _augment(pictures, chance), tf.gather(labels, rows)

    return dataset.enumerate().map(prepare, num_parallel_calls=1).prefetch(2)


def train(
    cnn: keras.Model,
    head: keras.Model,
    train_split: fer2013.Split,
    dev_split: fer2013.Split,
    folder: pathlib.Path,
    settings: config.Finetuning,
) -> None:
    """Trains until the epochs are over; leaves the best weights, history.csv, TensorBoard logs and checkpoints.

    As in `training.loop`, an epoch depends on the checkpoint before it and its own number alone.
    """
    network = _network(cnn, head, settings.dropout)
    inference = _inference(network)
    steps = len(train_split[1]) // settings.batch_size
    if steps == 0:
        raise errors.InputError(
            f"{len(train_split[1])} training pictures do not fill a batch of {settings.batch_size}: "
            "give a smaller --batch_size"
        )
    optimizer = expression_step.build_optimizer(network, settings, steps)
    averages = [tf.Variable(weight.value) for weight in network.weights] if settings.ema else []
    checkpoint = tf.train.Checkpoint(network=network, optimizer=optimizer, averages=averages)
    manager = tf.train.CheckpointManager(checkpoint, folder / workdir.CHECKPOINTS, max_to_keep=2)
    rows: history.History = []
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        done = int(manager.latest_checkpoint.rpartition("-")[2])
        rows = history.read(folder / workdir.HISTORY)[:done]
        logging.info("resuming after epoch %d", done)
    summaries = tf.summary.create_file_writer(str(folder / "tensorboard"))
    weights = expression_step.class_weights(train_split[1]) if settings.class_weights else None
    for last, frozen in ((settings.frozen_epochs, True), (settings.epochs, False)):
        cnn.trainable = not frozen
        step = expression_step.training_step(network, optimizer, averages, weights, settings)
        while len(rows) < last:
            started = time.monotonic()
            dataset = batches(train_split, settings.batch_size, settings.seed, len(rows))
            if settings.dropout:  # checkpoints leave the state of its chance out
                chance = network.get_layer("dropout").seed_generator.state
                chance.assign([settings.seed, len(rows) << 20])
            row = _epoch(step, dataset, steps, len(rows))
            with expression_step.averaged(network, averages):
                right = predict(inference, dev_split[0]) == dev_split[1]
                row["dev_accuracy"] = float(np.mean(right))
                row["seconds"] = time.monotonic() - started
                rows.append(row)
                # What is derived from an epoch comes before its checkpoint, as in `training.loop`.
                if _best(rows) == len(rows) - 1:
                    _save(cnn, head, folder)
            print(_progress_line(rows, settings), flush=True)
            with summaries.as_default(step=len(rows)):
                for name, value in row.items():
                    tf.summary.scalar(name, value)
            summaries.flush()
            history.write(folder / workdir.HISTORY, rows)
            manager.save(checkpoint_number=len(rows))


def _epoch(step: Callable, dataset: tf.data.Dataset, steps: int, number: int) -> dict[str, float]:
    progress = tqdm.tqdm(dataset, f"epoch {number + 1}", steps, unit="batch", leave=False)
    totals = np.zeros(2)
    for done, (pictures, labels) in enumerate(progress, start=1):
        totals += [float(value) for value in step(pictures, labels)]
        progress.set_postfix(loss=f"{totals[0] / done:.3f}", refresh=False)
    loss, accuracy = (totals / steps).tolist()
    if not np.isfinite(loss):
        raise errors.InputError(
            f"epoch {number + 1}: the loss is no longer finite: give a smaller --learning_rate and a new "
            "--workdir"
        )
    return {"loss": loss, "accuracy": accuracy}


def _best(rows: history.History) -> int:
    """The epoch with the best dev accuracy, the first of equals."""
    return max(range(len(rows)), key=lambda epoch: rows[epoch]["dev_accuracy"])


def _save(cnn: keras.Model, head: keras.Model, folder: pathlib.Path) -> None:
    for model, name in ((cnn, BACKBONE_WEIGHTS), (head, HEAD_WEIGHTS)):
        with files.whole(folder / name) as temporary:
            model.save_weights(temporary)


def _progress_line(rows: history.History, settings: config.Finetuning) -> str:
    row = rows[-1]
    remaining = (settings.epochs - len(rows)) * row["seconds"] / 60
    best = "  best so far" if _best(rows) == len(rows) - 1 else ""
    return (
        f"epoch {len(rows)}/{settings.epochs}  loss {row['loss']:.4g}  accuracy {row['accuracy']:.3f}  "
        f"dev accuracy {row['dev_accuracy']:.4f}  {row['seconds']:.0f} s, {remaining:.0f} min left{best}"
    )

"""Trains the CNN on discrete expressions (sections 3.2 and 4.3)."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ast_net import config, errors, files, screen, workdir
from ast_net.cnn import augmentation, backbone, compact, expression_head
from ast_net.datasets import fer2013
from ast_net.records import expression_pictures
from ast_net.reports import confusion
from ast_net.training import expression_step, fit

BACKBONE_WEIGHTS = "backbone.weights.h5"
# Without a split to choose the best epoch by, this part of the training pictures is kept for that.
HELD_OUT = 0.1
# Every epoch has its own pipeline; this is traced once for all of them.
_augment = tf.function(augmentation.augment, reduce_retracing=True)


def finetune(settings: config.Finetuning) -> None:
    """Trains in the workdir, keeps the best epoch on public_test, and measures it on private_test.

    Args:
      settings: the run.

    Raises:
      InputError: the data or the weights cannot be used, or the workdir belongs to another run.
    """
    if settings.dataset is None:
        raise errors.InputError("no data set: give `dataset=fer2013`")
    folder = pathlib.Path(settings.workdir or f"runs/{settings.dataset}-{settings.backbone}")
    settings = dataclasses.replace(settings, workdir=str(folder))
    workdir.check(folder, settings)
    train_split, dev_split, (test_name, test_split) = _splits(
        expression_pictures.load(settings.data_dir, settings.manual_dir)
    )
    if len(train_split[1]) < settings.batch_size:
        raise errors.InputError(
            f"{len(train_split[1])} training pictures do not fill a batch of "
            f"{settings.batch_size}: give a smaller `batch_size`"
        )
    keras.utils.set_random_seed(settings.seed)
    cnn = _initial(settings)
    head = expression_head.build_head(cnn.output.shape[-1])
    # Only now: a run that cannot begin must not keep the folder from one with other settings.
    workdir.claim(folder, settings)
    train(cnn, head, train_split, dev_split, folder, settings)
    del cnn, head
    table = measure(settings.backbone, str(folder / BACKBONE_WEIGHTS), test_split)
    title = f"{settings.backbone} on FER2013, {test_name}"
    confusion.write(folder / workdir.EVALUATION, table, title)
    print(f"{screen.number(table['pictures'], 'picture')} of {test_name}:")
    print(confusion.format_table(table))
    screen.wrote(folder, BACKBONE_WEIGHTS, expression_head.FILE, workdir.HISTORY)
    screen.wrote(folder / workdir.EVALUATION, "metrics.json", "figures/confusion.png")


def _initial(settings: config.Finetuning) -> keras.Model:
    """Loads the CNN to begin with; `compact` without weights starts from random ones."""
    policy = "mixed_bfloat16" if settings.mixed_precision else "float32"
    if settings.backbone == "compact" and settings.backbone_weights is None:
        return compact.build_compact(settings.seed, policy)
    return backbone.load(settings.backbone, settings.backbone_weights, policy)


def _splits(splits: dict[str, fer2013.Split]) -> tuple[fer2013.Split, fer2013.Split, tuple]:
    """Returns what to train on, what to choose the best epoch by, and the test's name and split."""
    if "public_test" in splits:
        return splits["train"], splits["public_test"], ("private_test", splits["private_test"])
    images, labels = splits["train"]
    held = np.random.default_rng(0).permutation(len(labels)) < HELD_OUT * len(labels)
    logging.info(f"no public_test here: {held.sum()} training pictures choose the best epoch")
    return (images[~held], labels[~held]), (images[held], labels[held]), ("test", splits["test"])


def measure(name: str, weights: str | None, split: fer2013.Split) -> dict:
    """Measures a trained CNN and the expression head beside it, in float32 and with one crop.

    Args:
      name, weights: the CNN, as of `backbone.load`.
      split: pictures and labels.

    Returns:
      The table of `confusion.tabulate`.

    Raises:
      InputError: a file is missing, or holds other weights.
    """
    cnn = backbone.load(name, weights)
    head = expression_head.load_head(cnn.output.shape[-1], expression_head.file_beside(weights))
    images, labels = split
    predicted = backbone.in_batches(_network(cnn, head, 0.0))(images).argmax(axis=1)
    return confusion.tabulate(labels, predicted, expression_head.EXPRESSIONS)


def _network(cnn: keras.Model, head: keras.Model, dropout: float) -> keras.Model:
    """Builds pictures float32 [B, 48, 48, 1] in [0, 1] -> logits [B, 7]."""
    pictures = keras.Input((fer2013.SIZE, fer2013.SIZE, 1), name="pictures")
    features = backbone.on_pictures(cnn)(pictures)
    return keras.Model(pictures, head(keras.layers.Dropout(dropout, name="dropout")(features)))


def batches(split: fer2013.Split, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Shuffles and augments the pictures of an epoch, as the seed and the epoch decide.

    The last, smaller batch of an epoch is left out: its batch statistics would be noisy.

    Returns:
      Batches of pictures float32 [B, 48, 48, 1] in [0, 1] and labels int64 [B].
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
    """Trains all epochs; leaves the best weights of both networks, and what `fit.fit` leaves.

    Args:
      cnn: the network to train, with its initial weights.
      head: its expression head.
      train_split: pictures and labels, at least one batch of them.
      dev_split: those whose accuracy decides which epoch is the best.
      folder: the run's workdir.
      settings: the run.
    """
    network = _network(cnn, head, settings.dropout)
    inference = backbone.in_batches(network)
    steps = len(train_split[1]) // settings.batch_size
    optimizer = expression_step.build_optimizer(network, settings, steps)
    averages = [tf.Variable(weight.value) for weight in network.weights] if settings.ema else []
    weights = expression_step.class_weights(train_split[1]) if settings.class_weights else None

    @functools.cache
    def build_step(frozen: bool) -> fit.Step:
        cnn.trainable = not frozen
        return expression_step.training_step(network, optimizer, averages, weights, settings)

    def step(epoch: int) -> fit.Step:
        if settings.dropout:  # Checkpoints do not hold the state of its random numbers.
            network.get_layer("dropout").seed_generator.state.assign([settings.seed, epoch << 20])
        return build_step(epoch < settings.frozen_epochs)

    def measure_dev() -> dict[str, float]:
        with expression_step.averaged(network, averages):
            correct = inference(dev_split[0]).argmax(axis=1) == dev_split[1]
        return {"dev_accuracy": float(np.mean(correct))}

    def save() -> None:
        with expression_step.averaged(network, averages):
            for model, name in ((cnn, BACKBONE_WEIGHTS), (head, expression_head.FILE)):
                with files.whole(folder / name) as temporary:
                    model.save_weights(temporary)

    task = fit.Task(
        state={"network": network, "optimizer": optimizer, "averages": averages},
        batches=lambda epoch: batches(train_split, settings.batch_size, settings.seed, epoch),
        step=step,
        measure=measure_dev,
        score=lambda row: row["dev_accuracy"],
        save=save,
        shown=("loss", "dev_accuracy"),
    )
    fit.fit(folder, task, settings.epochs)

"""Trains the CNN on discrete expressions (sections 3.2 and 4.3)."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np
import tensorflow as tf

from ast_net import config, devices, errors, files, screen, workdir
from ast_net.cnn import augmentation, backbone, compact, expression_head
from ast_net.datasets import fer2013
from ast_net.reports import confusion
from ast_net.training import expression_examples, expression_step, fit

BACKBONE_WEIGHTS = "backbone.weights.h5"
# Every epoch has its own pipeline; this is traced once for all of them.
_augment = tf.function(augmentation.augment, reduce_retracing=True)


def finetune(settings: config.Finetuning) -> None:
    """Trains in the workdir, keeps the best epoch on public_test, and measures it on private_test.

    Args:
      settings: the run.

    Raises:
      InputError: the data or the weights cannot be used, or the workdir belongs to another run.
    """
    dataset = settings.dataset
    if dataset is None:
        raise errors.InputError("no data set: give `dataset=ferplus` or `dataset=fer2013`")
    folder = pathlib.Path(settings.workdir or f"runs/{dataset}-{settings.backbone}")
    settings = dataclasses.replace(settings, workdir=str(folder))
    settings = devices.resolved(settings, workdir.find(folder, config.Finetuning))
    workdir.check(folder, settings)
    examples = expression_examples.load(dataset, settings.data_dir, settings.manual_dir)
    if len(examples.train[1]) < settings.batch_size:
        raise errors.InputError(
            f"{len(examples.train[1])} training pictures do not fill a batch of "
            f"{settings.batch_size}: give a smaller `batch_size`"
        )
    keras.utils.set_random_seed(settings.seed)
    with devices.strategy(settings.batch_size).scope():
        cnn = _initial(settings)
        head = _initial_head(settings, cnn.output.shape[-1], examples.expressions)
    # Only now: a run that cannot begin must not keep the folder from one with other settings.
    workdir.claim(folder, settings)
    train(cnn, head, examples.train, examples.splits[examples.dev], folder, settings)
    del cnn, head
    table = measure(settings.backbone, str(folder / BACKBONE_WEIGHTS), examples, examples.test)
    title = f"{settings.backbone} on {dataset}, {examples.test}"
    confusion.write(folder / workdir.EVALUATION, table, title)
    print(f"{screen.number(table['pictures'], 'picture')} of {examples.test}:")
    print(confusion.format_table(table))
    screen.wrote(folder, BACKBONE_WEIGHTS, expression_head.FILE, workdir.HISTORY)
    screen.wrote(folder / workdir.EVALUATION, "metrics.json", "figures/confusion.png")


def _initial(settings: config.Finetuning) -> keras.Model:
    """Loads the CNN to begin with; `compact` without weights starts from random ones."""
    policy = devices.policy(settings.mixed_precision)
    if settings.backbone == "compact" and settings.backbone_weights is None:
        return compact.build_compact(settings.seed, policy)
    return backbone.load(settings.backbone, settings.backbone_weights, policy)


def _initial_head(
    settings: config.Finetuning, feature_size: int, names: tuple[str, ...]
) -> expression_head.ExpressionHead:
    """Loads the head beside the CNN's weights if it has these expressions, or builds a new one."""
    if settings.backbone_weights is not None:
        path = expression_head.file_beside(settings.backbone_weights)
        if path.is_file():
            head = expression_head.load(feature_size, path)
            if head.expressions == names:
                return head
    return expression_head.build(feature_size, names)


def measure(
    name: str, weights: str | None, examples: expression_examples.Examples, split: str
) -> dict:
    """Measures a trained CNN and the expression head beside it, in float32 and with one crop.

    The prediction is the most probable of the data set's expressions. Expressions that only the
    head has are ignored, and those that the head does not have are never predicted.

    Args:
      name, weights: the CNN; see `backbone.load`.
      examples: the data set.
      split: name of one of its splits.

    Returns:
      The table of `confusion.tabulate`.

    Raises:
      InputError: a file is missing, or holds other weights.
    """
    cnn = backbone.load(name, weights)
    head = expression_head.load(cnn.output.shape[-1], expression_head.file_beside(weights))
    images, labels = examples.splits[split]
    logits = backbone.in_batches(_network(cnn, head, 0.0))(images)
    scores = np.full((len(images), len(examples.expressions)), -np.inf)
    for column, expression in enumerate(examples.expressions):
        if expression in head.expressions:
            scores[:, column] = logits[:, head.expressions.index(expression)]
    return confusion.tabulate(labels, scores.argmax(axis=1), examples.expressions)


def _network(cnn: keras.Model, head: expression_head.ExpressionHead, dropout: float) -> keras.Model:
    """Builds pictures float32 [B, 48, 48, 1] in [0, 1] -> logits [B, K]."""
    pictures = keras.Input((fer2013.SIZE, fer2013.SIZE, 1), name="pictures")
    features = backbone.on_pictures(cnn)(pictures)
    return keras.Model(pictures, head(expression_step.Dropout(dropout, name="dropout")(features)))


def batches(split: fer2013.Split, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Shuffles and augments the pictures of an epoch, as the seed and the epoch decide.

    The last, smaller batch of an epoch is left out: its batch statistics would be noisy.

    Returns:
      Batches of pictures float32 [B, 48, 48, 1] in [0, 1] and targets float32 [B, K].
    """
    images, targets = tf.constant(split[0]), tf.constant(split[1])
    order = np.random.default_rng((seed, epoch)).permutation(len(split[1]))
    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)

    def prepare(number: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pictures = tf.cast(tf.gather(images, rows), tf.float32) / 255
        chance = tf.stack([tf.constant(seed * 100_003 + epoch, tf.int64), number])
        return _augment(pictures, chance), tf.gather(targets, rows)

    return dataset.enumerate().map(prepare, num_parallel_calls=1).prefetch(2)


def train(
    cnn: keras.Model,
    head: expression_head.ExpressionHead,
    train_split: fer2013.Split,
    dev_split: fer2013.Split,
    folder: pathlib.Path,
    settings: config.Finetuning,
) -> None:
    """Trains all epochs; leaves the best weights of both networks, and what `fit.fit` leaves.

    Args:
      cnn: the network to train, with its initial weights; the devices of the strategy in whose
        scope it and the head were built share the work.
      head: its expression head.
      train_split: pictures and targets [n, K], at least one batch.
      dev_split: pictures and labels [n], whose accuracy decides which epoch is the best.
      folder: the run's workdir.
      settings: the run.
    """
    steps = len(train_split[1]) // settings.batch_size
    strategy = cnn.distribute_strategy
    with strategy.scope():
        network = _network(cnn, head, settings.dropout)
        optimizer = expression_step.build_optimizer(network, settings, steps)
        averages = [tf.Variable(weight.value) for weight in network.weights] if settings.ema else []
    replicas = strategy.num_replicas_in_sync
    jit_compile = devices.compiles(settings.jit_compile, devices.gpus(), replicas)
    devices.say_how_it_trains(settings.mixed_precision, jit_compile, replicas)
    inference = backbone.in_batches(network)
    shares = expression_step.log_shares(train_split[1])

    @functools.cache
    def build_step(frozen: bool) -> fit.Step:
        cnn.trainable = not frozen
        for layer in backbone.first_stages(cnn, settings.frozen_stages):
            layer.trainable = False
        return expression_step.training_step(network, optimizer, averages, shares, settings)

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
            with files.whole(folder / BACKBONE_WEIGHTS) as temporary:
                cnn.save_weights(temporary)
            expression_head.save(head, folder / expression_head.FILE)

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

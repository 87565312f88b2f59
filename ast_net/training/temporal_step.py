"""Trains the temporal model (section 3.4): training step, warm-up and choice of the best epoch."""

import math
import pathlib
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from ast_net import config, devices, workdir
from ast_net.temporal import stacked_lstm
from ast_net.training import fit, selection


def train(
    network: keras.Model,
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    dev_batches: Iterable[dict[str, tf.Tensor]],
    scores: Callable[[], dict[str, float]],
    folder: pathlib.Path,
    experiment: config.Experiment,
) -> None:
    """Trains for the given number of epochs, or until the dev score stops improving.

    Writes the best and the last model to the folder, along with the files of `fit.fit`.

    Args:
      network: the stacked LSTM, with its initial weights.
      model: the network with its loss (`siamese.build_training_model`).
      batches: returns the batches of an epoch, counted from 0 (`records.clips.batches`).
      dev_batches: the batches that the dev loss is computed on.
      scores: scores the current weights; returns dev_cc_TARGET, dev_ccc_TARGET and others.
      folder: the run's workdir.
      experiment: the run's settings.

    Raises:
      InputError: see `fit.fit`.
    """
    training = experiment.training
    adam = keras.optimizers.Adam(
        training.learning_rate, global_clipnorm=training.gradient_clip or None
    )
    optimizer = fit.loss_scaled(adam, training.mixed_precision)
    optimizer.build(model.trainable_variables)
    jit_compile = devices.compiles(training.jit_compile, devices.gpus())
    devices.say_how_it_trains(training.mixed_precision, jit_compile)
    step = training_step(model, optimizer, jit_compile)
    constraints = model.get_layer("loss").constraints
    dev_loss = tf.function(
        lambda batch: tf.reduce_sum(model(batch)), input_signature=[_batch_signature(model)]
    )

    def step_of(epoch: int) -> fit.Step:
        warmup = training.warmup_epochs
        # A factor of the weights of the local, global and Siamese terms.
        constraints.assign(min(1.0, epoch / warmup) if warmup else 1.0)
        optimizer.learning_rate.assign(learning_rate(training, epoch))
        return step

    def measure() -> dict[str, float]:
        # The dev loss is always the full loss, so that epochs can be compared.
        constraints.assign(1.0)
        sums = [(float(dev_loss(batch)), len(batch["mask"])) for batch in dev_batches]
        loss, clips = np.sum(sums, axis=0)
        return {"dev_loss": float(loss / clips), **scores()}

    def save(name: str) -> None:
        stacked_lstm.save(network, folder / workdir.weights_file(name))

    task = fit.Task(
        state={"model": model, "optimizer": optimizer},
        batches=batches,
        step=step_of,
        measure=measure,
        score=lambda row: selection.score(row, training.select_by),
        save=lambda: save("best"),
        first_candidate=selection.first_full_loss_epoch(training, experiment.loss),
        shown=("loss", *(f"dev_{training.select_by}_{name}" for name in experiment.targets)),
    )
    fit.fit(folder, task, training.epochs, training.patience)
    save("last")


def learning_rate(training: config.Training, epoch: int) -> float:
    """Returns the learning rate of an epoch, counted from 0."""
    if training.learning_rate_schedule == "cosine":
        return training.learning_rate * (1 + math.cos(math.pi * epoch / training.epochs)) / 2
    return training.learning_rate


def training_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, jit_compile: bool
) -> fit.Step:
    """Builds the training step for the model of `siamese.build_training_model`.

    The step returns the loss and each of its terms.
    """
    variables, terms = model.trainable_variables, model.get_layer("loss").metrics

    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for term in terms:
            term.reset_state()
        with tf.GradientTape() as tape:
            model(batch, training=True)
            loss = tf.add_n(model.losses)
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return {"loss": loss, **{term.name: term.result() for term in terms}}

    return fit.compiled(step, jit_compile, [_batch_signature(model)])


def _batch_signature(model: keras.Model) -> dict[str, tf.TensorSpec]:
    return {name: tf.TensorSpec(t.shape, t.dtype) for name, t in model.input.items()}

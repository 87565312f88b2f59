"""Trains the temporal model (section 3.4): its step, its warm-up and its best epoch."""

import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf

from ast_net import config, workdir
from ast_net.temporal import stacked_lstm
from ast_net.training import fit


def train(
    network: keras.Model,
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    measure: Callable[[], dict[str, float]],
    folder: pathlib.Path,
    training: config.Training,
) -> None:
    """Trains until the epochs are over or the mean dev CC no longer improves.

    Leaves the best and the last model in the folder, and what `fit.fit` leaves there.

    Args:
      network: the stacked LSTM, with its initial weights.
      model: the network with its loss (`siamese.build_training_model`).
      batches: gives the batches of an epoch, counted from 0 (`records.clips.batches`).
      measure: computes the dev CC of each target with the current weights.
      folder: the run's workdir.
      training: epochs, patience, learning rate and so on.

    Raises:
      InputError: as `fit.fit`.
    """
    optimizer = keras.optimizers.Adam(training.learning_rate)
    optimizer.build(model.trainable_variables)
    step = training_step(model, optimizer, training.jit_compile)
    constraints = model.get_layer("loss").constraints

    def step_of(epoch: int) -> fit.Step:
        warmup = training.warmup_epochs
        constraints.assign(min(1.0, epoch / warmup) if warmup else 1.0)
        return step

    def save(name: str) -> None:
        stacked_lstm.save(network, folder / workdir.weights_file(name))

    task = fit.Task(
        state={"model": model, "optimizer": optimizer},
        batches=batches,
        step=step_of,
        measure=lambda: {f"dev_cc_{target}": cc for target, cc in measure().items()},
        save=lambda: save("best"),
    )
    fit.fit(folder, task, training.epochs, training.patience)
    save("last")


def training_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, jit_compile: bool
) -> fit.Step:
    """Builds the step of `siamese.build_training_model`'s model: its loss and each term of it."""
    variables, terms = model.trainable_variables, model.get_layer("loss").metrics

    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for term in terms:
            term.reset_state()
        with tf.GradientTape() as tape:
            model(batch, training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss, **{term.name: term.result() for term in terms}}

    shapes = {name: tf.TensorSpec(t.shape, t.dtype) for name, t in model.input.items()}
    return fit.compiled(step, jit_compile, [shapes])

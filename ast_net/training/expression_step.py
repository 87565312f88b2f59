"""Trains on one batch of discrete expressions: the optimizer, the loss and the averaged weights."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from ast_net import config, devices
from ast_net.training import fit


def build_optimizer(
    network: keras.Model, settings: config.Finetuning, steps: int
) -> keras.optimizers.Optimizer:
    """Builds SGD with Nesterov momentum; its rate rises linearly, then falls along a cosine to 0.

    The weight decay is decoupled and leaves out biases and batch normalisation.

    Args:
      network: what it trains.
      settings: learning rate, epochs, warm-up and weight decay.
      steps: the number of steps in an epoch.
    """
    warmup = settings.warmup_epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else settings.learning_rate,
        settings.epochs * steps - warmup,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    sgd = keras.optimizers.SGD(
        schedule, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay or None
    )
    sgd.exclude_from_weight_decay([w for w in network.trainable_variables if w.ndim == 1])
    optimizer = fit.loss_scaled(sgd, settings.mixed_precision)
    optimizer.build(network.trainable_variables)
    return optimizer


class Dropout(keras.layers.Dropout):
    """Drops the same features of a batch, however many devices compute it.

    Each of them draws for the whole batch, with the same random numbers, and takes its part.
    """

    def call(self, inputs, training=False):
        replica = tf.distribute.get_replica_context()
        if not training or replica.num_replicas_in_sync == 1:
            return super().call(inputs, training)
        whole = (inputs.shape[0] * replica.num_replicas_in_sync, *inputs.shape[1:])
        return inputs * devices.share(super().call(tf.ones(whole, inputs.dtype), training))


def log_shares(targets: np.ndarray) -> np.ndarray:
    """Computes the logarithm of each class's share of the pictures, [K]; absent ones count as one.

    Args:
      targets: probabilities of the classes in each picture, [n, K].
    """
    pictures = targets.sum(axis=0, dtype=np.float64)
    return np.log(np.maximum(pictures, 1) / len(targets)).astype(np.float32)


def training_step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    averages: list[tf.Variable],
    shares: np.ndarray,
    settings: config.Finetuning,
) -> fit.Step:
    """Builds the step on a batch of pictures float32 [B, 48, 48, 1] and targets float32 [B, K].

    The step returns the loss and the accuracy, which is how often the most probable class is that
    of the target. It trains the variables that are trainable when it is built. If the network was
    built in the scope of a strategy with several devices, each of them computes a part of the
    batch; the results are those of one device.

    Args:
      network: pictures -> logits [B, K]; its dropout, if any, is a `Dropout`.
      optimizer: from `build_optimizer`.
      averages: the moving averages of the network's weights, updated by the step; may be empty.
      shares: of `log_shares`. In the loss they are added to the logits, times the strength of the
        adjustment, so that the logits need not hold them (Menon et al., ICLR 2021).
      settings: label smoothing, logit adjustment, ema, and whether XLA compiles the step.
    """
    variables = network.trainable_variables
    smoothing = settings.label_smoothing
    strategy = network.distribute_strategy
    replicas = strategy.num_replicas_in_sync

    def on_one_device(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        pictures, targets = map(devices.share, batch)
        smooth = targets * (1 - smoothing) + smoothing / targets.shape[1]
        with tf.GradientTape() as tape:
            logits = network(pictures, training=True)
            adjusted = logits + settings.logit_adjustment * shares
            losses = tf.nn.softmax_cross_entropy_with_logits(smooth, adjusted)
            # The optimizer adds up the devices' gradients.
            loss = tf.reduce_mean(losses) / replicas
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        if replicas > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # It must find the same gradients infinite on all devices.
            gradients = tf.distribute.get_replica_context().all_reduce("mean", gradients)
        optimizer.apply(gradients, variables)
        correct = tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1)
        accuracy = tf.reduce_mean(tf.cast(correct, tf.float32)) / replicas
        return {"loss": loss, "accuracy": accuracy}

    def moved_towards(average: tf.Variable, weight: tf.Tensor, keep: tf.Tensor) -> None:
        average.assign(keep * average + (1 - keep) * weight)

    def step(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        parts = strategy.run(on_one_device, (batch,))
        # Young averages forget sooner, so that the random first weights leave no trace.
        age = tf.cast(optimizer.iterations.value, tf.float32)
        keep = tf.minimum(settings.ema, (1 + age) / (10 + age))
        for average, weight in zip(averages, network.weights, strict=bool(averages)):
            strategy.extended.update(average, moved_towards, (weight.value, keep), group=False)
        return {name: strategy.reduce("sum", part, axis=None) for name, part in parts.items()}

    return fit.compiled(step, devices.compiles(settings.jit_compile, devices.gpus(), replicas))


@contextlib.contextmanager
def averaged(network: keras.Model, averages: list[tf.Variable]) -> Iterator[None]:
    """Gives the network its averaged weights, if there are any, and afterwards its own again."""
    own = [weight.numpy() for weight in network.weights] if averages else []
    try:
        for weight, average in zip(network.weights, averages):
            weight.assign(average)
        yield
    finally:
        for weight, value in zip(network.weights, own):
            weight.assign(value)

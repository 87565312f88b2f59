"""One step of training on discrete expressions: its optimiser, its loss, its averaged weights."""

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from ast_net import config
from ast_net.cnn import expression_head


def build_optimizer(
    network: keras.Model, settings: config.Finetuning, steps: int
) -> keras.optimizers.Optimizer:
    """SGD with Nesterov's momentum; the rate rises linearly, then falls along a cosine to 0.

    The weight decay is decoupled and spares biases and batch normalisation.
    """
    warmup = settings.warmup_epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else settings.learning_rate,
        settings.epochs * steps - warmup,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.SGD(
        schedule, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay or None
    )
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay([w for w in network.trainable_variables if w.ndim == 1])
    optimizer.build(network.trainable_variables)
    return optimizer


def class_weights(labels: np.ndarray) -> np.ndarray:
    """For each class the inverse of its share, with mean 1 over the pictures, [7]."""
    counts = np.bincount(labels, minlength=len(expression_head.EXPRESSIONS))
    return (len(labels) / np.count_nonzero(counts) / np.maximum(counts, 1)).astype(np.float32)


def training_step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    averages: list[tf.Variable],
    weights: np.ndarray | None,
    settings: config.Finetuning,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function that trains on one batch; returns the loss and the part that was classified rightly.

    What of the network is trainable is decided here, once.
    """
    variables = network.trainable_variables
    classes = len(expression_head.EXPRESSIONS)
    smoothing = settings.label_smoothing

    @tf.function(jit_compile=settings.jit_compile)
    def step(pictures: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        targets = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
        with tf.GradientTape() as tape:
            logits = network(pictures, training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            if weights is not None:
                losses *= tf.gather(weights, labels)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        # Young averages forget sooner, so that the random first weights leave no trace.
        age = tf.cast(optimizer.iterations.value, tf.float32)
        keep = tf.minimum(settings.ema, (1 + age) / (10 + age))
        for average, weight in zip(averages, network.weights, strict=bool(averages)):
            average.assign(keep * average + (1 - keep) * weight.value)
        right = tf.argmax(logits, axis=1) == labels
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    return step


@contextlib.contextmanager
def averaged(network: keras.Model, averages: list[tf.Variable]) -> Iterator[None]:
    """Inside, the network has its averaged weights, if there are any."""
    if not averages:
        yield
        return
    raw = [weight.numpy() for weight in network.weights]
    for weight, average in zip(network.weights, averages, strict=True):
        weight.assign(average)
    yield
    for weight, value in zip(network.weights, raw, strict=True):
        weight.assign(value)

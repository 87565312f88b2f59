"""Times `compact`, and a training step of the temporal model beside one of Keras's own LSTM layers.

    tools/run tools/benchmark_models.py

Prints Markdown with medians. The networks take turns, so that other work on the machine slows all
of them.
"""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ast_net import config
from ast_net.cnn import runtime
from ast_net.temporal import siamese, stacked_lstm

PAIRS = 32
STEPS = 15


def stock_lstm(feature_size: int) -> keras.Model:
    """Builds the same network from Keras's own layers."""
    features = keras.Input((None, feature_size), name="features")
    hidden = features
    for units in config.StackedLSTM().units:
        hidden = keras.layers.LSTM(units, return_sequences=True)(hidden)
    return keras.Model(features, keras.layers.Dense(2)(hidden))


def training_step(model: keras.Model, feature_size: int, jit_compile: bool) -> Callable[[], object]:
    """Returns a function that trains on one batch of twin clips."""
    clip = config.Clip()
    network = siamese.build_training_model(siamese.build_siamese(model), clip, config.LossWeights())
    network.compile(keras.optimizers.Adam(), jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    batch = {}
    for twin in ("", "twin_"):
        for name, size in (("features", feature_size), ("labels", 2)):
            shape = (PAIRS, clip.frames, size)
            batch[twin + name] = tf.constant(rng.normal(size=shape), tf.float32)
        batch[f"{twin}mask"] = tf.ones((PAIRS, clip.frames), tf.bool)
    data = tf.data.Dataset.from_tensors(batch).repeat()
    network.fit(data, steps_per_epoch=1, verbose=0)
    iterator = iter(data)
    return lambda: network.train_function(iterator)


def seconds(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """Returns the median time of each call, in seconds; the calls take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, call_times in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            call_times.append(time.perf_counter() - start)
    return [statistics.median(call_times) for call_times in times]


def main() -> None:
    extractor = runtime.load("compact", None, config.FLOAT32, "data")
    faces = np.random.default_rng(0).integers(0, 256, (512, 224, 224, 3), np.uint8)
    frames = [(face, True) for face in faces]
    batch = faces[:32]
    extractor(batch)
    batch_seconds, video_seconds = seconds(
        [lambda: extractor(batch), lambda: list(runtime.extract(extractor, frames))], 5
    )
    print(f"`compact`: {len(batch) / batch_seconds:.0f} faces/s in batches of 32,")
    print(f"{len(faces) / video_seconds:.0f} faces/s by `runtime.extract`, as for a video\n")
    print("| features | ours | ours, XLA | stock Keras LSTM | ours / stock |")
    print("|---|---|---|---|---|")
    for size in (512, 4096):
        models = [stacked_lstm.build_stacked_lstm(size) for _ in range(2)] + [stock_lstm(size)]
        steps = [
            training_step(model, size, jit)
            for model, jit in zip(models, (False, True, False), strict=True)
        ]
        ours, xla, stock = (1000 * s for s in seconds(steps, STEPS))
        print(f"| {size} | {ours:.0f} ms | {xla:.0f} ms | {stock:.0f} ms | {ours / stock:.2f} |")


if __name__ == "__main__":
    main()

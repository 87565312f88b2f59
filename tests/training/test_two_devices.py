"""Two parts of the processor stand for two GPUs: they give what one device gives."""

import textwrap

import numpy as np
import pytest
from calls import python

# TensorFlow can only be given two devices before it has begun.
PROGRAM = """
import sys

import keras
import numpy as np
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

from ast_net import config, devices
from ast_net.cnn import compact, expression_head, tensorflow_runtime
from ast_net.training import expression_step

# Which refuses random numbers without a seed.
devices.use(config.Devices(deterministic=True))
compact.PICTURE_SIZE, compact.STEM, compact.STAGES = 8, 4, ()
rng = np.random.default_rng(0)
batches = [
    (tf.constant(rng.uniform(size=(8, 8, 8, 1)), tf.float32),
     tf.constant(np.eye(7)[rng.integers(0, 7, 8)], tf.float32))
    for _ in range(3)
]
faces = rng.integers(0, 256, (3, 224, 224, 3), np.uint8)
settings = config.Finetuning(
    batch_size=8, epochs=3, warmup_epochs=0, learning_rate=0.01, ema=0.9, mixed_precision="false"
)


def results(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        cnn = compact.build_compact(0)
        pictures = keras.Input((8, 8, 1))
        features = expression_step.Dropout(0.5, seed=1)(cnn.get_layer("trunk")(pictures))
        head = expression_head.build(512, tuple("abcdefg"))
        head.network.layers[-1].kernel.assign(rng.normal(size=(512, 7)) / 20)
        network = keras.Model(pictures, head(features))
        optimizer = expression_step.build_optimizer(network, settings, 1)
        averages = [tf.Variable(weight.value) for weight in network.weights]
    step = expression_step.training_step(network, optimizer, averages, np.zeros(7), settings)
    steps = [step(batch) for batch in batches]
    values = {name: [float(figures[name]) for figures in steps] for name in steps[0]}
    weights = [weight.numpy() for weight in network.weights]
    with expression_step.averaged(network, averages):
        weights += [weight.numpy() for weight in network.weights]
    values["weights"] = np.concatenate([weight.ravel() for weight in weights])
    tensorflow_runtime.network = lambda *_: cnn
    values["features"] = tensorflow_runtime.load("compact", None, "float32")(faces)
    return values


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for number, strategy in enumerate((tf.distribute.get_strategy(), two), start=1):
    rng = np.random.default_rng(1)
    np.savez(f"{sys.argv[1]}/{number}.npz", **results(strategy))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    done = python("-c", textwrap.dedent(PROGRAM), folder)
    assert done.returncode == 0, done.stderr
    return [np.load(folder / f"{number}.npz") for number in (1, 2)]


@pytest.mark.parametrize("name", ["loss", "accuracy", "weights", "features"])
def test_two_devices_give_what_one_gives(name, results):
    one, two = (result[name] for result in results)
    assert len(one) >= 3 and np.ptp(one) > 0.1
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-5)

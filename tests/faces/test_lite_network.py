"""Compares TensorFlow Lite networks with Keras."""

import threading

import keras
import numpy as np
import pytest

from ast_net.faces import lite_network


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network with two outputs of different sizes, for pictures of any size."""
    keras.utils.set_random_seed(3)
    images = keras.Input([None, None, 3])
    shared = keras.layers.Conv2D(5, 3, strides=2, activation="relu")(images)
    return keras.Model(
        images, [keras.layers.Conv2D(4, 1)(shared), keras.layers.Conv2D(2, 1)(shared)]
    )


def keras_outputs(model, pictures) -> list[np.ndarray]:
    return [np.asarray(output) for output in model((pictures.astype(np.float32) - 127.5) / 128)]


def test_equals_keras_for_any_shape(model, rng):
    network = lite_network.LiteNetwork(lite_network.convert(model, None))
    for shape in [(1, 12, 12, 3), (3, 20, 31, 3), (1, 12, 12, 3)]:
        pictures = rng.integers(0, 255, shape, dtype=np.uint8)
        for output, expected in zip(network(pictures), keras_outputs(model, pictures), strict=True):
            assert output.dtype == np.float32
            np.testing.assert_allclose(output, expected, atol=1e-5)


def test_several_threads_get_their_own_results(model, rng):
    network = lite_network.LiteNetwork(lite_network.convert(model, None))
    pictures = [rng.integers(0, 255, (n, 16, 16, 3), dtype=np.uint8) for n in (1, 2, 3, 4)]
    outputs_of_thread: dict[int, list[list[np.ndarray]]] = {}

    def run(k):
        outputs_of_thread[k] = [network(pictures[k]) for _ in range(50)]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        expected_outputs = keras_outputs(model, pictures[k])
        for outputs in outputs_of_thread[k]:
            for output, expected in zip(outputs, expected_outputs, strict=True):
                np.testing.assert_allclose(output, expected, atol=1e-5)

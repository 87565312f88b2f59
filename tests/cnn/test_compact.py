import keras
import numpy as np
import tensorflow as tf

from ast_net.cnn import backbone, compact, vgg16


def test_a_picture_is_the_middle_of_a_face(rng):
    pictures = rng.integers(0, 256, (3, 48, 48, 1), np.uint8)
    middle = pictures.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    # What lies around the middle is not seen.
    faces = rng.integers(0, 256, (3, 224, 224, 3), np.uint8)
    faces[:, 16:208, 16:208] = middle
    model = compact.build_compact()
    expected = model(faces)
    found = backbone.on_pictures(model)(pictures / np.float32(255))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.max(expected))


def test_vgg16_is_given_pictures_in_the_same_place(monkeypatch, rng):
    monkeypatch.setattr(vgg16, "BLOCKS", ((2, 1), (2, 1), (2, 1), (2, 1), (2, 1)))
    model = vgg16.build_vgg16()
    pictures = np.full((1, 48, 48, 1), 0.4, np.float32)
    expected = model(np.full((1, 224, 224, 3), 102, np.uint8))
    np.testing.assert_allclose(backbone.on_pictures(model)(pictures), expected, rtol=1e-5)
    pictures[0, 10, 30] = 1
    seen = backbone.enlarge(pictures)[0].numpy()
    assert (seen.shape, seen.dtype) == ((224, 224, 3), np.uint8)
    row, column = np.argwhere(seen[..., 0] == seen.max()).mean(axis=0)
    # The middle of pixel (10, 30) of 48 in the middle 192 of 224.
    np.testing.assert_allclose([row, column], [16 + 4 * 10.5 - 0.5, 16 + 4 * 30.5 - 0.5])


def test_fused_batch_normalisation_is_keras_own(rng):
    inputs = tf.constant(rng.normal(1, 3, (8, 5, 5, 4)).astype(np.float32))
    weights = rng.uniform(0.5, 2, (4, 4)).astype(np.float32)  # the last: moving variance
    results = []
    for layer in (compact.FusedBatchNormalization(), keras.layers.BatchNormalization()):
        layer.build(inputs.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(outputs**3)
        gradients = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
        results.append(
            [outputs, *gradients, layer.moving_mean.value, layer(inputs, training=False)]
        )
        last = layer.moving_variance.numpy()
        layer.trainable = False
        results[-1].append(layer(inputs, training=True))
        np.testing.assert_array_equal(layer.moving_variance, last)
        # The fused kernel keeps the estimate that divides by n - 1.
        of_batch = inputs.numpy().var(axis=(0, 1, 2), ddof=len(results) == 1)
        np.testing.assert_allclose(last, 0.99 * weights[3] + 0.01 * of_batch, rtol=1e-5)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())

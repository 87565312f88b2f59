"""Compares the stacked LSTM with stock Keras layers and with itself in other forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net.temporal import lstm, siamese, stacked_lstm


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    return stacked_lstm.build_stacked_lstm(6, (5, 4), 2)


def build_stock(feature_size, units, targets):
    """The same network made of stock Keras layers."""
    features = keras.Input((None, feature_size))
    hidden = features
    for size in units:
        hidden = keras.layers.LSTM(size, return_sequences=True)(hidden)
    return keras.Model(features, keras.layers.Dense(targets)(hidden))


def test_number_of_parameters():
    model = stacked_lstm.build_stacked_lstm()
    assert model.count_params() == 844_042
    assert model.output_shape == (None, None, 2)


def test_equals_stock_keras(model, rng):
    stock = build_stock(6, (5, 4), 2)
    stock.set_weights([rng.normal(size=w.shape) for w in stock.get_weights()])
    model.set_weights(stock.get_weights())
    features = rng.normal(size=(3, 50, 6)).astype(np.float32)
    np.testing.assert_allclose(model(features), stock(features), atol=1e-5)


def gradients(model, features, weights):
    """Returns the gradients of a weighted sum of the predictions by all weights."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(features) * weights)
    return tape.gradient(loss, model.trainable_variables)


def test_gradients_equal_those_of_stock_keras(model, rng):
    stock = build_stock(6, (5, 4), 2)
    stock.set_weights([rng.normal(size=w.shape) for w in stock.get_weights()])
    model.set_weights(stock.get_weights())
    features = rng.normal(size=(3, 50, 6)).astype(np.float32)
    weights = rng.normal(size=(3, 50, 2)).astype(np.float32)
    pairs = zip(*(gradients(network, features, weights) for network in (model, stock)))
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def test_gradients_with_frames_skipped_and_moments(rng):
    """Compares with TensorFlow's own gradients of the unrolled loop."""
    moments = rng.normal(size=6), rng.uniform(0.1, 4, 6)
    model = stacked_lstm.build_stacked_lstm(6, (5, 4), 2, moments=moments)
    features = rng.normal(size=(3, 7, 6)).astype(np.float32)
    features[0, 2:4] = features[1, 0] = features[2, 6] = 0
    weights = rng.normal(size=(3, 7, 2)).astype(np.float32)
    unrolled = stacked_lstm.build_unrolled(model, 7)
    pairs = zip(*(gradients(network, features, weights) for network in (model, unrolled)))
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def test_gradients_of_the_initial_states(model, rng):
    layer = model.get_layer("lstm_1")
    inputs = tf.constant(rng.normal(size=(2, 7, 6)), tf.float32)
    states = [tf.constant(rng.normal(size=(2, 5)), tf.float32) for _ in "hc"]
    has_face = tf.constant(rng.random((2, 7)) < 0.7)

    def of(unroll):
        with tf.GradientTape() as tape:
            tape.watch(states)
            outputs, h, c = layer(inputs, has_face, states, unroll=unroll)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(tf.sin(h) + c**3)
        return tape.gradient(loss, states)

    np.testing.assert_allclose(of(unroll=False), of(unroll=True), rtol=1e-5, atol=1e-5)


def test_starts_with_open_forget_gates(model):
    np.testing.assert_array_equal(model.get_layer("lstm_1").bias, [0] * 5 + [1] * 5 + [0] * 10)


def test_frames_without_a_face_are_skipped(model, rng):
    features = rng.normal(size=(1, 10, 6)).astype(np.float32)
    features[0, 3:5] = 0
    predictions = model(features).numpy()[0]
    np.testing.assert_array_equal(predictions[3], predictions[2])
    np.testing.assert_array_equal(predictions[4], predictions[2])
    without = model(np.delete(features, [3, 4], axis=1)).numpy()[0]
    np.testing.assert_allclose(np.delete(predictions, [3, 4], axis=0), without, atol=1e-6)


def test_stateful_model_continues_a_sequence(model, rng):
    features = rng.normal(size=(3, 20, 6)).astype(np.float32)
    features[1, 4] = 0
    stateful = stacked_lstm.build_stateful(model)
    names = ("lstm_1_h", "lstm_1_c", "lstm_2_h", "lstm_2_c")
    states = {n: keras.ops.zeros((3, 5 if "1" in n else 4)) for n in names}
    predictions = []
    for part in np.split(features, [7, 8], axis=1):
        outputs = stateful({**states, "features": keras.ops.array(part)})
        predictions.append(outputs.pop("predictions"))
        states = outputs
    np.testing.assert_allclose(np.concatenate(predictions, axis=1), model(features), atol=1e-6)


def test_unrolled_model_gives_the_same_predictions(model, rng):
    features = rng.normal(size=(2, 7, 6)).astype(np.float32)
    features[1, 4] = 0
    unrolled = stacked_lstm.build_unrolled(model, 7)
    np.testing.assert_allclose(unrolled(features), model(features), atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_saved_weights_include_the_moments(policy, rng, tmp_path):
    """Compares with stock Keras layers on features that NumPy standardises in float64."""
    mean, variance = rng.uniform(-2, 2, 6), rng.uniform(0.01, 9, 6)
    keras.utils.set_random_seed(3)
    trained = stacked_lstm.build_stacked_lstm(6, (5, 4), 2, policy, (mean, variance))
    stacked_lstm.save(trained, tmp_path / "saved.weights.h5")
    loaded = stacked_lstm.build_stacked_lstm(6, (5, 4), 2)
    loaded.load_weights(tmp_path / "saved.weights.h5")
    features = rng.normal(mean, np.sqrt(variance), (3, 30, 6)).astype(np.float32)
    stock = build_stock(6, (5, 4), 2)
    stock.set_weights(trained.get_weights())
    expected = stock(((features - mean) / np.sqrt(variance)).astype(np.float32))
    np.testing.assert_allclose(loaded(features), expected, atol=1e-5)
    np.testing.assert_allclose(trained(features), expected, atol=0.02)
    # A frame without a face is still skipped.
    features[1, 3] = 0
    predictions = loaded(features)
    np.testing.assert_array_equal(predictions[1, 3], predictions[1, 2])


def test_stateful_model_with_moments(rng):
    model = stacked_lstm.build_stacked_lstm(6, (5,), 1, moments=(np.ones(6), np.full(6, 4.0)))
    features = rng.normal(size=(2, 8, 6)).astype(np.float32)
    states = {name: np.zeros((2, 5), np.float32) for name in ("lstm_1_h", "lstm_1_c")}
    predictions = stacked_lstm.build_stateful(model)({"features": features, **states})[
        "predictions"
    ]
    np.testing.assert_allclose(predictions, model(features), atol=1e-6)


def test_mixed_precision_keeps_the_recurrence_in_float32(rng):
    model = stacked_lstm.build_stacked_lstm(6, (5, 4), 2, "mixed_bfloat16")
    features = rng.normal(size=(2, 30, 6)).astype(np.float32)
    exact = stacked_lstm.build_stacked_lstm(6, (5, 4), 2)
    exact.set_weights(model.get_weights())
    stateful = stacked_lstm.build_stateful(model)
    states = {n: np.zeros((2, size)) for n, size in stacked_lstm.state_sizes(model).items()}
    assert {output.dtype for output in stateful({"features": features, **states}).values()} == {
        tf.float32
    }
    assert {variable.dtype for variable in model.variables} == {"float32"}
    difference = np.abs(model(features) - exact(features))
    assert 0 < difference.max() < 0.02


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_output_shapes_are_known_without_a_call(policy):
    layer = lstm.LSTM(5, dtype=policy)
    present = keras.ops.ones((2, 7), "bool")
    expected = layer(keras.ops.ones((2, 7, 6)), present)
    specs = layer(keras.KerasTensor((None, 7, 6)), keras.KerasTensor((None, 7), "bool"))
    assert [(None, *t.shape[1:]) for t in expected] == [t.shape for t in specs]
    assert [t.dtype.name for t in expected] == [t.dtype for t in specs]


def test_towers_share_their_weights(model, rng):
    clip, twin = rng.normal(size=(2, 3, 8, 6)).astype(np.float32)
    network = siamese.build_siamese(model)
    assert network.count_params() == model.count_params()
    predictions, twin_predictions = network([clip, twin])
    np.testing.assert_allclose(predictions, model(clip), atol=1e-6)
    np.testing.assert_allclose(twin_predictions, model(twin), atol=1e-6)

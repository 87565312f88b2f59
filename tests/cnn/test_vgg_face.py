import h5py
import numpy as np
import pytest
import scipy.io
import tensorflow as tf

from ast_net import errors
from ast_net.cnn import backbone, compact, vgg16

# VGG-16's layers with few filters, so that a file has 3 MB.
BLOCKS = ((4, 2), (4, 2), (4, 3), (4, 3), (4, 3))
FC6 = (7, 7, 4, 4096)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(vgg16, "BLOCKS", BLOCKS)


@pytest.fixture
def weights():
    """Kernels for RGB and biases by layer, fc6 as a convolution."""
    rng = np.random.default_rng(5)
    shapes, channels = {}, 3
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            shapes[f"conv{block}_{number}"] = (3, 3, channels, filters)
            channels = filters
    shapes["fc6"] = FC6
    return {
        name: (
            (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32),
            rng.normal(size=shape[-1]).astype(np.float32),
        )
        for name, shape in shapes.items()
    }


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (2, 224, 224, 3), np.uint8)


def bgr(weights):
    kernel, bias = weights["conv1_1"]
    return {**weights, "conv1_1": (kernel[:, :, ::-1], bias)}


def write_matconvnet(path, weights, older=False):
    def layer(name, kind, **fields):
        record = {"name": name, "type": kind, **fields}
        array = np.empty((1, 1), [(field, object) for field in record])
        array[0, 0] = tuple(record.values())
        return array

    layers = []
    for name, (kernel, bias) in weights.items():
        if older:
            layers.append(layer(name, "conv", filters=kernel, biases=bias[np.newaxis]))
        else:
            pair = np.empty((1, 2), object)
            pair[0, 0], pair[0, 1] = kernel, bias[:, np.newaxis]
            layers.append(layer(name, "conv", weights=pair))
        layers.append(layer(f"relu_{name}", "relu", weights=np.empty((0, 0))))
    layers.append(layer("fc7", "conv", filters=np.zeros((1, 1, 4096, 2)), biases=np.zeros((1, 2))))
    cells = np.empty((1, len(layers)), object)
    cells[0] = layers
    scipy.io.savemat(path, {"net": {"layers": cells}} if older else {"layers": cells, "meta": {}})


def write_keras_2(path, groups, **attributes):
    """`groups` is a list of (layer, {weight: values}) in the model's order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in groups]
        for name, weights in groups:
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, values in weights.items():
                group[weight] = values


def write_keras_vggface(path, weights):
    groups: list[tuple[str, dict]] = [("input_1", {})]
    for name, (kernel, bias) in bgr(weights).items():
        kernel = kernel.reshape(-1, 4096) if name == "fc6" else kernel
        groups.append((name, {f"{name}/kernel:0": kernel, f"{name}/bias:0": bias}))
        groups.append((f"pool_after_{name}", {}))
    write_keras_2(
        path, [*groups, ("fc7", {"fc7/kernel:0": np.zeros((4096, 2)), "fc7/bias:0": np.zeros(2)})]
    )


def write_deepface(path, weights):
    groups: list[tuple[str, dict]] = []
    for number, (kernel, bias) in enumerate(bgr(weights).values(), start=1):
        name = f"conv2d_{number}"
        groups.append((f"zero_padding2d_{number}", {}))
        groups.append((name, {f"{name}/kernel:0": kernel, f"{name}/bias:0": bias}))
    last = {"conv2d_15/kernel:0": np.zeros((1, 1, 4096, 2)), "conv2d_15/bias:0": np.zeros(2)}
    write_keras_2(path, [*groups, ("dropout_1", {}), ("conv2d_15", last)])


WRITERS = {
    "matconvnet": write_matconvnet,
    "older_matconvnet": lambda path, weights: write_matconvnet(path, weights, older=True),
    "keras_vggface": write_keras_vggface,
    "deepface": write_deepface,
}


def forward(weights, faces):
    """VGG-16 to fc6 with plain TensorFlow operations in float64; fc6 as a convolution."""
    hidden = tf.constant(faces.astype(np.float64) - np.array([129.1863, 104.7624, 93.5940]))
    for block, (_, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            kernel, bias = weights[f"conv{block}_{number}"]
            hidden = tf.nn.relu(tf.nn.conv2d(hidden, kernel.astype(np.float64), 1, "SAME") + bias)
        hidden = tf.nn.max_pool2d(hidden, 2, 2, "VALID")
    kernel, bias = weights["fc6"]
    product = np.einsum("nhwc,hwco->no", hidden.numpy(), kernel.astype(np.float64))
    return np.maximum(product + bias, 0)


@pytest.mark.parametrize("layout", WRITERS)
def test_fc6_is_that_of_an_independent_pass(layout, weights, faces, tmp_path):
    # The name says nothing.
    path = tmp_path / "weights"
    WRITERS[layout](tmp_path / "weights.mat" if "mat" in layout else path, weights)
    if not path.exists():
        (tmp_path / "weights.mat").rename(path)
    expected = forward(weights, faces)
    assert 0.2 < (expected > 0).mean() < 0.8
    found = backbone.load("vgg16", str(path))(faces).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_reads_what_keras_saved(faces, tmp_path):
    model = vgg16.build_vgg16()
    model.save_weights(tmp_path / "a.weights.h5")
    again = backbone.load("vgg16", str(tmp_path / "a.weights.h5"))
    np.testing.assert_array_equal(again(faces), model(faces))
    assert np.ptp(model(faces)) > 0


@pytest.mark.parametrize("kept", [0.2, 0.95])
def test_refuses_what_keras_saved_and_is_cut_off(kept, tmp_path):
    path = tmp_path / "a.weights.h5"
    vgg16.build_vgg16().save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    expect_error(path)


def test_refuses_what_keras_saved_from_others(monkeypatch, tmp_path):
    compact.build_compact().save_weights(tmp_path / "compact.weights.h5")
    expect_error(tmp_path / "compact.weights.h5", "cannot be read as the weights of vgg16")
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 2), (4, 2), (8, 3), (4, 3), (4, 3)))
    vgg16.build_vgg16().save_weights(tmp_path / "wide.weights.h5")
    monkeypatch.setattr(vgg16, "BLOCKS", BLOCKS)
    expect_error(tmp_path / "wide.weights.h5", "(3, 3, 4, 8)", "(3, 3, 4, 4)")


@pytest.mark.parametrize("name", ["fc6", "conv2d_5"])
def test_refuses_what_keras_saved_without_a_layer(name, tmp_path):
    path = tmp_path / "a.weights.h5"
    vgg16.build_vgg16().save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers"][name]
    expect_error(path, "cannot be read as the weights of vgg16")


def test_refuses_what_keras_saved_of_infinite_numbers(tmp_path):
    model = vgg16.build_vgg16()
    model.get_layer("fc6").bias.assign(np.full(4096, np.inf))
    model.save_weights(tmp_path / "a.weights.h5")
    expect_error(tmp_path / "a.weights.h5", "fc6: found values that are not finite")


def test_reads_the_weights_of_a_whole_model_file(weights, faces, tmp_path):
    write_deepface(tmp_path / "inner.h5", weights)
    with h5py.File(tmp_path / "outer.h5", "w") as outer, h5py.File(tmp_path / "inner.h5") as inner:
        inner.copy("/", outer, "model_weights")
    found = backbone.load("vgg16", str(tmp_path / "outer.h5"))(faces).numpy()
    expected = backbone.load("vgg16", str(tmp_path / "inner.h5"))(faces).numpy()
    np.testing.assert_array_equal(found, expected)


def expect_error(path, *parts):
    with pytest.raises(errors.InputError) as caught:
        backbone.load("vgg16", str(path))
    for part in (str(path), "expected", *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("kept", [0.2, 0.95])
def test_refuses_a_file_that_is_cut_off(layout, kept, weights, tmp_path):
    path = tmp_path / ("weights.mat" if "mat" in layout else "weights.h5")
    WRITERS[layout](path, weights)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    expect_error(path)


@pytest.mark.parametrize("layout", WRITERS)
def test_refuses_other_shapes(layout, weights, tmp_path):
    path = tmp_path / ("weights.mat" if "mat" in layout else "weights.h5")
    kernel, bias = weights["conv3_2"]
    WRITERS[layout](path, {**weights, "conv3_2": (kernel[:, :, :, :3], bias)})
    expect_error(path, "conv3_2", "(3, 3, 4, 3)", "(3, 3, 4, 4)")
    WRITERS[layout](path, {**weights, "conv3_2": (kernel, bias[:3])})
    expect_error(path, "conv3_2", "bias")


def test_refuses_a_file_without_fc6(weights, tmp_path):
    del weights["fc6"]
    write_keras_vggface(tmp_path / "notop.h5", weights)
    expect_error(tmp_path / "notop.h5", "found no layer fc6")


def test_refuses_other_files(tmp_path):
    (tmp_path / "picture.h5").write_bytes(b"\x89PNG" * 100)
    expect_error(tmp_path / "picture.h5", "neither an HDF5 nor a MATLAB file")
    scipy.io.savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    expect_error(tmp_path / "other.mat", "KeyError: 'layers'")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    expect_error(tmp_path / "other.h5", "cannot be read as the weights of vgg16")


def test_refuses_numbers_that_are_not_finite(weights, tmp_path):
    weights["conv4_1"][0][0, 0, 0, 0] = np.nan
    write_deepface(tmp_path / "w.h5", weights)
    with pytest.raises(errors.InputError, match="conv4_1: found values that are not finite"):
        backbone.load("vgg16", str(tmp_path / "w.h5"))

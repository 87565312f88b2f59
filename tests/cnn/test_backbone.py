import numpy as np
import pytest

from ast_net import errors
from ast_net.cnn import backbone, compact, vgg16


@pytest.fixture(scope="module")
def model():
    return compact.build_compact()


def random_faces(rng, count):
    return rng.integers(0, 256, (count, 224, 224, 3), np.uint8)


def test_vgg16_has_the_parameters_of_configuration_d():
    model = vgg16.build_vgg16()
    # 13 convolutions of 3x3 and fc6 on 7x7x512, by hand from the table of Simonyan and Zisserman.
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in zip(widths, widths[1:], strict=False))
    assert model.count_params() == convolutions + 7 * 7 * 512 * 4096 + 4096 == 117_479_232
    assert (model.input_shape, model.input.dtype) == ((None, 224, 224, 3), "uint8")
    assert model.output_shape == (None, 4096)


def test_fc6_is_drawn_as_one_matrix():
    layer = vgg16.Fc6(32)
    layer.build((None, 7, 7, 64))
    drawn = np.concatenate([np.asarray(kernel) for kernel in layer.kernels])
    assert len(np.unique(drawn)) > 0.95 * drawn.size, "each row of the map has its own"
    np.testing.assert_allclose(drawn.std(), (7 * 7 * 64) ** -0.5, rtol=0.02)


def test_vgg16_subtracts_the_mean_in_float32():
    layer = vgg16.build_vgg16().get_layer("subtract_mean")
    found = layer(np.full((1, 1, 1, 3), 200, np.uint8)).numpy().ravel()
    np.testing.assert_allclose(found, 200 - np.array(vgg16.MEAN_RGB), rtol=1e-6)


def test_compact_keeps_its_interface(model, rng):
    assert (model.input_shape, model.input.dtype) == ((None, 224, 224, 3), "uint8")
    assert model.output_shape == (None, compact.FEATURES)
    assert model.count_params() <= 4_000_000
    features = model(random_faces(rng, 2)).numpy()
    assert features.min() >= 0
    assert features.std() > 0.1


def test_compact_is_the_same_for_a_seed(model, rng):
    faces = random_faces(rng, 1)
    np.testing.assert_array_equal(compact.build_compact(0)(faces), model(faces))
    assert np.abs(compact.build_compact(1)(faces) - model(faces)).max() > 0.1


def test_compact_does_not_mind_light_and_contrast(model, rng):
    faces = random_faces(rng, 1) // 2
    np.testing.assert_allclose(model(faces + 60), model(faces), atol=0.02)


def test_compact_sees_the_middle(model, rng):
    faces = random_faces(rng, 1)
    framed = faces.copy()
    framed[:, :16], framed[:, -16:], framed[:, :, :16], framed[:, :, -16:] = 0, 0, 255, 255
    np.testing.assert_array_equal(model(framed), model(faces))


def test_weights_have_names_of_their_own(model, tmp_path):
    path = str(tmp_path / "a.weights.h5")
    model.save_weights(path)
    other = compact.build_compact(7)
    other.save_weights(tmp_path / "b.weights.h5")
    names = {
        backbone.weights_id("compact", w) for w in (None, path, str(tmp_path / "b.weights.h5"))
    }
    assert len(names) == 3
    loaded = backbone.load("compact", str(tmp_path / "b.weights.h5"))
    for found, expected in zip(loaded.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("content", [b"", b"not HDF5"])
def test_a_file_that_is_no_weights_is_refused(content, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(content)
    with pytest.raises(errors.InputError, match="cannot be read as the weights of compact"):
        backbone.load("compact", str(path))


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(errors.InputError, match="no such file"):
        backbone.load("compact", str(tmp_path / "missing.weights.h5"))
    with pytest.raises(errors.InputError, match="vgg16 has no weights of its own"):
        backbone.load("vgg16", None)
    with pytest.raises(errors.InputError, match="'resnet' is unknown"):
        backbone.load("resnet", None)

import hashlib
import importlib.util
import shutil
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from ast_net import config, errors
from ast_net.cnn import backbone, calibration, compact, runtime, vgg16
from ast_net.faces import alignment

BFLOAT16 = config.Runtime("tensorflow", "bfloat16")
INT8 = config.Runtime("openvino", "int8")


@pytest.fixture(scope="module")
def faces(portrait):
    """The portrait's face, aligned by eyes as a tracker finds them, uint8 [24, 224, 224, 3]."""
    rng = np.random.default_rng(3)
    eyes = np.array([[123, 101], [166.5, 103.3]])
    return np.stack(
        [
            alignment.align_face(portrait, eyes + rng.normal(0, 3, eyes.shape), config.Alignment())
            for _ in range(24)
        ]
    )


@pytest.fixture(scope="module")
def expected(faces):
    """fc6 by Keras in float32."""
    return tf.function(backbone.load("compact", None))(faces).numpy()


@pytest.fixture(scope="module")
def openvino_runtime():
    if not all(importlib.util.find_spec(name) for name in ("openvino", "nncf")):
        pytest.skip("the extra `openvino` is not installed")
    return runtime._openvino()


@pytest.fixture(scope="module")
def cache(openvino_runtime, tmp_path_factory):
    """A folder with an int8 `compact`, calibrated once for all tests; not to be changed."""
    folder = tmp_path_factory.mktemp("cache")
    runtime.load("compact", None, INT8, folder)
    return folder


@pytest.fixture
def never_again(openvino_runtime, monkeypatch):
    def quantise(*_):
        raise AssertionError("calibrated again")

    monkeypatch.setattr(openvino_runtime, "_quantise", quantise)


def cosines(found, expected):
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return (found * expected).sum(axis=1) / norms


def test_float32_is_the_model_itself(faces, expected):
    extractor = runtime.load("compact", None, config.FLOAT32, "unused")
    found = extractor(faces)
    assert (found.dtype, found.shape[1]) == (np.float16, extractor.feature_size)
    assert extractor.precision == "float32"
    np.testing.assert_array_equal(found, expected.astype(np.float16))


def test_folding_changes_nothing_but_rounding(faces, expected):
    model = compact.fold(backbone.load("compact", None), "float32")
    assert not [layer for layer in model.get_layer("trunk").layers if "norm" in layer.name[:4]]
    np.testing.assert_allclose(model(faces), expected, atol=1e-4)


def test_bfloat16_keeps_the_features(faces, expected):
    found = runtime.load("compact", None, BFLOAT16, "unused")(faces)
    assert cosines(found, expected).min() >= 0.999
    # It is another arithmetic.
    assert np.abs(found - expected).max() > 1e-3


def test_vgg16_in_bfloat16_has_its_weights_in_bfloat16(faces, monkeypatch, tmp_path):
    monkeypatch.setattr(vgg16, "BLOCKS", ((8, 1), (8, 1), (8, 1), (8, 1), (8, 1)))
    model = vgg16.build_vgg16()
    path = str(tmp_path / "narrow.weights.h5")
    model.save_weights(path)
    built = []
    load = backbone.load
    monkeypatch.setattr(backbone, "load", lambda *how: built.append(load(*how)) or built[-1])
    found = runtime.load("vgg16", path, BFLOAT16, "unused")(faces)
    assert cosines(found, model(faces).numpy()).min() >= 0.999
    assert {weight.dtype for cnn in built for weight in cnn.weights} == {"bfloat16"}


@pytest.mark.parametrize("settings", [config.FLOAT32, BFLOAT16])
def test_any_number_of_faces(settings, faces):
    extractor = runtime.load("compact", None, settings, "unused")
    together = extractor(faces[:7]).astype(np.float32)
    for count in (1, 3):
        np.testing.assert_allclose(extractor(faces[:count]), together[:count], atol=0.02)


def test_features_that_float16_cannot_hold_are_its_maximum():
    extractor = runtime.Extractor(2, "float32", lambda faces: np.array([[1e6, 1.5]], np.float32))
    np.testing.assert_array_equal(extractor(np.zeros((1, 224, 224, 3))), [[65504, 1.5]])


def test_extract_gives_each_frame_its_features(faces, expected):
    valid = [True, False, True, True, False]
    extractor = runtime.load("compact", None, config.FLOAT32, "unused")
    found = list(runtime.extract(extractor, zip(faces, valid), batch_size=2))
    assert len(found) == 5
    assert found[0].dtype == np.float16
    for row, fc6, is_face in zip(found, expected, valid):
        np.testing.assert_allclose(row, fc6 if is_face else 0 * fc6, rtol=2e-3, atol=1e-3)


def test_auto_is_what_the_processor_has(monkeypatch, tmp_path):
    cpu_info = tmp_path / "cpuinfo"
    monkeypatch.setattr(runtime, "CPU_INFO", cpu_info)
    auto = config.Runtime()
    for text, precision in (
        ("model name : amx_bf16\nflags\t\t: fpu avx512f avx512_vnni amx_tile\n", "float32"),
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", "bfloat16"),
        ("flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile amx_int8\n", "bfloat16"),
    ):
        cpu_info.write_text(text)
        assert runtime.resolve(auto) == config.Runtime("tensorflow", precision)
    cpu_info.unlink()
    assert runtime.resolve(auto) == config.FLOAT32
    assert runtime.resolve(config.Runtime("openvino")) == INT8
    for given in (config.FLOAT32, BFLOAT16, INT8):
        assert runtime.resolve(given) == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "torch"}, "`runtime` must be one of .*found torch"),
        ({"precision": "float16"}, "`precision` must be one of .*found float16"),
        ({"precision": "int8"}, "give `runtime=openvino`"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(errors.InputError, match=message):
        config.Runtime(**settings)


def test_openvino_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "ast_net.cnn.openvino_runtime", raising=False)
    monkeypatch.delattr("ast_net.cnn.openvino_runtime", raising=False)
    with pytest.raises(errors.InputError, match=r"cannot be imported.*\.\[openvino\]"):
        runtime.load("compact", None, INT8, "unused")
    with pytest.raises(errors.InputError, match="cannot be imported"):
        runtime.check_installed(INT8)
    with pytest.raises(errors.InputError, match="`runtime=tensorflow`"):
        runtime.int8_id("compact", None, "unused")


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_openvino_gives_the_same_features(precision, least, openvino_runtime, faces, expected):
    extractor = runtime.load("compact", None, config.Runtime("openvino", precision), "unused")
    for count in (24, 1):
        found = extractor(faces[:count])
        assert (found.dtype, found.shape) == (np.float16, (count, extractor.feature_size))
        assert cosines(found, expected[:count]).min() >= least


def test_int8_is_calibrated_once(cache, never_again, faces, expected):
    extractor = runtime.load("compact", None, INT8, cache)
    found = extractor(faces)
    assert cosines(found, expected).min() >= 0.99
    assert np.abs(found - expected).max() > 0.01
    np.testing.assert_allclose(extractor(faces[:3]), found[:3], atol=0.02)
    (folder,) = (cache / "quantised").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.xml", "sha256"]


def test_an_extractor_can_be_called_from_threads(cache, faces):
    extractor = runtime.load("compact", None, INT8, cache)
    expected = [extractor(faces[k : k + 4]) for k in range(8)]
    found = [None] * 8

    def work(k):
        found[k] = extractor(faces[k : k + 4])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, expected)


def test_the_int8_network_is_the_same_everywhere(cache, openvino_runtime, tmp_path):
    assert runtime.int8_id("compact", None, tmp_path) == runtime.int8_id("compact", None, cache)
    (here,), (there,) = (list((folder / "quantised").iterdir()) for folder in (tmp_path, cache))
    assert here.name == there.name
    content = (there / "model.bin").read_bytes()
    assert (here / "model.bin").read_bytes() == content
    assert hashlib.sha256(content).hexdigest()[:8] == runtime.int8_id("compact", None, cache)


def test_other_faces_make_another_network(cache, openvino_runtime, monkeypatch, tmp_path):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    usual = runtime.int8_id("compact", None, tmp_path)
    few = calibration.faces()[:12]
    monkeypatch.setattr(calibration, "faces", lambda: few)
    assert runtime.int8_id("compact", None, tmp_path) != usual
    assert len(list((tmp_path / "quantised").iterdir())) == 2


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "sha256"])
def test_a_damaged_network_is_made_again(name, cache, openvino_runtime, monkeypatch, tmp_path):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    (folder,) = (tmp_path / "quantised").iterdir()
    whole = (folder / name).read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    made = []

    def quantise(name, weights, folder):
        made.append((name, weights))
        shutil.copytree(cache / "quantised" / folder.name, folder, dirs_exist_ok=True)

    monkeypatch.setattr(openvino_runtime, "_quantise", quantise)
    runtime.load("compact", None, INT8, tmp_path)
    assert made == [("compact", None)]
    assert (folder / name).read_bytes() == whole
    runtime.load("compact", None, INT8, tmp_path)
    assert len(made) == 1


def test_a_calibration_that_is_broken_off_leaves_nothing(openvino_runtime, monkeypatch, tmp_path):
    def save(network, path, **_):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(openvino_runtime.nncf, "quantize", lambda *_, **__: None)
    monkeypatch.setattr(openvino_runtime, "_converted", lambda *_: None)
    monkeypatch.setattr(openvino_runtime.openvino, "save_model", save)
    with pytest.raises(KeyboardInterrupt):
        runtime.load("compact", None, INT8, tmp_path)
    assert not list((tmp_path / "quantised").iterdir())

"""The converted networks that are kept: as good as fresh ones, whatever happens to the files."""

import shutil
from unittest import mock

import numpy as np
import pytest

from ast_net.faces import lite_network, mtcnn_networks

SIZES = (31, 24, 48)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with the converted networks; not to be changed."""
    folder = tmp_path_factory.mktemp("cache")
    mtcnn_networks.converted(folder)
    return folder


@pytest.fixture
def copy(cache, tmp_path):
    """A folder of a cache, to be changed; it lies in `tmp_path`."""
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    (folder,) = (tmp_path / "converted").iterdir()
    return folder


@pytest.fixture
def conversions(cache):
    """Counts the conversions, and makes each take no time."""
    (folder,) = (cache / "converted").iterdir()
    contents = [(folder / f"{name}.tflite").read_bytes() for name in ("pnet", "rnet", "onet")]
    with mock.patch.object(mtcnn_networks, "_convert", return_value=contents) as convert:
        yield convert


def outputs(networks, rng):
    """The outputs of the networks for the same pictures at every call."""
    for network, size in zip(networks, SIZES, strict=True):
        yield from network(rng.integers(0, 255, (4, size, size, 3), np.uint8))


def test_kept_networks_equal_mtcnns_own(cache, conversions):
    kept = [*outputs(mtcnn_networks.converted(cache), np.random.default_rng(0))]
    conversions.assert_not_called()
    rng, expected = np.random.default_rng(0), []
    for model, size in zip(mtcnn_networks.models(), SIZES, strict=True):
        pictures = rng.integers(0, 255, (4, size, size, 3), np.uint8).astype(np.float32)
        expected += map(np.asarray, model((pictures - 127.5) / 128))
    for found, wanted in zip(kept, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["pnet.tflite", "onet.tflite", "sha256"])
@pytest.mark.parametrize("damage", ["changed", "half", "gone"])
def test_damaged_networks_are_made_again(name, damage, copy, conversions, tmp_path, caplog):
    whole = (copy / name).read_bytes()
    if damage == "changed":
        (copy / name).write_bytes(whole[:-50] + bytes([whole[-50] ^ 1]) + whole[-49:])
    elif damage == "half":
        (copy / name).write_bytes(whole[: len(whole) // 2])
    else:
        (copy / name).unlink()
    for _ in range(2):
        mtcnn_networks.converted(tmp_path)
    conversions.assert_called_once()
    assert (copy / name).read_bytes() == whole
    assert [record.message for record in caplog.records] == [
        f"{copy}: the converted face detector is damaged, and is made again"
    ]


def test_without_a_folder_that_can_be_written_they_are_converted(conversions, tmp_path, caplog):
    (tmp_path / "file").touch()
    for cache_dir in (None, tmp_path / "file"):
        assert len(mtcnn_networks.converted(cache_dir)) == 3
    assert conversions.call_count == 2
    assert not caplog.records and not (tmp_path / "converted").exists()


def test_another_process_may_make_them_at_the_same_time(cache, conversions, tmp_path):
    contents = conversions.return_value

    def convert():
        shutil.copytree(cache, tmp_path, dirs_exist_ok=True)  # The other one is ready first.
        return contents

    conversions.side_effect = convert
    for _ in range(2):
        assert len(mtcnn_networks.converted(tmp_path)) == 3
    conversions.assert_called_once()
    assert len([*(tmp_path / "converted").iterdir()]) == 1


@pytest.mark.parametrize("package", ["tensorflow", "keras", "mtcnn"])
def test_other_versions_have_networks_of_their_own(package, conversions, copy, tmp_path):
    real = mtcnn_networks.importlib.metadata.version

    def version(name):
        return "0.0.1" if name == package else real(name)

    with mock.patch.object(mtcnn_networks.importlib.metadata, "version", version):
        mtcnn_networks.converted(tmp_path)
    conversions.assert_called_once()
    assert len([*(tmp_path / "converted").iterdir()]) == 2


def test_another_conversion_has_networks_of_its_own(conversions, copy, tmp_path):
    changed = tmp_path / "lite_network.py"
    changed.write_text("# another one")
    with mock.patch.object(lite_network, "__file__", str(changed)):
        mtcnn_networks.converted(tmp_path)
    conversions.assert_called_once()

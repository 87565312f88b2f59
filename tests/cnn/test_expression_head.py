"""An expression head's file has its weights and the names of its expressions."""

import h5py
import numpy as np
import pytest

from ast_net import errors
from ast_net.cnn import expression_head


@pytest.fixture
def path(tmp_path, rng):
    head = expression_head.build(5, ("glad", "sad", "mad"))
    head.network.set_weights([rng.normal(size=(5, 3)), rng.normal(size=3)])
    expression_head.save(head, tmp_path / expression_head.FILE)
    return tmp_path / expression_head.FILE


def test_in_a_new_head_all_expressions_are_equally_likely(rng):
    head = expression_head.build(5, ("glad", "sad", "mad"))
    np.testing.assert_array_equal(head(rng.normal(size=(2, 5)).astype(np.float32)), 0)


def test_weights_and_expressions_are_saved_and_loaded(path, rng):
    head = expression_head.load(5, path)
    assert head.expressions == ("glad", "sad", "mad")
    features = rng.normal(size=(4, 5)).astype(np.float32)
    with h5py.File(path) as file:
        kernel, bias = (file[f"layers/dense/vars/{number}"][()] for number in (0, 1))
    np.testing.assert_allclose(head(features), features @ kernel + bias, rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "expressions"),
        (["glad", "glad", "mad"], "expected distinct words"),
        (["glad", "s,ad", "mad"], "expected distinct words"),
        ([1.5, 2.5, 3.5], "expected distinct words"),
        (["glad", "sad"], "cannot be read as the weights of head"),
        ([], "expected distinct words"),
    ],
)
def test_refuses_other_names(path, names, message):
    with h5py.File(path, "a") as file:
        del file.attrs["expressions"]
        if names is not None:
            file.attrs["expressions"] = names
    with pytest.raises(errors.InputError, match=message):
        expression_head.load(5, path)


def test_refuses_other_features(path):
    with pytest.raises(errors.InputError, match="cannot be read as the weights of head"):
        expression_head.load(4, path)


def test_weights_of_other_shapes_or_in_other_files_are_refused(path, tmp_path):
    with h5py.File(path, "a") as file:
        kernel = file["layers/dense/vars"]["0"][()]
        del file["layers/dense/vars"]["0"]
        file["layers/dense/vars"]["0"] = kernel.T
    with pytest.raises(errors.InputError, match="found arrays of the shapes .*3, 5"):
        expression_head.load(5, path)
    kernel.tofile(tmp_path / "secret")
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars"]["0"]
        external = [(str(tmp_path / "secret"), 0, kernel.nbytes)]
        file["layers/dense/vars"].create_dataset("0", kernel.shape, kernel.dtype, external=external)
    with pytest.raises(errors.InputError, match="arrays that are stored in other files"):
        expression_head.load(5, path)


def test_names_are_not_in_hdf5_s_heap_in_which_a_damaged_file_can_hang(path):
    with h5py.File(path) as file:
        dtype = file.attrs.get_id("expressions").dtype
        assert dtype.kind == "S" and dtype.itemsize == len("glad")

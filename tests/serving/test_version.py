"""A version appears whole or not at all."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import textwrap

import pytest

from ast_net import config, errors
from ast_net.serving import exporting, model_card, saved_model, version, warmup


@pytest.mark.parametrize("name", ["latest", "1.0", "v1", "-1", "+1", "1e3", "²", "1 ", "9" * 19])
def test_a_name_that_is_no_number_is_refused(tmp_path, name):
    with pytest.raises(errors.InputError, match=f"found {re.escape(repr(name))}: .*/1`$"):
        version.check(tmp_path / name)


@pytest.mark.parametrize("existing", ["3", "03"])
def test_a_version_is_never_replaced(tmp_path, existing):
    (tmp_path / existing).mkdir()
    (tmp_path / "7").mkdir()
    with pytest.raises(
        errors.InputError, match=rf"{existing}: this version exists.*`export_dir=.*/8`$"
    ):
        exporting.export(config.Export(export_dir=str(tmp_path / "3")))
    assert sorted(os.listdir(tmp_path)) == sorted([existing, "7"])


def test_without_versions_any_new_folder_will_do(tmp_path):
    settings = config.Export(export_dir=str(tmp_path / "onnx"), format="litert")
    with version.new(tmp_path / "onnx", numbered=False) as folder:
        (folder / "file").touch()
    with pytest.raises(errors.InputError, match="onnx: exists, .* so it is not replaced: delete"):
        exporting.export(settings)
    assert os.listdir(tmp_path / "onnx") == ["file"]


@pytest.mark.parametrize("numbered", [True, False])
def test_a_folder_that_another_process_creates_meanwhile_is_kept(tmp_path, numbered):
    new = version.new(tmp_path / "1", numbered)
    with pytest.raises(errors.InputError, match="exists"), new as folder:
        (folder / "mine").touch()
        (tmp_path / "1").mkdir()
        (tmp_path / "1/others").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "others"]


def test_a_relative_folder_and_a_slash_at_its_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with version.new("models/here/1/") as folder:
        (folder / "file").touch()
    assert [str(path) for path in pathlib.Path("models").rglob("*")] == [
        "models/here",
        "models/here/1",
        "models/here/1/file",
    ]


@pytest.mark.parametrize("stage", [saved_model, warmup, model_card])
def test_an_error_at_any_stage_leaves_nothing(run, tmp_path, monkeypatch, stage):
    write = stage.write

    def fail(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        exporting.export(
            config.Export(export_dir=str(tmp_path / "models/1"), workdir=str(run), cnn=False)
        )
    assert not list((tmp_path / "models").iterdir())


@contextlib.contextmanager
def _full_disk(size):
    # A limit of the file size simulates a full disk.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_with_the_path(run, tmp_path, served):
    settings = config.Export(export_dir=str(tmp_path / "models/1"), workdir=str(run), cnn=False)
    with pytest.raises(OSError, match="cannot be written") as error, _full_disk(20_000):
        exporting.export(settings)
    assert pathlib.Path(error.value.filename).parent == tmp_path / "models"
    assert not list((tmp_path / "models").iterdir())
    pytest.importorskip("tensorflow_serving", reason="needs the extra serving of setup.cfg")
    with pytest.raises(OSError, match="cannot be written") as error, _full_disk(20_000):
        warmup.write(tmp_path / "extra/requests", served)
    assert error.value.filename == str(tmp_path / "extra/requests")


def test_a_killed_export_leaves_nothing_that_a_server_takes_for_a_version(tmp_path):
    # The folder's name begins with a dot; servers look for numbers.
    program = """
        import os, signal, sys
        from ast_net.serving import version
        with version.new(sys.argv[1]) as folder:
            (folder / "saved_model.pb").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "models/1")]
    root = pathlib.Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "models").iterdir()
    assert left.name.startswith(".") and (left / "1/saved_model.pb").exists()
    with version.new(tmp_path / "models/1"):
        pass
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["1"]

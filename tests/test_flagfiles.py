"""The package's flagfiles are found by their names, wherever the package is."""

import pathlib
import subprocess
import sys

import pytest

from ast_net import cli, config, errors, flagfiles

ROOT = pathlib.Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "flags").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_package_s_flagfiles_are_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = flagfiles.lines(name)
    assert lines == flagfiles.lines(f"{name}.flags")
    assert lines == flagfiles.lines(str(ROOT / f"flags/{name}.flags"))
    written = (ROOT / f"flags/{name}.flags").read_text().splitlines()
    assert [line for line in written if line[0] != "#"][-1] == lines[-1]


def test_a_flagfile_may_name_another_and_the_last_flag_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = cli.parse("train", ["--flagfile", "recola", "--clip_frames=7"])
    run = arguments.read(config.Experiment)
    # --backbone is paper.flags's, --dataset recola.flags's own.
    assert (run.backbone, run.dataset, run.clip.frames) == ("vgg16", "recola", 7)


def test_a_file_of_the_user_s_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RECOLA").mkdir()
    (tmp_path / "demo").write_text("\n  // mine\n# too\n --epochs=3 \n")
    assert flagfiles.lines("demo") == ["--epochs=3"]
    (tmp_path / "demo.flags").write_text("--flagfile=demo\n--seed=1\n")
    assert flagfiles.lines("demo.flags") == ["--epochs=3", "--seed=1"]


@pytest.mark.parametrize("name", ["recla", "", "flags/recola", "../recola", "."])
def test_a_wrong_name_lists_those_there_are(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.InputError) as raised:
        cli.parse("train", [f"--flagfile={name}"])
    assert f"{name}: no such flagfile; expected a file" in str(raised.value)
    assert str(raised.value).endswith(f"with the package: {', '.join(NAMES)}")


def test_a_circle_is_refused(tmp_path):
    first, second = tmp_path / "a.flags", tmp_path / "b.flags"
    first.write_text(f"--flagfile={second}\n")
    second.write_text(f"--seed=1\n--flagfile={first}\n")
    with pytest.raises(errors.InputError, match=r"a.flags: this flagfile leads back to itself"):
        flagfiles.lines(str(first))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\xfe--seed=1")
    with pytest.raises(errors.InputError, match="a: cannot be read as flags"):
        flagfiles.lines(str(tmp_path / "a"))


def test_an_installed_package_has_them_inside(tmp_path):
    build = ["setup.py", "--quiet", "build_py", f"--build-lib={tmp_path}"]
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True)
    assert sorted(path.stem for path in (tmp_path / "ast_net/flags").iterdir()) == NAMES
    program = "from ast_net import flagfiles; print(flagfiles.__file__, *flagfiles.lines('cpu'))"
    # Its own folder comes first in the path, as the working folder.
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True)
    expected = [str(tmp_path / "ast_net/flagfiles.py"), *flagfiles.lines("cpu")]
    assert found.stdout.decode().split() == expected and "--nojit_compile" in expected

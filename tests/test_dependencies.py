"""setup.cfg and the constraints files agree; only `reproduce` needs what Windows lacks."""

import ast
import configparser
import pathlib

import pytest
from packaging import requirements

from ast_net import errors, jobs

ROOT = pathlib.Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")


def requirements_of(lines: str) -> list[requirements.Requirement]:
    texts = [line.partition("#")[0].strip() for line in lines.splitlines()]
    return [requirements.Requirement(text) for text in texts if text]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_oldest_versions_are_the_lower_bounds(python):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lowest = {}
    for requirement in requirements_of(setup["options"]["install_requires"]):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            (version,) = (s.version for s in requirement.specifier if s.operator in (">=", "=="))
            assert requirement.name not in lowest
            lowest[requirement.name] = version
    constraints = requirements_of((ROOT / f"tools/constraints/python{python}.txt").read_text())
    pinned = {constraint.name: str(constraint.specifier) for constraint in constraints}
    assert {name: pinned.get(name) for name in lowest} == {
        name: f"=={version}" for name, version in lowest.items()
    }


def test_a_gpu_needs_the_same_tensorflow():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extra = requirements_of(setup["options.extras_require"]["gpu"])
    assert all(requirement.extras == {"and-cuda"} for requirement in extra)
    bounds = [(r.name, r.specifier, r.marker) for r in extra]
    needed = requirements_of(setup["options"]["install_requires"])
    assert bounds == [(r.name, r.specifier, r.marker) for r in needed if r.name == "tensorflow"]


def test_each_python_has_its_file():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["python_requires"] == ">=3.11,<3.14"
    files = {path.name for path in (ROOT / "tools/constraints").iterdir()}
    assert files == {f"python{python}.txt" for python in PYTHONS}


def test_only_locks_use_what_windows_lacks():
    posix = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    users = set()
    for path in (ROOT / "ast_net").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) and posix & {alias.name for alias in node.names}:
                users.add(path.name)
            assert not (isinstance(node, ast.ImportFrom) and node.module in posix), path
    assert users == {"files.py", "jobs.py"}


def test_without_file_locks_there_is_a_message(monkeypatch):
    monkeypatch.setattr(jobs, "fcntl", None)
    with pytest.raises(errors.InputError, match="Windows has no file locks"):
        jobs.require_file_locks()

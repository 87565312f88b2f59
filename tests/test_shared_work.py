"""Work that processes share: results, warnings, errors, and processes that die; without Beam."""

import errno
import os
import pathlib

import pytest
from absl import logging

from ast_net import errors, shared_work

LOADED = []


def load():
    LOADED.append("networks")
    logging.warning("no GPU")
    return "networks"


def reciprocal(needed, element):
    assert needed == "networks"
    logging.warning(f"{element} is a number")
    logging.info(f"1 / {element}")
    if element < 0:
        raise errors.InputError(f"{element}: expected a positive number")
    if element > 1000:
        raise OSError(errno.ENOSPC, "No space left on device")
    if element == 13:
        raise SystemExit("killed")
    return 1 / element


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("test_shared_work.LOADED", [])
    yield tmp_path
    shared_work._load.cache_clear()


@pytest.fixture
def engine(monkeypatch):
    """An engine that does the elements in order, as often as given, and may then fail."""

    def install(times=1, error=None):
        def run(options, function, count):
            assert options == "runner=Test"
            for index in [*range(count)] * times:
                try:
                    function(index)
                except SystemExit:
                    pass
                except (errors.InputError, OSError) as problem:
                    raise RuntimeError("a step failed") from problem
            if error is not None:
                raise error

        monkeypatch.setattr(shared_work, "_run_pipeline", run)

    return install


def run(folder, elements):
    results = {}
    work = shared_work.Work(load, reciprocal, elements)
    lost = shared_work.run_on_beam(work, "runner=Test", folder, results.__setitem__)
    return results, lost


def test_each_element_is_done_once_and_warnings_are_shown_once(folder, engine, caplog):
    caplog.set_level("INFO", "absl")
    engine(times=2)
    assert run(folder, [2, 4, 5]) == ({0: 0.5, 1: 0.25, 2: 0.2}, [])
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["no GPU", "2 is a number", "4 is a number", "5 is a number"]
    assert LOADED == ["networks"]
    assert list(folder.iterdir()) == [], "the shared folder is deleted"


def test_results_are_there_while_the_others_are_done(folder):
    shared_work.write(folder, shared_work.Work(load, reciprocal, [2, 4]))
    left, results = {0, 1}, {}
    shared_work.collect(folder, left, results.__setitem__)
    assert results == {}
    shared_work.do(folder, 1)
    shared_work.collect(folder, left, results.__setitem__)
    shared_work.collect(folder, left, results.__setitem__)
    assert (results, left) == ({1: 0.25}, {0})


def test_an_element_whose_processes_die_is_given_up(folder, engine):
    engine(times=9)
    assert run(folder, [2, 13, 4]) == ({0: 0.5, 2: 0.25}, [1])


@pytest.mark.parametrize(("attempts", "begun"), [(1, 1), (3, 3), (5, 3)])
def test_an_element_is_begun_three_times_at_most(folder, attempts, begun):
    shared_work.write(folder, shared_work.Work(load, reciprocal, [13]))
    ended = 0
    for _ in range(attempts):
        try:
            shared_work.do(folder, 0)
        except SystemExit:
            ended += 1
    assert ended == begun


def test_the_error_of_an_element_ends_the_work_and_is_not_wrapped(folder, engine):
    engine()
    with pytest.raises(errors.InputError, match="^-1: expected a positive number"):
        run(folder, [2, -1, 4])
    with pytest.raises(OSError, match="No space left") as caught:
        run(folder, [2, 1001, 4])
    assert caught.value.errno == errno.ENOSPC
    assert list(folder.iterdir()) == []


def test_a_failed_engine_is_an_error_that_says_what_is_kept(folder, engine):
    engine(error=OSError("Timed out trying to connect to tcp://host:8786"))
    with pytest.raises(errors.InputError, match="`beam_pipeline_options=runner=T") as caught:
        run(folder, [2])
    assert "failed with OSError: Timed out trying" in str(caught.value)
    assert "what is finished is kept" in str(caught.value)


def test_relative_paths_are_those_of_the_caller(folder, monkeypatch):
    here, there = folder / "here", folder / "there"
    for path in (here, there):
        path.mkdir()
    monkeypatch.chdir(there)
    shared_work.write(here, shared_work.Work(load, reciprocal, [2]))
    shared_work._do_in(here, here, 0)
    assert pathlib.Path.cwd() == here and (here / "0.done").exists()


def test_a_machine_without_the_folder_is_named(folder):
    missing = folder / "missing"
    with pytest.raises(errors.InputError, match="missing: not a folder on .*the same paths on all"):
        shared_work._do_in(missing, folder, 0)
    with pytest.raises(errors.InputError, match="missing: not a folder on"):
        shared_work._do_in(folder, missing, 0)
    assert os.listdir(folder) == []

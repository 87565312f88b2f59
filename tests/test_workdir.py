import pytest

from ast_net import errors, files, workdir

FLAGS = "--dataset=demo\n--epochs=3\n--data_dir=here\n"


def test_a_new_folder_is_claimed_and_found_again(tmp_path):
    folder = tmp_path / "a" / "run"
    workdir.claim(folder, FLAGS)
    assert (folder / workdir.RUN_FLAGS).read_text() == FLAGS
    workdir.claim(folder, FLAGS)


def test_places_may_differ(tmp_path):
    workdir.claim(tmp_path, FLAGS)
    workdir.claim(tmp_path, FLAGS.replace("here", "there"))


def test_another_configuration_is_refused_and_nothing_changed(tmp_path):
    workdir.claim(tmp_path, FLAGS)
    with pytest.raises(errors.InputError, match=r"there: --epochs=3\n  now:   --epochs=4"):
        workdir.claim(tmp_path, FLAGS.replace("=3", "=4"))
    assert (tmp_path / workdir.RUN_FLAGS).read_text() == FLAGS


def test_an_older_run_was_computed_in_float32(tmp_path):
    workdir.claim(tmp_path, FLAGS)
    workdir.check(tmp_path, FLAGS + "--precision=float32\n--runtime=tensorflow\n")
    with pytest.raises(
        errors.InputError, match="there: --precision=float32\n  now:   --precision=int8"
    ):
        workdir.check(tmp_path, FLAGS + "--precision=int8\n--runtime=tensorflow\n")


ASKED, FOUND = "--reaction_delay=auto", "--reaction_delay=2.0,2.4"


def test_what_a_run_found_takes_the_place_of_the_question(tmp_path):
    asking = f"--dataset=demo\n{ASKED}\n--seed=0\n"
    settled = workdir.settle(asking, ASKED, FOUND)
    workdir.claim(tmp_path, settled)
    assert workdir.settled(tmp_path, ASKED) == FOUND
    workdir.check(tmp_path, asking.replace(ASKED, FOUND))
    workdir.check(tmp_path, settled)
    with pytest.raises(errors.InputError, match=f"there: {FOUND}\n  now:   {ASKED}"):
        workdir.check(tmp_path, asking)


def test_what_was_given_was_not_found(tmp_path):
    assert workdir.settled(tmp_path, ASKED) is None
    workdir.claim(tmp_path, f"--dataset=demo\n{FOUND}\n")
    assert workdir.settled(tmp_path, ASKED) is None


def test_checking_leaves_nothing(tmp_path):
    workdir.check(tmp_path / "run", FLAGS)
    assert not (tmp_path / "run").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(errors.InputError, match="or is a file"):
        workdir.claim(tmp_path / "run", FLAGS)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(errors.InputError, match=r"no run\.flags"):
        workdir.claim(tmp_path, FLAGS)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with files.whole(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]

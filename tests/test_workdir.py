"""The folder of a run: how it is claimed, checked and opened again."""

import dataclasses

import pytest

from ast_net import cli, config, errors, fields, files, workdir

RUN = config.Experiment(dataset="demo", training=config.Training(epochs=3))


def test_a_new_folder_is_claimed_and_read_again(tmp_path):
    folder = tmp_path / "a" / "run"
    assert workdir.find(folder, config.Experiment) is None
    workdir.claim(folder, RUN)
    assert workdir.find(folder, config.Experiment) == RUN
    workdir.claim(folder, RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"data_dir": "elsewhere"},
        {"manual_dir": "elsewhere"},
        {"workdir": "elsewhere"},
        {"backbone_weights": "elsewhere.h5"},
        {"jit_compile": "true"},
        {"epochs": 2},
        {"patience": 99},
    ],
)
def test_settings_that_are_not_part_of_a_run_may_differ(change, tmp_path):
    workdir.claim(tmp_path, RUN)
    workdir.claim(tmp_path, fields.changed(RUN, change))


def test_a_different_configuration_is_refused_and_changes_nothing(tmp_path):
    workdir.claim(tmp_path, RUN)
    before = (tmp_path / workdir.RUN_FLAGS).read_text()
    changes = {"seed": 5, "targets": ("valence",), "global_weight": 0.0, "clip_frames": 20}
    with pytest.raises(errors.InputError, match="created with a different configuration") as raised:
        workdir.claim(tmp_path, fields.changed(RUN, changes))
    assert str(raised.value).splitlines()[1:-1] == [
        "  `targets`: was valence,arousal, is now valence",
        "  `clip_frames`: was 50, is now 20",
        "  `seed`: was 0, is now 5",
        "  `global_weight`: was 10.0, is now 0.0",
    ]
    assert (tmp_path / workdir.RUN_FLAGS).read_text() == before


def test_all_other_settings_of_an_experiment_are_compared(tmp_path):
    values = fields.values(RUN)
    ignored = {
        name
        for leaf in fields.settings_of(RUN)
        for name in [leaf.name]
        if not leaf.field.metadata["identity"]
    }
    assert ignored == {
        "data_dir",
        "manual_dir",
        "workdir",
        "backbone_weights",
        "jit_compile",
        "epochs",
        "patience",
        "reaction_delay_origin",
    }
    assert ignored < set(values)


@pytest.mark.parametrize(
    ("line", "expected"), [("--mixed_precision", "bfloat16"), ("--nomixed_precision", "false")]
)
def test_run_flags_of_the_first_versions_are_read(line, expected, tmp_path):
    workdir.claim(tmp_path, RUN)
    path = tmp_path / workdir.RUN_FLAGS
    path.write_text(path.read_text().replace("--mixed_precision=auto", line))
    assert workdir.find(tmp_path, config.Experiment).training.mixed_precision == expected


def test_more_epochs_and_patience_grow_and_never_shrink(tmp_path):
    workdir.claim(tmp_path, RUN)
    for epochs, patience in ((60, 5), (20, 30)):
        workdir.claim(tmp_path, fields.changed(RUN, {"epochs": epochs, "patience": patience}))
    run = workdir.find(tmp_path, config.Experiment)
    assert (run.training.epochs, run.training.patience) == (60, 30)


def test_epochs_that_the_schedule_depends_on_may_not_grow(tmp_path):
    run = config.Finetuning(dataset="fer2013", epochs=10)
    workdir.claim(tmp_path, run)
    with pytest.raises(errors.InputError, match="`epochs`: was 10, is now 12\n.*schedule depends"):
        workdir.claim(tmp_path, dataclasses.replace(run, epochs=12))
    cosine = fields.changed(RUN, {"learning_rate_schedule": "cosine"})
    workdir.claim(tmp_path / "cosine", cosine)
    with pytest.raises(errors.InputError, match="`epochs`: was 3, is now 9\n.*schedule depends"):
        workdir.claim(tmp_path / "cosine", fields.changed(cosine, {"epochs": 9}))
    workdir.claim(tmp_path / "cosine", fields.changed(cosine, {"patience": 99}))


@pytest.mark.parametrize(
    "line",
    [
        "--flagfile=/etc/passwd",
        "--verbosity=1",
        "--seed=1",
        "--epochs=many",
        "--epochs=0",
        "seed=3",
        "--output_dir=/tmp",
        "# a comment",
    ],
)
def test_run_flags_with_anything_but_the_run_is_refused(line, tmp_path):
    workdir.claim(tmp_path, RUN)
    path = tmp_path / workdir.RUN_FLAGS
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(errors.InputError, match=r"run\.flags"):
        workdir.find(tmp_path, config.Experiment)


def reopen(folder, *flags):
    arguments = cli.parse("evaluate", [f"--workdir={folder}", *flags])
    return workdir.reopen(arguments, config.Experiment)


def test_a_reopened_run_does_not_open_the_paths_in_run_flags(tmp_path):
    named = {"manual_dir": "/secret", "backbone_weights": "/secret.h5", "data_dir": "/elsewhere"}
    workdir.claim(tmp_path, fields.changed(RUN, named | {"train_recordings": ("P1",)}))
    run = reopen(tmp_path)
    assert (run.manual_dir, run.backbone_weights, run.data_dir) == (None, None, "data")
    assert run.train_recordings == ("P1",) and run.workdir == str(tmp_path)
    run = reopen(tmp_path, "--data_dir=here", "--manual_dir=mine")
    assert (run.data_dir, run.manual_dir) == ("here", "mine")
    finetuning = config.Finetuning(dataset="fer2013", data_dir="/elsewhere")
    workdir.claim(tmp_path / "cnn", finetuning)
    arguments = cli.parse("finetune", [f"--workdir={tmp_path / 'cnn'}"])
    assert workdir.reopen(arguments, config.Finetuning).data_dir == "data"


def test_another_data_set_drops_the_settings_of_the_run_s_data_set(tmp_path):
    changes = {"train_recordings": ("P1",), "max_rating_gap": 3.0, "reaction_delay": (2.0,)}
    workdir.claim(tmp_path, fields.changed(RUN, changes | {"data_dir": "/elsewhere"}))
    run = reopen(tmp_path, "--dataset=recordings", "--manual_dir=mine")
    assert (run.dataset, run.manual_dir, run.data_dir) == ("recordings", "mine", "data")
    assert (run.train_recordings, run.max_rating_gap, run.reaction_delay.seconds) == ((), 1.0, None)
    same = reopen(tmp_path, "--dataset=demo")
    assert same.train_recordings == ("P1",)


def test_a_missing_run_is_reported(tmp_path):
    with pytest.raises(errors.InputError, match=r"run\.flags: no such file"):
        reopen(tmp_path)
    with pytest.raises(errors.InputError, match="no run: give `workdir=FOLDER`"):
        workdir.reopen(cli.parse("evaluate", []), config.Experiment)
    with pytest.raises(errors.InputError, match="nothing to evaluate: give `workdir=FOLDER`"):
        workdir.evaluated(cli.parse("evaluate", []))


def test_checking_creates_nothing(tmp_path):
    workdir.check(tmp_path / "run", RUN)
    assert not (tmp_path / "run").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(errors.InputError, match="is a file"):
        workdir.claim(tmp_path / "run", RUN)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(errors.InputError, match=r"files but no run\.flags"):
        workdir.claim(tmp_path, RUN)


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

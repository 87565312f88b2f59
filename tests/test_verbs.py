"""The verbs as a user calls them."""

import csv
import json
import pathlib
import re
import resource
import shutil

import layouts
import numpy as np
import pytest
from calls import call, eagerly, python

import ast_net
from ast_net import cli, config, errors, shipped, workdir
from ast_net.cnn import backbone, runtime
from ast_net.records import store
from ast_net.reports import evaluation_figures
from ast_net.training import runs

TINY = [
    "--train_recordings=P1",
    "--dev_recordings=P2",
    "--clip_frames=5",
    "--clip_stride=2",
    "--clip_hop=2",
    "--batch_size=32",
    "--epochs=3",
    "--warmup_epochs=1",
    "--lstm_units=6,5",
]

# What a process leaves that is killed between finishing a file and removing its folder.
KILLED = ".partial-0123abcd"


# What a preparation, a training and an evaluation show, line by line: progress and files on
# standard error, results on standard output.
SAID = [
    r"running on \d+ (CPU core|GPU)s? \(.+\), TensorFlow [\d.]+",
    r"training in float32",
    r".*source: RECOLA's own release, ratings in RECOLA-Annotation/emotional_behaviour",
    r"warning: P\d, (valence|arousal): the raters do not agree .*",  # for four seconds
    r"preparing recola: 2 recordings",
    r"[\w ]+: [1-9]0 %, .* left",  # on a busy machine
    r"wrote data/recola/compact-[\w.-]+/[\d.]+",
    r"wrote whole/best.weights.h5, last.weights.h5, model.json, run.flags, history.csv",
    r"wrote whole/evaluation/recola_dev/metrics.json, recordings.csv, predictions.csv, figures/, "
    r"avec/",
]
PRINTED = [
    r"epoch 1/3  loss [\d.]+  dev CC valence -?[\d.]+  dev CC arousal -?[\d.]+  at most \d+ min "
    r"left  warm-up",
    r"epoch [23]/3  loss [\d.]+  dev CC valence -?[\d.]+  dev CC arousal -?[\d.]+"
    r"(  at most \d+ min left)?(  best so far)?",
    r"",
    r"recola, dev: 1 recording",
    r" *protocol +target +metric .*",
    r" *(rated|seen) +(valence|arousal|average) +(cc|ccc|rmse)( +(-?[\d.]+|n/a))+",
    r" *protocol +target +frames .*",
    r" *(rated|seen) +(valence|arousal)( +(-?[\d.]+|n/a))+",
    r"epoch [23] was chosen by its CC on dev, so these scores are optimistic: .*",
]


def epochs_in(printed: str) -> list[str]:
    """The epochs that were trained, by their lines."""
    return re.findall(r"^epoch (\d+/\d+) ", printed, re.MULTILINE)


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr(evaluation_figures, "write", lambda *_: None)


@pytest.fixture
def in_short(without_figures):
    """Without figures, and without graphs, which pay after a few steps."""
    with eagerly():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder in which the commands are called; its data folder is `data`."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def places(recola_folder, root):
    # One file serves all verbs; each takes the flags that it uses.
    (root / "tiny.flags").write_text("\n".join(TINY))
    flags = ["--dataset=recola", f"--data_dir={root / 'data'}", f"--manual_dir={recola_folder}"]
    return [*flags, f"--flagfile={root / 'tiny.flags'}"]


@pytest.fixture(scope="module")
def trained(places, root):
    """A run's folder and what `train` showed, in a process of its own, where libraries speak."""
    done = python("-m", "ast_net.train", *places, "--workdir=whole", cwd=root)
    assert done.returncode == 0, done.stderr
    return root / "whole", done.stdout, done.stderr


def test_every_line_that_training_shows(trained):
    _, printed, said = trained
    for text, patterns in ((said, SAID), (printed, PRINTED)):
        for line in text.splitlines():
            assert any(re.fullmatch(pattern, line) for pattern in patterns), line
    assert "running on" in said and "wrote whole/best" in said
    assert "epoch 3/3" in printed and "concatenated" in printed


def test_train_goes_the_whole_way(trained):
    workdir, printed, _ = trained
    lines = printed.splitlines()
    assert epochs_in(printed) == ["1/3", "2/3", "3/3"]
    assert "dev CC valence" in lines[0]
    files = {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    assert {
        "run.flags",
        "best.weights.h5",
        "last.weights.h5",
        "model.json",
        "history.csv",
        "checkpoints/checkpoint",
        *(
            f"evaluation/recola_dev/{name}"
            for name in (
                "metrics.json",
                "recordings.csv",
                "predictions.csv",
                "figures/P2.png",
                "figures/cc_distribution.png",
            )
        ),
    } <= files
    metrics = json.loads((workdir / "evaluation/recola_dev/metrics.json").read_text())
    rated = metrics["protocols"]["rated"]
    assert set(rated) == {"valence", "arousal", "average"}
    assert set(metrics["recordings"]) == {"P2"}
    assert (metrics["selected_by"], metrics["chose_epoch"]) == ("cc", True)
    with (workdir / "history.csv").open() as file:
        scores = [
            float(row["dev_cc_valence"]) / 2 + float(row["dev_cc_arousal"]) / 2
            for row in csv.DictReader(file)
        ]
    # The first epoch has not the whole loss.
    assert metrics["epoch"] == 2 + int(np.argmax(scores[1:]))
    found = rated["average"]["cc"]["mean"]
    assert found == pytest.approx(max(scores[1:]), abs=1e-5), "the best model is the one evaluated"


def test_run_flags_reproduce_the_run_and_evaluate_finds_them(places, trained, tmp_path):
    workdir, data_dir = trained[0], places[1]
    before = (workdir / "evaluation/recola_dev/metrics.json").read_text()
    (workdir / "evaluation/recola_dev/metrics.json").unlink()
    done = call("evaluate", f"--workdir={workdir}", data_dir)
    assert done.ended == 0
    assert (workdir / "evaluation/recola_dev/metrics.json").read_text() == before
    assert "concatenated" in done.printed
    last = ["--split=train", "--model=last"]
    assert call("evaluate", f"--workdir={workdir}", data_dir, *last).ended == 0
    assert (workdir / "evaluation/recola_train/figures/P1.png").exists()
    (workdir / KILLED).mkdir()
    done = call("train", f"--flagfile={workdir}/run.flags", f"--workdir={workdir}")
    assert done.ended == 0
    assert not (workdir / KILLED).exists()
    assert not epochs_in(done.printed), "a finished run is not trained again"


@pytest.mark.parametrize(
    ("verb", "flags", "expected"),
    [
        ("train", [], "no data set: give --dataset="),
        ("train", ["--dataset=recola", "--data_dir={new}", "--workdir={new}/w"], "--manual_dir"),
        ("train", ["--dataset=imagenet"], "--dataset must be one of demo, "),
        ("train", ["--dataset=demo", "--epochs=many"], "--epochs=many"),
        ("train", ["--dataset=demo", "--epochs=0"], "--epochs must be at least 1, found 0"),
        ("train", ["--dataset=demo", "--targets=joy"], "--targets must be some of valence, "),
        ("train", ["--dataset=demo", "--targets=arousal,valence"], "in the order valence,arousal"),
        ("train", ["--dataset=demo", "--targets=valence,power"], "demo has no ratings of power"),
        ("train", ["--dataset=demo", "--video_pattern=*"], "demo has fixed file names"),
        (
            "prepare",
            [
                "--dataset=avec2012",
                "--data_dir={new}",
                "--targets=valence,arousal,expectancy,power",
            ],
            "labels_continuous_train001_valence.dat",
        ),
        ("train", ["--dataset=demo", "--seed=4294967296"], "--seed must be at least 0"),
        ("train", ["--dataset=demo", "--clip_frames=4"], "lower --local_intervals"),
        (
            "train",
            ["--dataset=demo", "--reaction_delay=soon"],
            "found 'soon', expected seconds or auto",
        ),
        (
            "train",
            ["--dataset=demo", "--reaction_delay=auto,2"],
            "found 'auto,2', expected seconds or auto",
        ),
        ("train", ["--dataset=demo", "--reaction_delay=1,2,3"], "one for each of valence, arousal"),
        ("train", ["--dataset=demo", "--reaction_delay=nan"], "at least 0 and at most 10 seconds"),
        (
            "train",
            ["--dataset=demo", "--max_rating_gap=0"],
            "--max_rating_gap must be more than 0 seconds, found 0",
        ),
        ("train", ["--dataset=demo", "P1", "P2"], "unexpected arguments: P1 P2"),
        ("evaluate", ["--workdir={new}"], "run.flags: no such file"),
        ("prepare", ["--dataset=demo", "--data_dir=/proc/nowhere"], "error: /proc/nowhere"),
    ],
)
def test_what_a_user_can_mend_is_said_without_a_traceback(
    verb, flags, expected, tmp_path, monkeypatch
):
    # Not where there may be runs and data of before.
    monkeypatch.chdir(tmp_path)
    done = call(verb, *(flag.format(new=tmp_path / "new") for flag in flags))
    assert expected in str(done.ended)
    assert "Traceback" not in str(done.ended)


@pytest.mark.usefixtures("in_short")
def test_a_full_disk_is_said_and_what_was_finished_is_kept(places, tmp_path):
    assert call("prepare", *places).ended == 0
    flags = [*places, f"--workdir={tmp_path / 'run'}"]
    # A limit of a file's size stands for that of a disk: the model fits, the checkpoint does not.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    try:
        ended = str(call("train", *flags).ended)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.startswith("error: ")
    assert "Traceback" not in ended
    assert (tmp_path / "run/best.weights.h5").exists()


@pytest.mark.usefixtures("in_short")
def test_damaged_records_are_named(places, tmp_path):
    assert call("prepare", *places).ended == 0
    data_dir = next(flag for flag in places if flag.startswith("--data_dir")).partition("=")[2]
    (pathlib.Path(data_dir) / "tracks" / KILLED).mkdir()
    assert call("prepare", *places).ended == 0
    assert not list(pathlib.Path(data_dir).rglob(KILLED))
    shutil.copytree(data_dir, tmp_path / "data")
    flags = [*places, f"--data_dir={tmp_path / 'data'}", f"--workdir={tmp_path / 'run'}"]
    path = next((tmp_path / "data").rglob("*-train.tfrecord*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    ended = str(call("train", *flags).ended)
    assert f"error: {path.parent}: records are damaged" in ended
    assert f"delete {path.parent} and " in ended


def test_damage_to_what_a_run_left_is_named(places, trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "run")
    (folder / "best.weights.h5").write_bytes(b"PK")
    ended = str(call("evaluate", f"--workdir={folder}", places[1]).ended)
    assert "best.weights.h5: cannot be read as the weights of" in ended
    (folder / "run.flags").write_text("--epochs=x\n")
    assert "run.flags, line 1: " in str(call("evaluate", f"--workdir={folder}").ended)


@pytest.mark.usefixtures("in_short")
def test_a_run_that_failed_for_a_file_may_be_called_again(places, tmp_path):
    flags = [*places, f"--workdir={tmp_path / 'run'}", "--epochs=1", "--mixed_precision"]
    assert "P9.csv" in str(call("train", *flags, "--dev_recordings=P9").ended)
    assert call("train", *flags, "--seed=1").ended == 0
    assert (tmp_path / "run/evaluation/recola_dev/metrics.json").is_file()


def test_a_run_states_the_precision_it_found(monkeypatch):
    monkeypatch.setattr(runtime, "has_bfloat16", lambda: True)
    for given, precision in (
        (["--dataset=recola", "--backbone=vgg16"], "bfloat16"),
        (["--dataset=recola", "--backbone=compact"], "float32"),
        (["--dataset=recola", "--backbone=vgg16", "--precision=float32"], "float32"),
        (["--dataset=recola", "--backbone=compact", "--runtime=openvino"], "int8"),
        (["--dataset=ferplus_trajectories", "--backbone=vgg16"], "float32"),
    ):
        run = runs.completed(cli.parse("train", given).read(config.Experiment))
        assert run.runtime.precision == precision
        assert f"\n--precision={precision}\n" in cli.serialise(run)


@pytest.mark.usefixtures("in_short")
def test_a_run_goes_on_and_is_evaluated_by_its_workdir(places, trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / "run")
    data_dir = next(flag for flag in places if flag.startswith("--data_dir"))
    done = call("train", f"--workdir={folder}", data_dir)
    assert done.ended == 0 and not epochs_in(done.printed)
    done = call("train", f"--workdir={folder}", data_dir, "--epochs=4")
    assert done.ended == 0
    assert epochs_in(done.printed) == ["4/4"]
    assert workdir.find(folder, config.Experiment).training.epochs == 4
    # Fewer epochs than were done change nothing.
    done = call("train", f"--workdir={folder}", "--epochs=2", data_dir)
    assert done.ended == 0 and not epochs_in(done.printed)
    # The folder in run.flags is neither read nor written.
    monkeypatch.chdir(tmp_path)
    ended = str(call("evaluate", f"--workdir={folder}").ended)
    assert f"data: no records of this run, which used {data_dir}: give --data_dir" in ended
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("in_short")
def test_python_evaluates_and_trains_as_the_commands_do(places, trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / "run")
    document = json.loads((folder / "evaluation/recola_dev/metrics.json").read_text())
    data_dir = next(flag for flag in places if flag.startswith("--data_dir")).partition("=")[2]
    assert ast_net.evaluate_run(folder, data_dir=data_dir, split="dev") == document
    monkeypatch.setattr(runs, "train_and_evaluate", lambda run: run)
    run = ast_net.train_run(workdir=folder, data_dir=data_dir, epochs=4)
    assert (run.dataset, run.clip.frames, run.training.epochs) == ("recola", 5, 4)
    assert ast_net.train_run(dataset="demo", epochs=4).clip == config.Clip()
    with pytest.raises(errors.InputError, match="`split` is not a setting; did you mean"):
        ast_net.train_run(split="test")


def test_evaluate_on_another_data_set_leaves_the_run_s_own_alone(trained, tmp_path, face_video):
    folder = shutil.copytree(trained[0], tmp_path / "run")
    before = {p: p.read_bytes() for p in (folder / "evaluation").rglob("*") if p.is_file()}
    layouts.recordings(tmp_path / "mine", face_video)
    flags = ["--dataset=recordings", f"--manual_dir={tmp_path / 'mine'}"]
    done = call("evaluate", f"--workdir={folder}", *flags, f"--data_dir={tmp_path / 'data'}")
    assert done.ended == 0 and "recordings, dev: 1 recording" in done.printed
    assert (folder / "evaluation/recordings_dev/figures/ben.png").exists()
    assert {p: p.read_bytes() for p in before} == before


def test_features_for_a_run_are_those_of_its_own_cnn(places, trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / "run")
    own = tmp_path / "backbone.weights.h5"
    shutil.copy(shipped.COMPACT, own)
    spec = json.loads((folder / "model.json").read_text())
    digest = backbone.weights_id("compact", str(own))
    spec |= {"backbone_weights": str(own), "backbone_digest": digest}
    (folder / "model.json").write_text(json.dumps(spec))
    prepared = []
    monkeypatch.setattr(store, "prepare", lambda run, **_: prepared.append(run.backbone_weights))
    monkeypatch.setattr(runs, "_evaluate", lambda *_: None)
    assert call("evaluate", *places, f"--workdir={folder}").ended == 0
    assert prepared == [str(own)]
    (folder / "model.json").write_text(json.dumps(spec | {"backbone_digest": "00000000"}))
    for flags in (places, [places[1], f"--backbone_weights={own}"]):
        ended = str(call("evaluate", *flags, f"--workdir={folder}").ended)
        assert f"{own}: the temporal model was trained with other weights" in ended


@pytest.mark.usefixtures("in_short")
def test_evaluate_without_a_run_is_of_the_included_model(tmp_path, face_video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layouts.recordings(tmp_path / "mine", face_video)
    assert call("evaluate", "--dataset=recordings", "--manual_dir=mine").ended == 0
    folder = tmp_path / "runs/included/evaluation/recordings_dev"
    document = json.loads((folder / "metrics.json").read_text())
    assert (document["epoch"], document["selected_by"]) == (0, "none")
    with (folder / "predictions.csv").open() as file:
        evaluated = [float(row["valence_prediction"]) for row in csv.DictReader(file)]
    settings = {"precision": "float32", "hold_seconds": 0}
    table = ast_net.predict_video("mine/videos/ben.mp4", **settings)
    assert table["valid"].all() and np.ptp(evaluated) > 0
    # The records' features are float16.
    np.testing.assert_allclose(evaluated, table["valence"], atol=2e-3)
    metrics = ast_net.evaluate_run(dataset="recordings", manual_dir="mine")
    assert metrics == document
    # A list of test recordings alone is enough to evaluate, and not to train.
    listed = (tmp_path / "mine/recordings.csv").read_text().splitlines()
    only = [listed[0], listed[2].replace(",dev,", ",test,")]
    (tmp_path / "mine/recordings.csv").write_text("\n".join(only))
    flags = ["--dataset=recordings", "--manual_dir=mine"]
    ended = str(call("evaluate", *flags).ended)
    assert "give --dev_recordings, or evaluate another --split (found 1 in test)" in ended
    assert call("evaluate", *flags, "--split=test").ended == 0
    scores = json.loads(
        (tmp_path / "runs/included/evaluation/recordings_test/metrics.json").read_text()
    )
    assert scores["recordings"] == document["recordings"]
    assert "give --train_recordings" in str(call("train", *flags).ended)
    assert "give --workdir=FOLDER" in str(call("evaluate").ended)
    ended = str(call("evaluate", "--dataset=recordings", "--model=last").ended)
    assert "--model=last is for a run: give its --workdir" in ended


@pytest.mark.usefixtures("in_short")
def test_an_evaluation_replaces_an_earlier_one_and_nothing_else(tmp_path, face_video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layouts.recordings(tmp_path / "mine", face_video)
    flags = ["--dataset=recordings", "--manual_dir=mine"]
    places = tmp_path / "runs/included/evaluation/recordings_dev", tmp_path / "group"
    assert call("evaluate", *flags).ended == 0
    (places[0] / "figures").mkdir()
    (places[0] / "figures/earlier.png").touch()
    listed = (tmp_path / "mine/recordings.csv").read_text()
    (tmp_path / "mine/recordings.csv").write_text(listed.replace("\nben,", "\ncarla,"))
    assert call("evaluate", *flags, "--output_dir=group").ended == 0
    assert (places[0] / "figures/earlier.png").exists()
    assert call("evaluate", *flags).ended == 0
    found = [sorted(p.relative_to(place).as_posix() for p in place.rglob("*")) for place in places]
    assert found[0] == found[1] and "avec/valence/carla.csv" in found[0]
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").touch()
    ended = str(call("evaluate", *flags, "--output_dir=full").ended)
    assert "full: is a file, or a folder with files but no evaluation" in ended
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_another_configuration_is_refused(places, trained):
    done = call("train", *places, "--seed=5", f"--workdir={trained[0]}")
    assert "--seed: was 0, is now 5" in str(done.ended)


PLANTED = [
    "--dataset=recola",
    "--train_recordings=P1,P2,P3,P4",
    "--dev_recordings=P5",
    *TINY[2:],
    "--epochs=1",
    "--reaction_delay=auto",
]


@pytest.mark.usefixtures("in_short")
def test_a_run_finds_its_reaction_delay_once_and_keeps_it(planted_recola, tmp_path):
    folder = planted_recola("source", {"P1": 2.0, "P2": 2.0, "P3": 2.0, "P4": 2.0, "P5": 0.0})
    workdir = tmp_path / "run"
    places = [f"--data_dir={tmp_path / 'data'}", f"--manual_dir={folder}", f"--workdir={workdir}"]
    first = call("train", *PLANTED, *places)
    assert first.ended == 0
    assert "reaction delay: valence 2.0 s, arousal 2.0 s" in first.printed
    run_flags = (workdir / "run.flags").read_text()
    assert "\n--reaction_delay=2.0,2.0\n--reaction_delay_origin=found\n" in run_flags
    assert (workdir / "reaction_delay.png").exists()
    with (workdir / "reaction_delay.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 31
    # All 160 ratings count in the challenges' way; 140 frames have a rating 2.0 s later.
    with (workdir / "evaluation/recola_dev/recordings.csv").open() as file:
        frames = {(row["protocol"], row["frames"]) for row in csv.DictReader(file)}
    assert frames == {("rated", "160"), ("seen", "140")}
    again = call("train", *PLANTED, *places)
    assert again.ended == 0
    assert "reaction delay" not in again.printed and not epochs_in(again.printed)
    assert (workdir / "run.flags").read_text() == run_flags
    assert call("train", *PLANTED, *places, "--reaction_delay=2").ended != 0
    refused = call("train", *PLANTED, *places, "--seed=1")
    assert str(refused.ended).splitlines()[1:-1] == ["  --seed: was 0, is now 1"]
    metrics = (workdir / "evaluation/recola_dev/metrics.json").read_text()
    assert call("evaluate", f"--workdir={workdir}", places[0]).ended == 0
    assert (workdir / "evaluation/recola_dev/metrics.json").read_text() == metrics
    refused = call("evaluate", f"--workdir={workdir}", "--reaction_delay=auto")
    assert "--reaction_delay=auto is for train" in str(refused.ended)


def test_describe_tells_what_is_in_a_data_set(places, trained, tmp_path):
    done = call("describe", *places, f"--output_dir={tmp_path}", "--faces=3")
    assert done.ended == 0
    assert "recola, prepared in" in done.printed
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "recordings.csv",
        "splits.csv",
        "agreement.csv",
        "pairs.csv",
        "agreement.png",
        "description.json",
        "faces/P1.png",
        "faces/P2.png",
    }
    found = json.loads((tmp_path / "description.json").read_text())
    assert [row["split"] for row in found["splits"]] == ["train", "dev"]
    assert [row["frames"] for row in found["recordings"]] == [100, 100]
    assert len(found["agreement"]) == 4
    alpha = next(row["alpha"] for row in found["agreement"] if row["target"] == "valence")
    assert f"{alpha:.4f}" in done.printed


def test_describe_without_the_source_says_what_it_leaves_out(places, trained, tmp_path):
    without = [flag for flag in places if not flag.startswith("--manual_dir")]
    done = call("describe", *without, f"--output_dir={tmp_path}")
    assert done.ended == 0
    assert "no pages of faces, for which the videos and ratings are needed" in done.said
    assert "give their folder as --manual_dir" in done.said
    assert {path.name for path in tmp_path.iterdir()} == {
        "recordings.csv",
        "splits.csv",
        "description.json",
    }


def test_predict_with_what_is_installed(face_video, tmp_path):
    flags = [f"--video={face_video}", f"--output_dir={tmp_path}", "--outputs=csv"]
    done = call("predict", *flags)
    assert done.ended == 0
    assert (tmp_path / "face/predictions.csv").is_file()
    (tmp_path / "face" / KILLED).mkdir()
    done = call("predict", *flags, f"--video={tmp_path}/nowhere.mp4")
    assert not (tmp_path / "face" / KILLED).exists()
    assert "1 of 2 inputs failed" in done.ended
    assert "nowhere.mp4: expected a video, but there is no such file" in done.ended
    assert "1 of 2 inputs had been predicted with these settings; --overwrite" in done.said


def test_predict_says_once_what_it_skips(tmp_path):
    for name in ("a.mp4", "notes.txt"):
        (tmp_path / name).write_text("neither a video")
    done = call("predict", f"--video={tmp_path}", f"--output_dir={tmp_path}/out", "--outputs=csv")
    assert done.said.count("skipped files that are not videos: notes.txt") == 1


def test_predict_with_a_run_of_one_s_own(face_video, trained, tmp_path):
    workdir = trained[0]
    places = [f"--video={face_video}", f"--output_dir={tmp_path}", "--outputs=csv"]
    done = call("predict", *places, f"--workdir={workdir}", "--max_faces=all", "--inference=clip")
    assert done.ended == 0
    origin = json.loads((workdir / "model.json").read_text())
    assert origin["targets"] == ["valence", "arousal"]
    assert (origin["time_step"], origin["frame_rate"]) == (2 / 25, 25.0)
    (tmp_path / "other").mkdir()
    for name in ("best.weights.h5", "model.json"):
        shutil.copy(workdir / name, tmp_path / "other" / name)
    origin["backbone_digest"] = "00000000"
    (tmp_path / "other/model.json").write_text(json.dumps(origin))
    ended = call("predict", *places, f"--workdir={tmp_path / 'other'}").ended
    assert "trained with other weights" in ended


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "video=FILE"),
        (["--video=a.mp4", "--camera=0"], "exclude each other: give one of them"),
        (["--video=a.mp4", "--outputs=csv,gif"], "--outputs must be some of csv, "),
        (
            ["--video=a.mp4", "--max_faces=none"],
            "found 'none', expected a whole number or all",
        ),
        (["--video=a.mp4", "--max_faces=0"], "--max_faces must be at least 1"),
        (
            ["--video=a.mp4", "--hold_seconds=9"],
            "--hold_seconds must be at most --identity_seconds",
        ),
    ],
)
def test_predict_says_what_is_wrong(flags, expected, tmp_path):
    assert expected in call("predict", *flags, f"--output_dir={tmp_path}").ended


def test_predict_needs_a_trained_model(face_video, tmp_path):
    flags = [f"--video={face_video}", f"--workdir={tmp_path / 'run'}", f"--output_dir={tmp_path}"]
    assert "no such model; train first" in call("predict", *flags).ended

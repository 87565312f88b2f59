"""Predicting by several workers, here threads: the results, the summary, workers that die."""

import csv
import errno
import threading

import numpy as np
import pytest
from absl import logging

from ast_net import config, errors, jobs, shared_work
from ast_net.faces import video_writer
from ast_net.prediction import file_prediction, inputs, prediction_model, session, workers


@pytest.fixture
def in_threads(monkeypatch, shipped_model):
    """Runs workers as threads; gives how many ran at a time, in each round."""
    rounds = []
    monkeypatch.setattr(prediction_model, "load", lambda *_: shipped_model)

    def run_copies(folder, command, copies, watch, places):
        assert places == [{}], "without GPUs"
        assert command.arguments == ("-m", "ast_net.prediction.workers", str(folder))
        reasons = []

        def work():
            try:
                workers._work(folder)
            except (errors.InputError, OSError) as error:
                reasons.append(f"error: {error}")
            except SystemExit as error:
                reasons.append(f"killed by {error}")

        threads = [threading.Thread(target=work) for _ in range(copies)]
        rounds.append(copies)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        watch()
        return reasons

    monkeypatch.setattr(jobs, "run_copies", run_copies)
    return rounds


@pytest.fixture
def films(tmp_path, face_video):
    """A film with a face, three without, and a file that is none; by the names of their folders."""
    for number in range(1, 4):
        images = [np.full((64, 64, 3), 90, np.uint8)] * number
        video_writer.write_video(tmp_path / f"grey{number}.mp4", images, 25)
    (tmp_path / "bad.mp4").write_text("no film")
    names = ("grey1", "bad", "grey2", "grey3")
    return inputs.find([str(face_video), *(str(tmp_path / f"{name}.mp4") for name in names)])


def predict(films, folder, count, **options):
    outputs = config.Outputs(output_dir=str(folder), **({"outputs": ("csv",)} | options))
    source = config.Inputs(workers=count)
    return session.predict(source, films, outputs, config.Prediction(), config.Networks())


def summary(folder):
    with (folder / "summary.csv").open() as file:
        return [row | {"processing_seconds": ""} for row in csv.DictReader(file)]


def test_results_and_summary_are_those_of_one_process(in_threads, films, tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    predict(films, tmp_path / "one", 1)
    predict(films, tmp_path / "two", 2)
    assert in_threads == [2]
    assert summary(tmp_path / "two") == summary(tmp_path / "one")
    assert [row["name"] for row in summary(tmp_path / "two")] == list(films)
    for name in set(films) - {"bad"}:
        table = f"{name}/predictions.csv"
        assert (tmp_path / "two" / table).read_text() == (tmp_path / "one" / table).read_text()
    for line in ("grey3: no face found in 3 frames", "bad: failed: "):
        assert caplog.text.count(line) == 2
    caplog.clear()
    predict(films, tmp_path / "two", 9)
    assert in_threads == [2, 5]
    assert "4 of 5 inputs had been predicted with these settings" in caplog.text
    assert summary(tmp_path / "two") == summary(tmp_path / "one")


def test_an_input_whose_worker_is_killed_does_not_stop_the_others(
    in_threads, films, tmp_path, monkeypatch
):
    real = file_prediction.predict

    def predict_some(stages, name, *arguments):
        if name in ("face", "grey1", "grey2"):
            raise SystemExit("SIGSEGV")
        return real(stages, name, *arguments)

    monkeypatch.setattr(file_prediction, "predict", predict_some)
    found = predict(films, tmp_path / "out", 2)
    assert in_threads in ([2, 2], [2, 1], [2, 2, 1]), "others go on, if need be in a next round"
    ended = {s.name for s in found if "ended early: killed by SIGSEGV" in s.error}
    assert ended == {"face", "grey1", "grey2"}
    assert [row["name"] for row in summary(tmp_path / "out")] == list(films)
    assert (tmp_path / "out/grey3/predictions.csv").exists()


def test_a_full_disk_ends_all(in_threads, films, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_prediction, "predict", full)
    with pytest.raises(OSError, match="No space left"):
        predict(films, tmp_path / "out", 2)
    assert not (tmp_path / "out/summary.csv").exists()


def test_networks_that_cannot_be_loaded_are_named(in_threads, films, tmp_path, monkeypatch):
    def load(*_):
        raise errors.InputError("run/model.json: no such model; give `workdir`")

    monkeypatch.setattr(prediction_model, "load", load)
    with pytest.raises(errors.InputError, match="^run/model.json: no such model; give `workdir`"):
        predict(films, tmp_path / "out", 2)


def test_outputs_must_be_files(in_threads, films, tmp_path):
    with pytest.raises(errors.InputError, match="several workers need outputs that are files"):
        predict(films, tmp_path / "out", 2, outputs=("csv", "jsonl"))


def test_a_task_needs_no_more_workers_than_inputs(in_threads, films, tmp_path):
    predict({"grey1": films["grey1"]}, tmp_path / "out", 4)
    assert in_threads == [], "one input is predicted by this process"


def test_warnings_of_workers_are_shown(in_threads, films, tmp_path, monkeypatch, caplog):
    real = file_prediction.predict

    def predict_damaged(*arguments):
        logging.warning("3 packets are damaged")
        return real(*arguments)

    monkeypatch.setattr(file_prediction, "predict", predict_damaged)
    predict({name: films[name] for name in ("grey1", "grey2")}, tmp_path / "out", 2)
    assert caplog.text.count("3 packets are damaged") == 2


@pytest.mark.parametrize("source", [config.Inputs(workers=2), config.Inputs(camera="0")])
def test_a_cluster_is_not_for_cameras_and_has_its_own_workers(source, films, tmp_path):
    groups = config.Outputs(output_dir=str(tmp_path)), config.Prediction(), config.Networks()
    with pytest.raises(errors.InputError, match="`camera` and `workers` are for this machine"):
        session.predict(source, films, *groups, "runner=DaskRunner")


def test_a_cluster_predicts_the_same(films, tmp_path, monkeypatch, shipped_model):
    monkeypatch.setattr(prediction_model, "load", lambda *_: shipped_model)

    def run(options, function, count):
        assert options == "runner=Test"
        for index in [1, 1, *range(count)]:
            function(index)

    monkeypatch.setattr(shared_work, "_run_pipeline", run)
    outputs = config.Outputs(output_dir=str(tmp_path / "two"), outputs=("csv",))
    groups = config.Inputs(), films, outputs, config.Prediction(), config.Networks()
    session.predict(*groups, "runner=Test")
    predict(films, tmp_path / "one", 1)
    assert summary(tmp_path / "two") == summary(tmp_path / "one")
    for name in set(films) - {"bad"}:
        table = f"{name}/predictions.csv"
        assert (tmp_path / "two" / table).read_text() == (tmp_path / "one" / table).read_text()


def test_an_input_that_a_cluster_gives_up_has_failed(films, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_work, "_run_pipeline", lambda *_: None)
    outputs = config.Outputs(output_dir=str(tmp_path / "out"), outputs=("csv",))
    groups = config.Inputs(), films, outputs, config.Prediction(), config.Networks()
    found = session.predict(*groups, "runner=Test")
    assert [s.name for s in found] == list(films) == [r["name"] for r in summary(tmp_path / "out")]
    assert all("3 processes that began it have ended early" in s.error for s in found)

"""The training loop: its files, resuming after a kill, the best epoch, and damaged runs."""

import csv
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config, errors, workdir
from ast_net.records import clips
from ast_net.reports import evaluation
from ast_net.serving import exporting
from ast_net.temporal import scoring, siamese, stacked_lstm, streaming, temporal_model
from ast_net.training import fit, history, temporal_step

CLIP, STEP = config.Clip(6, 2), 2 / 25


def make_segments(count=3, frames=60, seed=0):
    """Makes segments whose labels are a smooth function of their features."""
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        features = np.cumsum(rng.normal(0, 0.2, (frames, 4)), axis=0).astype(np.float16)
        mask = rng.random(frames) > 0.05
        examples.append(
            {
                "features": np.where(mask[:, None], features, 0),
                "mask": mask,
                "labels": np.tanh(features[:, :2].astype(np.float32)),
                "timestamps": np.arange(frames) / 25,
                "later_labels": np.zeros((0, 2), np.float32),
                "later_timestamps": np.zeros(0),
                "recording": f"P{number}",
                "first_frame": np.int64(0),
                "overlap": np.int64(0),
            }
        )
    return tf.data.Dataset.from_tensor_slices(
        {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    )


def experiment_of(**training):
    return config.Experiment(
        clip=CLIP,
        reaction_delay=config.ReactionDelay((0.0,)),
        training=config.Training(batch_size=8, clip_hop=3, **training),
    )


def train(model, experiment, batches, scores, folder):
    training_model = siamese.build_training_model(
        siamese.build_siamese(model), CLIP, experiment.loss
    )
    dev_batches = clips.measuring_batches(make_segments(2, seed=1), experiment, STEP)
    temporal_step.train(model, training_model, batches, dev_batches, scores, folder, experiment)


def run(folder, epochs=3, interrupted_epoch=None, **settings):
    settings = {"warmup_epochs": 0, "learning_rate": 0.01, "epochs": epochs, **settings}
    experiment = experiment_of(**settings)
    segments = make_segments()

    def batches(epoch):
        dataset = clips.batches(segments, 3, experiment, STEP, epoch)
        if epoch == interrupted_epoch:

            def stop(batch):
                raise KeyboardInterrupt

            return dataset.take(3).concatenate(
                dataset.map(lambda b: tf.numpy_function(stop, [b["mask"]], tf.bool))
            )
        return dataset

    def scores():
        predictions = list(evaluation.predict(predictor, make_segments(2, seed=1)))
        result = scoring.score(predictions, config.TARGETS, (0.0, 0.0), intervals=False)
        rated = result["protocols"]["rated"]
        return {f"dev_cc_{target}": rated[target]["cc"]["mean"] for target in config.TARGETS}

    keras.utils.set_random_seed(experiment.training.seed)
    model = stacked_lstm.build_stacked_lstm(4, (5,), 2, feature_dtype="float16")
    predictor = streaming.StreamingPredictor(model, STEP)
    train(model, experiment, batches, scores, folder)
    return model


def weights(folder, name="last"):
    network = stacked_lstm.build_stacked_lstm(4, (5,), 2, feature_dtype="float16")
    network.load_weights(folder / workdir.weights_file(name))
    return network.get_weights()


def read_history(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run(folder)
    return folder


def test_training_lowers_the_loss_and_writes_its_files(finished):
    history = read_history(finished)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert float(history[-1]["label_loss"]) < 0.8 * float(history[0]["label_loss"])
    terms = [f"{t}_loss" for t in ("label", "trend", "local", "global", "siamese")]
    assert set(history[0]) == {
        "epoch",
        "loss",
        *terms,
        "dev_loss",
        "dev_cc_valence",
        "dev_cc_arousal",
        "seconds",
    }
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "best.weights.h5",
        "last.weights.h5",
        "history.csv",
        "checkpoints",
        "tensorboard",
    }


def test_the_loss_is_the_weighted_sum_of_its_terms(finished):
    row = {name: float(value) for name, value in read_history(finished)[0].items()}
    expected = row["label_loss"] + 10 * (row["trend_loss"] + row["local_loss"] + row["global_loss"])
    assert row["loss"] == pytest.approx(expected + 1000 * row["siamese_loss"], rel=0.02)


def test_a_run_interrupted_in_an_epoch_ends_like_an_uninterrupted_one(finished, tmp_path):
    with pytest.raises(BaseException):  # noqa: B017  TensorFlow wraps the exception
        run(tmp_path, interrupted_epoch=2)
    assert len(read_history(tmp_path)) == 2
    run(tmp_path)
    for actual, expected in zip(weights(tmp_path), weights(finished), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    without_time = [
        [{n: v for n, v in row.items() if n != "seconds"} for row in read_history(folder)]
        for folder in (tmp_path, finished)
    ]
    assert without_time[0] == without_time[1]


def test_a_diverging_run_stops(tmp_path):
    with pytest.raises(errors.InputError, match="lower `learning_rate`"):
        run(tmp_path, learning_rate=1e30)
    assert not (tmp_path / "best.weights.h5").exists()


def test_a_finished_run_is_not_changed(finished):
    before = (finished / "history.csv").read_text()
    run(finished)
    assert (finished / "history.csv").read_text() == before


def test_the_best_model_is_the_one_with_the_best_dev_cc(tmp_path):
    model = stacked_lstm.build_stacked_lstm(4, (5,), 2, feature_dtype="float16")
    scores = iter([(0.9, 0.1), (0.5, 0.7), (0.3, 0.8)])
    seen = []

    def dev_cc():
        seen.append([w.copy() for w in model.get_weights()])
        return {f"dev_cc_{t}": cc for t, cc in zip(config.TARGETS, next(scores))}

    experiment = experiment_of(epochs=9, patience=1, warmup_epochs=0)
    segments = make_segments()
    train(
        model,
        experiment,
        lambda epoch: clips.batches(segments, 3, experiment, STEP, epoch),
        dev_cc,
        tmp_path,
    )
    assert len(seen) == 3, "training stops after one epoch without improvement"
    for actual, expected in zip(weights(tmp_path, "best"), seen[1], strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_the_weights_of_local_global_and_siamese_terms_rise_over_the_first_epochs(tmp_path):
    run(tmp_path, epochs=3, warmup_epochs=2)
    for row, constraints in zip(read_history(tmp_path), [0.0, 0.5, 1.0], strict=True):
        terms = {name: float(value) for name, value in row.items()}
        free = terms["label_loss"] + 10 * terms["trend_loss"]
        bound = 10 * (terms["local_loss"] + terms["global_loss"]) + 1000 * terms["siamese_loss"]
        assert terms["loss"] == pytest.approx(free + constraints * bound, rel=0.02)


# What an HLO instruction may be for XLA to compile it for a GPU, too; not: custom-call, infeed,
# outfeed, send, recv and others, by which a program calls the host or a library of the processor.
ON_EVERY_DEVICE = (
    "add and broadcast call compare concatenate constant convert copy divide dot dynamic-slice "
    "dynamic-update-slice gather get-tuple-element is-finite logistic maximum minimum multiply "
    "negate not or pad parameter power reduce reshape scatter select slice sqrt subtract tanh "
    "transpose tuple while"
)


def test_xla_gives_the_same_result_up_to_rounding_and_can_be_exported(
    finished, tmp_path, monkeypatch
):
    steps, original = [], temporal_step.training_step
    monkeypatch.setattr(
        temporal_step, "training_step", lambda *a: steps.append(original(*a)) or steps[0]
    )
    model = run(tmp_path, epochs=1, jit_compile="true")
    row, expected = read_history(tmp_path)[0], read_history(finished)[0]
    for name in row.keys() - {"seconds"}:
        assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-5), name
    # All of the step is one program, without anything that a GPU lacks.
    graph = steps[0].__wrapped__
    batch = {n: tf.zeros((8, *s.shape[1:]), s.dtype) for n, s in graph.input_signature[0].items()}
    hlo = graph.experimental_get_compiler_ir(batch)(stage="hlo")
    assert hlo.count("\nENTRY ") == 1
    instructions = set(re.findall(r"^ .* = .*? ([a-z][\w-]*)\(", hlo, re.MULTILINE))
    assert {"dot", "while"} <= instructions <= set(ON_EVERY_DEVICE.split())
    spec = temporal_model.ModelSpec(
        targets=config.TARGETS,
        feature_size=4,
        units=(5,),
        backbone="compact",
        backbone_digest="unused",
        backbone_weights=None,
        clip_frames=CLIP.frames,
        time_step=STEP,
        frame_rate=25.0,
        reaction_delay=(0.0, 0.0),
        records="unused",
    )
    temporal_model.save_spec(tmp_path / "model.json", spec)
    (tmp_path / "run.flags").write_text("--jit_compile\n")
    export_dir = str(tmp_path / "models/1")
    exporting.export(config.Export(workdir=str(tmp_path), export_dir=export_dir, cnn=False))
    served = tf.saved_model.load(str(tmp_path / "models/1")).signatures["serving_default"]
    clip = np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float16)
    outputs = served(features=tf.constant(clip, tf.float32))
    for target, prediction in zip(config.TARGETS, np.moveaxis(model(clip), -1, 0), strict=True):
        np.testing.assert_allclose(outputs[target], prediction, rtol=0, atol=1e-5)


class Killed(Exception):
    pass


def toy(folder, epochs, scores=(0.0,) * 9, patience=float("inf"), step=None, name="total", first=0):
    """Runs `fit` on a variable that counts epochs; returns its value and the epochs saved."""
    total, saved = tf.Variable(0.0), []

    def count(batch):
        total.assign_add(tf.reduce_sum(batch) / 3)
        return {"loss": tf.reduce_mean(batch)}

    task = fit.Task(
        state={name: total},
        batches=lambda epoch: [tf.ones(3), tf.zeros(1)],
        step=lambda epoch: step or count,
        measure=lambda: {"dev_cc": scores[int(total) - 1]},
        score=lambda row: row["dev_cc"],
        save=lambda: saved.append(int(total)),
        first_candidate=first,
    )
    fit.fit(folder, task, epochs, patience)
    return int(total), saved


def test_logged_values_are_means_over_clips(tmp_path):
    toy(tmp_path, 1)
    assert history.read(tmp_path / "history.csv")[0]["loss"] == 0.75


def test_an_undefined_score_is_the_worst_and_the_first_of_equal_scores_is_the_best(tmp_path):
    nan = float("nan")
    assert toy(tmp_path, 6, [nan, -0.9, nan, 0.1, 0.1, 0.0]) == (6, [1, 2, 4])


def test_epochs_before_the_first_candidate_are_not_chosen(tmp_path, capsys):
    scores = [0.9, 0.8, 0.2, 0.3, 0.1, 0.2]
    assert toy(tmp_path / "a", 9, scores, patience=2, first=2) == (6, [1, 2, 3, 4])
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("warm-up") for line in lines] == [True] * 2 + [False] * 4
    assert [line.endswith("best so far") for line in lines] == [False] * 2 + [True] * 2 + [
        False
    ] * 2
    # Without any candidate the last epoch is kept.
    assert toy(tmp_path / "b", 2, scores, patience=1, first=5) == (2, [1, 2])


def test_a_run_continues_with_more_epochs_or_more_patience(tmp_path, capsys):
    scores = [0.1, 0.5, 0.3, 0.2, 0.1, 0.2, 0.6]
    assert toy(tmp_path, 2, scores) == (2, [1, 2])
    assert toy(tmp_path, 9, scores, patience=3) == (5, [])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2", "3/9", "4/9", "5/9"]
    assert [line.endswith("best so far") for line in lines] == [True, True, False, False, False]
    before = (tmp_path / "history.csv").read_text()
    for epochs, patience in ((9, 3), (9, 2), (3, 5), (5, float("inf"))):
        assert toy(tmp_path, epochs, scores, patience) == (5, [])
    assert capsys.readouterr().out == ""
    assert (tmp_path / "history.csv").read_text() == before
    assert toy(tmp_path, 7, scores, patience=5) == (7, [7])


@pytest.mark.parametrize(
    ("place", "name"),
    [(history, "write"), (tf.summary, "scalar"), (tf.train.CheckpointManager, "save")],
)
def test_a_run_killed_between_writing_two_files_ends_like_an_uninterrupted_one(
    place, name, tmp_path, monkeypatch
):
    scores = [0.1, 0.2, 0.3, 0.0]
    whole = toy(tmp_path / "whole", 4, scores)
    original = getattr(place, name)

    def kill(*arguments, **keywords):
        if len(list((tmp_path / "killed/checkpoints").glob("*.index"))) == 1:
            raise Killed
        return original(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, kill)
        with pytest.raises(Killed):
            toy(tmp_path / "killed", 4, scores)
    total, saved = toy(tmp_path / "killed", 4, scores)
    assert (total, saved) == (whole[0], [2, 3]), "the second epoch is repeated"
    rows = [history.read(tmp_path / folder / "history.csv") for folder in ("whole", "killed")]
    assert [{**row, "seconds": 0} for row in rows[0]] == [{**row, "seconds": 0} for row in rows[1]]


def truncate(folder):
    data = folder / "checkpoints/ckpt-3.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("damage", "change"),
    [
        (lambda folder: shutil.rmtree(folder / "checkpoints"), {}),
        (lambda folder: (folder / "checkpoints/checkpoint").write_bytes(b"x"), {}),
        (truncate, {}),
        (lambda folder: (folder / "history.csv").unlink(), {}),
        (lambda folder: (folder / "history.csv").write_text("epoch,loss\n1,x\n"), {}),
        (lambda folder: (folder / "history.csv").write_bytes(b"\xff\x00"), {}),
        (lambda folder: (folder / "history.csv").write_text("epoch,loss\n" + "1,0\n" * 3), {}),
        (lambda folder: None, {"name": "other"}),
    ],
)
def test_a_damaged_run_is_refused_and_not_overwritten(damage, change, tmp_path):
    toy(tmp_path, 3)
    damage(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(errors.InputError, match="another `workdir`"):
        toy(tmp_path, 4, **change)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_full_gpu_is_not_reported_as_a_full_disk(tmp_path, monkeypatch):
    full = tf.errors.ResourceExhaustedError(None, None, "{{node save}} no room")

    def raise_full(*_, **__):
        raise full

    with pytest.raises(errors.InputError, match="memory is full .*smaller `batch_size`"):
        toy(tmp_path / "gpu", 1, step=raise_full)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        fit.compiled(lambda batch: raise_full(), jit_compile=True)(tf.ones(1))
    monkeypatch.setattr(tf.train.CheckpointManager, "save", raise_full)
    with pytest.raises(OSError, match=r"cannot be written \(no room\)") as caught:
        toy(tmp_path / "disk", 1)
    assert caught.value.filename == str(tmp_path / "disk/checkpoints")


def test_a_step_that_xla_cannot_compile_is_reported(tmp_path):
    def step(batch):
        return {"loss": tf.strings.to_number(tf.strings.as_string(batch))[0]}

    assert fit.compiled(step, jit_compile=False)(tf.ones(1))["loss"] == 1
    with pytest.raises(errors.InputError, match="XLA cannot compile .* give `jit_compile=false`"):
        fit.compiled(step, jit_compile=True)(tf.ones(1))

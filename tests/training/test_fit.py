import csv
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config, errors
from ast_net.records import clips
from ast_net.reports import evaluation
from ast_net.serving import exporting
from ast_net.temporal import stacked_lstm, streaming, temporal_model
from ast_net.training import fit

CLIP = config.Clip(6, 2)


def make_segments(count=3, frames=60, seed=0):
    """Recordings whose labels are a smooth function of their features."""
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


def run(folder, epochs=3, break_off_in_epoch=None, **settings):
    training = config.Training(
        **{"warmup_epochs": 0, "learning_rate": 0.01, **settings},
        clip=CLIP,
        epochs=epochs,
        batch_size=8,
        clip_hop=3,
    )
    segments = make_segments()

    def batches(epoch):
        found = clips.batches(segments, training, [0, 1], epoch)
        if epoch == break_off_in_epoch:

            def stop(batch):
                raise KeyboardInterrupt

            return found.take(3).concatenate(
                found.map(lambda b: tf.numpy_function(stop, [b["mask"]], tf.bool))
            )
        return found

    def dev_cc():
        predictions = list(evaluation.predict(predictor, make_segments(2, seed=1), (0.0,), [0, 1]))
        table = evaluation.tabulate(predictions, config.TARGETS)
        return {target: table[target]["cc"]["mean"] for target in config.TARGETS}

    keras.utils.set_random_seed(training.seed)
    model = stacked_lstm.build_stacked_lstm(4, (5,), 2)
    predictor = streaming.StreamingPredictor(model, CLIP.stride)
    fit.train(model, batches, dev_cc, folder, training, config.LossWeights())
    return model


def weights(folder, name="last.weights.h5"):
    model = stacked_lstm.build_stacked_lstm(4, (5,), 2)
    model.load_weights(folder / name)
    return model.get_weights()


def read_history(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run(folder)
    return folder


def test_training_learns_and_leaves_what_it_should(finished):
    history = read_history(finished)
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert float(history[-1]["loss"]) < 0.8 * float(history[0]["loss"])
    terms = [f"{t}_loss" for t in ("label", "trend", "local", "global", "siamese")]
    assert set(history[0]) == {
        "epoch",
        "loss",
        *terms,
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


def test_the_same_seed_gives_the_same_weights_and_another_does_not(finished, tmp_path):
    run(tmp_path / "again")
    for found, expected in zip(weights(tmp_path / "again"), weights(finished), strict=True):
        np.testing.assert_array_equal(found, expected)
    run(tmp_path / "other", seed=1, epochs=1)
    assert np.abs(weights(tmp_path / "other")[0] - weights(finished)[0]).max() > 0.01


def test_a_run_broken_off_in_an_epoch_ends_where_the_whole_one_ends(finished, tmp_path):
    with pytest.raises(BaseException):  # noqa: B017  TensorFlow wraps what stops the input
        run(tmp_path, break_off_in_epoch=2)
    assert len(read_history(tmp_path)) == 2
    run(tmp_path)
    for found, expected in zip(weights(tmp_path), weights(finished), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    without_time = [
        [{n: v for n, v in row.items() if n != "seconds"} for row in read_history(folder)]
        for folder in (tmp_path, finished)
    ]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize("damage", ["deleted", "cut", "history"])
def test_a_damaged_run_is_refused_and_nothing_of_it_overwritten(damage, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    if damage == "deleted":
        shutil.rmtree(folder / "checkpoints")
    elif damage == "cut":
        data = folder / "checkpoints/ckpt-3.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:-500])
    else:
        (folder / "history.csv").write_text("epoch,loss\n1,x\n")
    before = (folder / "best.weights.h5").read_bytes()
    with pytest.raises(errors.InputError, match="another --workdir"):
        run(folder, epochs=4)
    assert (folder / "best.weights.h5").read_bytes() == before


def test_a_run_that_diverges_stops(tmp_path):
    with pytest.raises(errors.InputError, match="lower --learning_rate"):
        run(tmp_path, learning_rate=1e30)
    assert not (tmp_path / "best.weights.h5").exists()


def test_an_undefined_dev_cc_is_worse_than_any():
    history = [{"dev_cc_valence": value} for value in (float("nan"), -0.9, float("nan"))]
    assert fit._best(history) == 1


def test_a_finished_run_is_left_as_it_is(finished):
    before = (finished / "history.csv").read_text()
    run(finished)
    assert (finished / "history.csv").read_text() == before


def test_the_best_model_is_the_one_with_the_best_dev_cc(tmp_path):
    model = stacked_lstm.build_stacked_lstm(4, (5,), 2)
    scores = iter([0.1, 0.5, 0.3, 0.2, 0.1])
    seen = []

    def dev_cc():
        seen.append([w.copy() for w in model.get_weights()])
        return {"valence": next(scores)}

    training = config.Training(clip=CLIP, epochs=9, batch_size=8, clip_hop=3, patience=3)
    segments = make_segments()
    fit.train(
        model,
        lambda epoch: clips.batches(segments, training, [0, 1], epoch),
        dev_cc,
        tmp_path,
        training,
        config.LossWeights(),
    )
    assert len(seen) == 5, "three epochs without a better one end it"
    for found, expected in zip(weights(tmp_path, "best.weights.h5"), seen[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_constraints_rise_over_the_first_epochs(tmp_path):
    run(tmp_path, epochs=3, warmup_epochs=2)
    for row, constraints in zip(read_history(tmp_path), [0.0, 0.5, 1.0], strict=True):
        terms = {name: float(value) for name, value in row.items()}
        free = terms["label_loss"] + 10 * terms["trend_loss"]
        bound = 10 * (terms["local_loss"] + terms["global_loss"]) + 1000 * terms["siamese_loss"]
        assert terms["loss"] == pytest.approx(free + constraints * bound, rel=0.02)


def test_xla_gives_the_same_to_rounding_and_is_exported(finished, tmp_path):
    model = run(tmp_path, epochs=1, jit_compile=True)
    row, expected = read_history(tmp_path)[0], read_history(finished)[0]
    assert float(row["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-3)
    spec = temporal_model.ModelSpec(
        config.TARGETS, 4, (5,), "compact", "unused", None, CLIP.frames, CLIP.stride, 25
    )
    temporal_model.save_spec(tmp_path / "model.json", spec)
    (tmp_path / "run.flags").write_text("--jit_compile\n")
    exporting.export(tmp_path / "models/1", workdir=str(tmp_path), with_cnn=False)
    served = tf.saved_model.load(str(tmp_path / "models/1")).signatures["serving_default"]
    clip = np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)
    found = served(features=tf.constant(clip))
    for target, prediction in zip(config.TARGETS, np.moveaxis(model(clip), -1, 0), strict=True):
        np.testing.assert_allclose(found[target], prediction, rtol=0, atol=1e-5)


def test_tables_equal_numpy(tmp_path, rng):
    predictions = []
    for name, frames in (("P1", 30), ("P2", 50)):
        labels, noise = rng.normal(size=(2, frames, 2))
        mask = rng.random(frames) > 0.2
        predictions.append(
            evaluation.RecordingPrediction(
                name, np.arange(frames) / 25, labels, labels + noise, mask
            )
        )
    constant = np.zeros((10, 2))
    predictions.append(
        evaluation.RecordingPrediction(
            "P3", np.arange(10) / 25, constant, constant, np.ones(10, bool)
        )
    )
    table = evaluation.tabulate(predictions, config.TARGETS)
    evaluation.write(tmp_path, predictions, config.TARGETS, table)
    assert json.loads((tmp_path / "metrics.json").read_text()) == table
    for column, target in enumerate(config.TARGETS):
        each = [
            np.corrcoef(p.labels[p.mask, column], p.predictions[p.mask, column])[0, 1]
            for p in predictions[:2]
        ]
        found = table[target]["cc"]
        assert found["mean"] == pytest.approx(np.mean(each))
        assert (found["min"], found["max"]) == pytest.approx((min(each), max(each)))
        both = [
            np.concatenate([getattr(p, part)[p.mask, column] for p in predictions])
            for part in ("labels", "predictions")
        ]
        assert found["concatenated"] == pytest.approx(np.corrcoef(*both)[0, 1])
        assert table[target]["rmse"]["concatenated"] == pytest.approx(
            np.sqrt(np.mean((both[0] - both[1]) ** 2))
        )
        assert table[target]["recordings"]["P3"]["cc"] is None
    assert evaluation.undefined(table) == ["P3, valence", "P3, arousal"]
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    assert float(rows[35]["arousal_prediction"]) == pytest.approx(
        predictions[1].predictions[5, 1], abs=1e-6
    )
    assert [row["valid"] for row in rows[:30]] == [str(int(m)) for m in predictions[0].mask]
    with (tmp_path / "recordings.csv").open() as file:
        assert [row["recording"] for row in csv.DictReader(file)] == ["P1"] * 2 + ["P2"] * 2 + [
            "P3"
        ] * 2
    assert "0." in evaluation.format_table(table)

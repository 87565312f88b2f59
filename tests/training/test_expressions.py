import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ast_net import config, errors
from ast_net.cnn import backbone, compact, expression_head
from ast_net.datasets import fer2013, ferplus
from ast_net.records import expression_pictures
from ast_net.training import expression_examples, expression_step, expressions, history


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setattr(compact, "STEM", 4)
    monkeypatch.setattr(compact, "STAGES", (8, 8))


@pytest.fixture
def settings(tmp_path):
    return config.Finetuning(
        dataset="fer2013",
        data_dir=str(tmp_path / "data"),
        workdir=str(tmp_path / "run"),
        epochs=3,
        batch_size=8,
        learning_rate=0.005,
        warmup_epochs=1,
        ema=0.9,
    )


def split(rng, count):
    """Pictures that anybody can tell apart: stripes of another width for each class."""
    labels = np.arange(count) % 7
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    waves = np.sin(
        np.arange(48)[:, np.newaxis] * (labels + 1)[:, np.newaxis, np.newaxis] / 6 + phase
    )
    noise = rng.normal(0, 10, (count, 48, 48))
    images = (127 + 100 * waves + noise).clip(0, 255).astype(np.uint8)[..., np.newaxis]
    return images, labels


def targets(pictures):
    """The same pictures with probabilities instead of labels."""
    return pictures[0], np.eye(7, dtype=np.float32)[pictures[1]]


def write_csv(folder, rng, counts):
    folder.mkdir()
    lines = ["emotion,pixels,Usage"]
    for usage, count in counts.items():
        for image, label in zip(*split(rng, count), strict=True):
            lines.append(f"{label},{' '.join(map(str, image.ravel()))},{usage}")
    (folder / "fer2013.csv").write_text("\n".join(lines))


def networks(settings) -> tuple[keras.Model, expression_head.ExpressionHead]:
    keras.utils.set_random_seed(settings.seed)
    cnn = compact.build_compact(settings.seed)
    return cnn, expression_head.build(cnn.output.shape[-1], fer2013.EXPRESSIONS)


def weights_of(cnn, head):
    return [weight.numpy() for weight in cnn.weights + head.network.weights]


def test_a_run_from_the_csv_to_the_figures(settings, rng, tmp_path, capsys):
    write_csv(tmp_path / "source", rng, {"Training": 84, "PublicTest": 14, "PrivateTest": 21})
    settings = dataclasses.replace(
        settings, manual_dir=str(tmp_path / "source"), epochs=4, logit_adjustment=0.5
    )
    expressions.finetune(settings)
    run = tmp_path / "run"
    table = json.loads((run / "evaluation" / "metrics.json").read_text())
    assert table["pictures"] == 21
    assert [sum(row) for row in table["confusion"]] == [3] * 7
    assert f"accuracy {table['accuracy']:.4f}" in capsys.readouterr().out
    assert (run / "evaluation" / "figures" / "confusion.png").stat().st_size > 10_000
    rows = history.read(run / "history.csv")
    assert len(rows) == 4
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["accuracy"] > rows[0]["accuracy"] + 0.1

    # What the run left is what the other verbs read, and gives the figure again.
    cnn = backbone.load("compact", str(run / expressions.BACKBONE_WEIGHTS))
    head = expression_head.load(cnn.output.shape[-1], str(run / expression_head.FILE))
    for features, name in ((4096, expression_head.FILE), (512, "missing.weights.h5")):
        with pytest.raises(errors.InputError, match="cannot be read as the weights of head"):
            expression_head.load(features, str(run / name))
    images, labels = expression_pictures.load("fer2013", settings.data_dir, None)["private_test"]
    faces = np.pad(images.repeat(4, 1).repeat(4, 2), ((0, 0), (16, 16), (16, 16), (0, 0)))
    predicted = head(cnn(faces.repeat(3, axis=3))).numpy().argmax(axis=1)
    assert (predicted == labels).mean() == pytest.approx(table["accuracy"])

    # Called again, nothing is left to train.
    before = (run / expressions.BACKBONE_WEIGHTS).read_bytes()
    expressions.finetune(settings)
    assert (run / expressions.BACKBONE_WEIGHTS).read_bytes() == before
    with pytest.raises(errors.InputError, match="a different configuration"):
        expressions.finetune(dataclasses.replace(settings, seed=1))


def test_ends_where_the_uninterrupted_run_ends(settings, rng, tmp_path, monkeypatch):
    train, dev = targets(split(rng, 16)), split(rng, 7)
    whole = networks(settings)
    expressions.train(*whole, train, dev, tmp_path / "whole", settings)

    class Killed(Exception):
        pass

    original = expressions.batches

    def stop_in_the_second_epoch(*arguments):
        yield from original(*arguments).take(1)
        if arguments[-1] == 1:
            raise Killed
        yield from original(*arguments).skip(1)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(expressions, "batches", stop_in_the_second_epoch)
        expressions.train(*networks(settings), train, dev, tmp_path / "killed", settings)
    resumed = networks(settings)
    expressions.train(*resumed, train, dev, tmp_path / "killed", settings)

    for one, other in zip(weights_of(*whole), weights_of(*resumed), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    for row, expected in zip(
        history.read(tmp_path / "killed" / "history.csv"),
        history.read(tmp_path / "whole" / "history.csv"),
        strict=True,
    ):
        assert {**row, "seconds": 0} == pytest.approx({**expected, "seconds": 0}, rel=1e-5)
    best = [
        backbone.load("compact", str(tmp_path / name / expressions.BACKBONE_WEIGHTS)).get_weights()
        for name in ("whole", "killed")
    ]
    for one, other in zip(*best, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


@pytest.fixture
def watch(monkeypatch):
    """Makes dev accuracies up; gives the weights that each was measured with."""

    def start(cnn, head, labels, accuracies):
        seen = []

        def logits(_):
            accuracy = accuracies[len(seen)]
            seen.append(weights_of(cnn, head))
            correct = np.arange(len(labels)) < accuracy * len(labels)
            return np.eye(7)[np.where(correct, labels, (labels + 1) % 7)]

        monkeypatch.setattr(backbone, "in_batches", lambda network: logits)
        return seen

    return start


def test_frozen_epochs_train_the_head_alone(settings, rng, tmp_path, watch):
    settings = dataclasses.replace(settings, epochs=2, frozen_epochs=1, warmup_epochs=0)
    cnn, head = networks(settings)
    before = weights_of(cnn, expression_head.build(512, fer2013.EXPRESSIONS))
    dev = split(rng, 7)
    seen = watch(cnn, head, dev[1], [0.0, 0.0])
    expressions.train(cnn, head, targets(split(rng, 16)), dev, tmp_path / "run", settings)
    changed = [
        [not np.allclose(old, new, atol=1e-7) for old, new in zip(before, after, strict=True)]
        for after in seen
    ]
    assert changed[0] == [False] * len(cnn.weights) + [True, True]
    assert all(changed[1])


def test_frozen_stages_keep_their_weights(settings, rng, tmp_path):
    settings = dataclasses.replace(settings, epochs=2, frozen_stages=1, ema=0.0)
    cnn, head = networks(settings)
    before = [weight.numpy() for weight in cnn.weights]
    expressions.train(cnn, head, targets(split(rng, 16)), split(rng, 7), tmp_path, settings)
    changed = {
        weight.path.split("/")[-2]: not np.array_equal(old, weight.numpy())
        for old, weight in zip(before, cnn.weights, strict=True)
    }
    frozen = {name for name, differs in changed.items() if not differs}
    assert frozen == {"conv1_1", "norm1_1", "conv1_2", "norm1_2"}
    assert len(changed) > 10


def test_starts_with_the_head_beside_the_weights(settings, tmp_path):
    settings = dataclasses.replace(settings, backbone_weights=str(tmp_path / "a.weights.h5"))

    def initial(names):
        return expressions._initial_head(settings, 3, names).network.get_weights()[1]

    head = expression_head.build(3, ("glad", "sad"))
    head.network.set_weights([np.zeros((3, 2)), np.array([1.0, 2.0])])
    np.testing.assert_array_equal(initial(("glad", "sad")), 0)
    expression_head.save(head, tmp_path / expression_head.FILE)
    np.testing.assert_array_equal(initial(("glad", "sad")), [1, 2])
    # For other expressions, or without weights, the head is new.
    np.testing.assert_array_equal(initial(("sad", "glad")), 0)
    settings = dataclasses.replace(settings, backbone_weights=None)
    np.testing.assert_array_equal(initial(("glad", "sad")), 0)


def test_a_run_on_votes_has_eight_expressions(settings, rng, tmp_path):
    source = tmp_path / "source"
    counts = {"Training": 21, "PublicTest": 7, "PrivateTest": 14}
    write_csv(source, rng, counts)
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [f"Usage,Image name,{columns}"]
    for usage, count in counts.items():
        for number in range(count):
            # Every seventh picture has no majority; the others are contempt and neutral in turn.
            votes = (5, 0, 0, 0, 0, 0, 0, 5, 0, 0)
            if number % 7:
                votes = (
                    (0, 1, 0, 0, 0, 0, 0, 9, 0, 0) if number % 2 else (8, 2, 0, 0, 0, 0, 0, 0, 0, 0)
                )
            lines.append(",".join([usage, "a.png", *map(str, votes)]))
    (source / ferplus.FILE).write_text("\n".join(lines))
    run = tmp_path / "run"
    expressions.finetune(
        dataclasses.replace(settings, dataset="ferplus", manual_dir=str(source), epochs=2)
    )
    table = json.loads((run / "evaluation" / "metrics.json").read_text())
    assert table["classes"] == list(ferplus.EXPRESSIONS)
    assert [sum(row) for row in table["confusion"]] == [0, 0, 0, 0, 0, 0, 6, 6]
    cnn = backbone.load("compact", str(run / expressions.BACKBONE_WEIGHTS))
    head = expression_head.load(cnn.output.shape[-1], run / expression_head.FILE)
    assert head.expressions == ferplus.EXPRESSIONS

    # The same weights on FER2013's own labels: contempt is never predicted.
    labelled = expression_examples.from_labels(
        expression_pictures.load("fer2013", settings.data_dir, str(source))
    )
    weights = str(run / expressions.BACKBONE_WEIGHTS)
    table = expressions.measure("compact", weights, labelled, "private_test")
    assert table["classes"] == list(fer2013.EXPRESSIONS) and table["pictures"] == 14


def test_measures_by_the_names_of_the_expressions(rng, tmp_path):
    # The head has another order of the expressions, and one that the data set does not have.
    cnn = compact.build_compact()
    names = ("contempt", *reversed(fer2013.EXPRESSIONS))
    head = expression_head.build(512, names)
    bias = np.zeros(8)
    bias[[0, names.index("fear")]] = 2, 1
    head.network.layers[-1].bias.assign(bias)
    cnn.save_weights(tmp_path / expressions.BACKBONE_WEIGHTS)
    expression_head.save(head, tmp_path / expression_head.FILE)
    weights = str(tmp_path / expressions.BACKBONE_WEIGHTS)
    examples = expression_examples.from_labels({"train": split(rng, 70), "test": split(rng, 14)})
    table = expressions.measure("compact", weights, examples, "test")
    fear = fer2013.EXPRESSIONS.index("fear")
    assert [row[fear] for row in table["confusion"]] == [2] * 7


def test_keeps_the_averaged_weights_of_the_epoch_that_is_best_on_dev(
    settings, rng, tmp_path, watch
):
    cnn, head = networks(settings)
    dev = split(rng, 10)
    seen = watch(cnn, head, dev[1], [0.3, 0.5, 0.5])
    expressions.train(cnn, head, targets(split(rng, 16)), dev, tmp_path, settings)
    rows = history.read(tmp_path / "history.csv")
    assert [row["dev_accuracy"] for row in rows] == [0.3, 0.5, 0.5]
    kept = backbone.load("compact", str(tmp_path / expressions.BACKBONE_WEIGHTS))
    kept_head = expression_head.load(512, tmp_path / expression_head.FILE)
    for found, expected in zip(weights_of(kept, kept_head), seen[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_averaged_weights_are_put_away_whatever_happens():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    before = network.get_weights()
    averages = [tf.Variable(weight.value + 1) for weight in network.weights]
    with pytest.raises(RuntimeError), expression_step.averaged(network, averages):
        np.testing.assert_array_equal(network.get_weights()[0], before[0] + 1)
        raise RuntimeError
    np.testing.assert_array_equal(network.get_weights()[0], before[0])


def test_batches_are_decided_by_seed_and_epoch(rng):
    pictures = targets(split(rng, 20))

    def labels(*arguments):
        return np.concatenate([y for _, y in expressions.batches(pictures, 6, *arguments)])

    first = next(iter(expressions.batches(pictures, 6, 0, 0)))[0].numpy()
    assert (first.shape, first.dtype, first.max() <= 1) == ((6, 48, 48, 1), np.float32, True)
    np.testing.assert_array_equal(next(iter(expressions.batches(pictures, 6, 0, 0)))[0], first)
    assert len(labels(0, 0)) == 18
    np.testing.assert_array_equal(labels(0, 0), labels(0, 0))
    for others in ((1, 0), (0, 1)):
        assert (labels(*others) != labels(0, 0)).any()


def test_learning_rate_and_weight_decay(settings):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network.weights[1].assign([1.0, 2.0])
    settings = dataclasses.replace(settings, epochs=5, warmup_epochs=1, weight_decay=0.1)
    optimizer = expression_step.build_optimizer(network, settings, steps=10)
    rates = []
    kernel, bias = (weight.numpy() for weight in network.weights)
    for _ in range(50):
        rate = float(optimizer.learning_rate)
        optimizer.apply([np.zeros((3, 2), np.float32), np.zeros(2, np.float32)])
        kernel = kernel * (1 - 0.1 * rate)
        rates.append(rate)
    expected = [0.005 * k / 10 for k in range(10)]
    expected += [0.0025 * (1 + np.cos(np.pi * k / 40)) for k in range(40)]
    np.testing.assert_allclose(rates, expected, atol=1e-7)
    np.testing.assert_allclose(network.weights[0], kernel, rtol=1e-4)
    np.testing.assert_array_equal(network.weights[1], bias)


def test_loss_of_a_step_by_hand(settings, rng):
    network = keras.Sequential(
        [keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(7)]
    )
    pictures = rng.uniform(size=(5, 48, 48, 1)).astype(np.float32)
    labels = np.array([0, 1, 1, 6, 3])
    shares = np.log(np.arange(1, 8) / 28).astype(np.float32)
    logits = network(pictures).numpy().astype(np.float64)
    targets = np.full((5, 7), 0.1 / 7)
    targets[np.arange(5), labels] += 0.9
    for strength in (0.0, 0.5):
        adjusted = np.exp(logits) * (np.arange(1, 8) / 28) ** strength
        posterior = adjusted / adjusted.sum(axis=1, keepdims=True)
        expected = -(targets * np.log(posterior)).sum(axis=1).mean()
        adjusting = dataclasses.replace(settings, logit_adjustment=strength)
        optimizer = expression_step.build_optimizer(network, adjusting, steps=10)
        step = expression_step.training_step(network, optimizer, [], shares, adjusting)
        figures = step((pictures, np.eye(7, dtype=np.float32)[labels]))
        assert float(figures["loss"]) == pytest.approx(expected, rel=1e-5)
        accuracy = (logits.argmax(axis=1) == labels).mean()
        assert float(figures["accuracy"]) == pytest.approx(accuracy)


def test_log_shares():
    found = expression_step.log_shares(np.eye(3)[[0] * 6 + [2] * 2])
    np.testing.assert_allclose(found, np.log([6 / 8, 1 / 8, 2 / 8]), rtol=1e-6)
    # Probabilities count as fractions of a picture.
    found = expression_step.log_shares(np.array([[0.5, 1.5], [1.5, 0.5]]))
    np.testing.assert_allclose(found, np.log([1.0, 1.0]), atol=1e-6)


def test_without_public_test_training_pictures_choose_the_best(rng):
    examples = expression_examples.from_labels({"train": split(rng, 70), "test": split(rng, 7)})
    assert (examples.test, sorted(examples.splits)) == ("test", ["held_out", "test"])
    dev_images, dev_labels = examples.splits[examples.dev]
    assert (len(examples.train[1]), len(dev_labels)) == (63, 7)
    train_images = {image.tobytes() for image in examples.train[0]}
    assert not any(image.tobytes() in train_images for image in dev_images)


def test_a_release_without_a_split_is_refused(settings, rng, tmp_path):
    write_csv(tmp_path / "source", rng, {"Training": 21, "PrivateTest": 7})
    with pytest.raises(
        errors.InputError, match="found pictures of private_test and train, expected"
    ):
        expressions.finetune(dataclasses.replace(settings, manual_dir=str(tmp_path / "source")))


def test_a_run_that_diverges_stops(settings, rng, tmp_path):
    wild = dataclasses.replace(settings, learning_rate=1e30, warmup_epochs=0)
    with pytest.raises(errors.InputError, match="give a lower `learning_rate`"):
        expressions.train(*networks(wild), targets(split(rng, 32)), split(rng, 5), tmp_path, wild)


def test_a_run_that_cannot_begin_leaves_its_folder_to_another(settings, rng, tmp_path):
    for change, message in (
        ({}, "give `manual_dir=FOLDER`"),
        ({"manual_dir": str(tmp_path / "source"), "batch_size": 22}, "21 training pictures do not"),
        ({"backbone_weights": str(tmp_path / "nowhere.weights.h5")}, "nowhere.weights.h5: no such"),
    ):
        with pytest.raises(errors.InputError, match=message):
            expressions.finetune(dataclasses.replace(settings, **change))
        if not change:
            counts = {"Training": 21, "PublicTest": 7, "PrivateTest": 7}
            write_csv(tmp_path / "source", rng, counts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"warmup_epochs": 3},
        {"frozen_epochs": -1},
        {"frozen_stages": -1},
        {"label_smoothing": 1.0},
        {"logit_adjustment": -0.5},
        {"dropout": -0.1},
        {"ema": 1.0},
        {"weight_decay": -1.0},
        {"seed": -1},
    ],
)
def test_refuses_impossible_settings(settings, change):
    with pytest.raises(errors.InputError, match=next(iter(change))):
        dataclasses.replace(settings, **change)


def test_the_verb_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "ast_net.finetune", f"--workdir={tmp_path}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "run.flags: no such file; expected the workdir of a run" in found.stderr
    assert "Traceback" not in found.stderr

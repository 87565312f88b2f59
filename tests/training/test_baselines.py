"""The mean rating and ridge regression, compared with NumPy on frames collected by the test."""

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.records import store
from ast_net.training import baselines

DELAY = 0.8


@pytest.fixture
def records(planted_recola):
    folder = planted_recola("a", {f"P{number}": DELAY for number in range(1, 6)})
    settings = config.Experiment(
        dataset="recola",
        data_dir=str(folder.parent / "data"),
        manual_dir=str(folder),
        train_recordings=("P1", "P2", "P3"),
        dev_recordings=("P4", "P5"),
        clip=config.Clip(5, 2),
    )
    return store.prepare(settings)


def frames(records, split):
    """Yields each recording's features [T, F] and its ratings made DELAY later [T, D]."""
    parts: dict[str, list] = {}
    for example in records.segments(split).as_numpy_iterator():
        by_time = parts.setdefault(example["recording"], {})
        for row, time in enumerate(example["timestamps"]):
            by_time[time] = example["features"][row], example["labels"][row]
    for by_time in parts.values():
        times = np.array(sorted(by_time))
        features = np.stack([by_time[t][0] for t in times]).astype(np.float64)
        labels = np.stack([by_time[t][1] for t in times]).astype(np.float64)
        moved = np.stack(
            [np.interp(times + DELAY, times, column, right=np.nan) for column in labels.T],
            axis=1,
        )
        yield features, moved


def test_the_mean_rating(records):
    ratings = np.concatenate([moved for _, moved in frames(records, "train")])
    model = baselines.fit_mean(records, (DELAY, DELAY))
    predicted = model.predict(np.ones((3, 512), np.float32), np.arange(3.0))
    np.testing.assert_allclose(predicted, np.tile(np.nanmean(ratings, axis=0), (3, 1)), atol=1e-5)


def dual_ridge(x, y, penalty):
    """Solves ridge regression with an unpenalised bias in its dual form: weights [F] and bias."""
    centred, mean = x - x.mean(axis=0), y.mean()
    strength = penalty * np.square(x).sum(axis=0).mean()
    kernel = centred @ centred.T + strength * np.eye(len(x))
    weights = centred.T @ np.linalg.solve(kernel, y - mean)
    return weights, mean - x.mean(axis=0) @ weights


def test_ridge_regression_with_its_penalty(records):
    mean, variance = records.moments()
    used = [  # every second frame, at 10 frames/s
        ((features[::2] - mean) / np.sqrt(variance), moved[::2])
        for features, moved in frames(records, "train")
    ]
    model = baselines.fit_ridge(records, (DELAY, DELAY))
    tested = np.concatenate([features for features, _ in frames(records, "dev")])
    predicted = model.predict(tested.astype(np.float32), np.arange(len(tested)))
    for target in range(2):
        pairs = [
            (x[np.isfinite(y[:, target])], y[np.isfinite(y[:, target]), target]) for x, y in used
        ]
        errors = []
        for penalty in np.logspace(-4, 4, 9):
            error = 0.0
            for left_out in range(3):
                others = [pair for number, pair in enumerate(pairs) if number != left_out]
                x, y = (np.concatenate(part) for part in zip(*others))
                weights, bias = dual_ridge(x, y, penalty)
                error += np.square(pairs[left_out][0] @ weights + bias - pairs[left_out][1]).sum()
            errors.append(error)
        best = np.logspace(-4, 4, 9)[np.argmin(errors)]
        x, y = (np.concatenate(part) for part in zip(*pairs))
        weights, bias = dual_ridge(x, y, best)
        expected = (tested - mean) / np.sqrt(variance) @ weights + bias
        np.testing.assert_allclose(predicted[:, target], expected, atol=2e-4)


def test_a_single_recording_leaves_no_choice_of_penalty(rng):
    x = rng.normal(size=(20, 3))
    moments = baselines._Moments(x.T @ x, x.T @ x[:, 0], 1.0)
    assert baselines.choose_penalty([moments]) == pytest.approx(1.0)


@pytest.mark.parametrize("row", config.BASELINES)
def test_damaged_records_are_named(records, row, tmp_path):
    path = next(records.folder.glob("*-dev.tfrecord*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.unlink()  # It may be linked to the records of other data sets.
    path.write_bytes(content)
    experiment = config.Experiment(
        dataset="recola", workdir=str(tmp_path), reaction_delay=config.ReactionDelay((DELAY,))
    )
    with pytest.raises(errors.InputError, match="records are damaged"):
        baselines.evaluate(row, experiment, records, ["dev"])

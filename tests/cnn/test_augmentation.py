import numpy as np
import pytest
import tensorflow as tf

from ast_net.cnn import augmentation


@pytest.fixture
def pictures(rng):
    coarse = rng.uniform(0, 1, (40, 6, 6, 1)).astype(np.float32)
    return tf.image.resize(coarse, (48, 48), "bicubic").numpy().clip(0, 1)


def test_keeps_shape_and_range_and_is_decided_by_the_seed(pictures):
    found = augmentation.augment(pictures, [1, 2]).numpy()
    assert (found.shape, found.dtype) == (pictures.shape, np.float32)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(augmentation.augment(pictures, [1, 2]), found)
    other = augmentation.augment(pictures, [1, 3]).numpy()
    assert (np.abs(other - found).max(axis=(1, 2, 3)) > 0.05).all()


def test_without_warping_pixels_only_move(pictures, monkeypatch):
    monkeypatch.setattr(augmentation, "WARPED", 0.0)
    found = augmentation.warp(pictures, [0, 7]).numpy()
    limit = round(augmentation.MAX_SHIFT * 48)
    moves = set()
    for before, after in zip(pictures, found, strict=True):
        padded = np.pad(before[..., 0], limit, mode="symmetric")
        fits = [
            (mirrored, dy, dx)
            for dy in range(-limit, limit + 1)
            for dx in range(-limit, limit + 1)
            for mirrored in (False, True)
            if np.allclose(
                padded[limit + dy : limit + dy + 48, limit + dx : limit + dx + 48][
                    :, :: -1 if mirrored else 1
                ],
                after[..., 0],
                atol=1e-3,
            )
        ]
        assert len(fits) == 1
        moves.add(fits[0])
    assert {mirrored for mirrored, _, _ in moves} == {False, True}
    assert {dx for _, _, dx in moves} == {dy for _, dy, _ in moves} == set(range(-limit, limit + 1))


def test_turns_and_scales_about_the_middle(monkeypatch):
    monkeypatch.setattr(augmentation, "WARPED", 1.0)
    monkeypatch.setattr(augmentation, "MAX_SHIFT", 0.0)
    # A bright spot above the middle of each of many pictures.
    pictures = np.zeros((200, 48, 48, 1), np.float32)
    pictures[:, 8:11, 22:26] = 1
    found = augmentation.warp(pictures, [3, 4]).numpy()[..., 0]
    places = np.arange(48) - 23.5
    x = (found * places).sum(axis=(1, 2)) / found.sum(axis=(1, 2))
    y = (found * places[:, np.newaxis]).sum(axis=(1, 2)) / found.sum(axis=(1, 2))
    angles, scales = np.arctan2(x, -y), np.hypot(x, y) / 14.5
    limit = augmentation.MAX_ROTATION
    assert limit * 0.9 < np.abs(angles).max() < limit * 1.05
    assert np.exp(-augmentation.MAX_LOG_SCALE) * 0.98 < scales.min() < 0.9
    assert 1.1 < scales.max() < np.exp(augmentation.MAX_LOG_SCALE) * 1.02


def test_light_changes_smoothly():
    pictures = np.full((50, 48, 48, 1), 0.5, np.float32)
    found = augmentation.light(pictures, [5, 6]).numpy()[..., 0]
    middles = found[:, 23:25, 23:25].mean(axis=(1, 2))
    assert 0.3 < middles.min() < 0.4
    assert 0.6 < middles.max() < 0.7
    second_difference = np.abs(np.diff(found, 2, axis=2)).max()
    assert second_difference < 1e-5
    slopes = (found[:, 23, -1] - found[:, 23, 0]) / middles
    assert -0.41 < slopes.min() < -0.3
    assert 0.3 < slopes.max() < 0.41


def test_erases_a_rectangle_of_half_the_pictures(pictures):
    pictures = np.tile(pictures, (5, 1, 1, 1))
    found = augmentation.erase(pictures, [7, 8]).numpy()
    changed = (found != pictures)[..., 0]
    covered = changed.any(axis=(1, 2))
    assert 0.4 < covered.mean() < 0.6
    for picture, mask, after in zip(
        pictures[covered], changed[covered], found[covered], strict=True
    ):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 0.45 * 47 + 1
        np.testing.assert_allclose(after[rows[0], columns[0]], picture.mean(), rtol=1e-4)

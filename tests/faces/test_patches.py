"""Compares squares that are cut out with float64 means over areas."""

import numpy as np
import pytest

from ast_net.faces import patches


def means(image: np.ndarray, square: np.ndarray, size: int) -> np.ndarray:
    """The mean over each cell of a square; pixels are weighted by their area inside the cell."""
    x1, y1, x2, _ = square
    side = x2 - x1
    edges = np.arange(size + 1) * side / size
    first, last = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(side)
    parts = np.clip(np.minimum(last, pixels + 1) - np.maximum(first, pixels), 0, None)
    inside = np.full((side, side, 3), 127.0)
    for y in range(side):
        for x in range(side):
            if 0 <= y1 + y < image.shape[0] and 0 <= x1 + x < image.shape[1]:
                inside[y, x] = image[y1 + y, x1 + x]
    return np.einsum("iy,jx,yxc->ijc", parts, parts, inside) / (side / size) ** 2


@pytest.mark.parametrize("place", [(20, 12), (-9, -20), (60, 40)])
def test_pixels_are_means_over_areas(rng, place):
    image = rng.integers(0, 255, (80, 100, 3), dtype=np.uint8)
    square = np.array([*place, place[0] + 53, place[1] + 53])
    together = patches.cut_together(image, np.stack([square + 2, square, square - 2]), 12)
    for result, expected in [
        (patches.cut(image, square[np.newaxis], 12)[0], means(image, square, 12)),
        (together[0], means(image, square + 2, 12)),
        (together[1], means(image, square, 12)),
        (together[2], means(image, square - 2, 12)),
    ]:
        assert result.dtype == np.uint8
        np.testing.assert_allclose(result, expected, atol=0.51)


@pytest.mark.parametrize("side", [12, 47, 48, 49, 96, 300])
def test_cutting_together_equals_cutting_one_by_one(portrait, side):
    squares = np.array([[90.0, 60, 90 + side, 60 + side]])
    squares = squares + np.tile([[3, 3], [-3, -3], [3, -3], [-3, 3]], 2)
    result = patches.cut_together(portrait, squares, 48)
    one_by_one = patches.cut(portrait, squares, 48)
    # Values of exactly one half may be rounded up or down.
    assert np.abs(result.astype(int) - one_by_one).max() <= 1


def test_squares_outside_the_picture_are_grey(portrait):
    for place in (-1e6, 1e6, 288):
        squares = np.array([[place, 0, place + 90, 90], [place, 5, place + 90, 95]])
        assert (patches.cut_together(portrait, squares, 48) == 127).all()
        assert (patches.cut(portrait, squares, 48) == 127).all()


def test_squares_around():
    boxes = np.array([[10.0, 20, 30, 60], [5, 5, 8, 9], [-10, 0, 30, 20]])
    np.testing.assert_array_equal(
        patches.squares_around(boxes, 12), [[0, 20, 40, 60], [0, 1, 12, 13], [-10, -10, 30, 30]]
    )


@pytest.mark.parametrize("place", [(20, 12), (-9, -20), (60, 40), (300, 300)])
def test_green_is_that_of_the_whole_square(rng, place):
    image = rng.integers(0, 255, (80, 100, 3), dtype=np.uint8)
    square = np.array([*place, place[0] + 28, place[1] + 28])
    green = patches.cut_green(image, square, 14)
    assert green.shape == (14, 14) and green.dtype == np.uint8
    np.testing.assert_allclose(green, means(image, square, 14)[..., 1], atol=0.51)


def test_green_of_a_large_square_is_sampled():
    """Every third pixel of a smooth picture is nearly the mean."""
    slope = np.linspace(0, 255, 180, dtype=np.uint8)
    image = np.zeros((180, 180, 3), np.uint8)
    image[..., 1] = slope
    green = patches.cut_green(image, np.array([0, 0, 180, 180]), 30)
    np.testing.assert_allclose(green, np.tile(slope.reshape(30, 6).mean(axis=1), (30, 1)), atol=2)

"""Compares squares that are cut out with float64 means over areas."""

import cv2
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
    result = patches.cut(image, square[np.newaxis], 12)[0]
    assert result.dtype == np.uint8
    np.testing.assert_allclose(result, means(image, square, 12), atol=0.51)


@pytest.mark.parametrize(("side", "tolerance"), [(72, 3), (144, 1), (576, 1)])
def test_shifted_squares_show_what_they_say(portrait, side, tolerance):
    """Compares three copies with float64 means over the squares that they show."""
    image = cv2.GaussianBlur(portrait, (0, 0), 1.5)
    image = cv2.resize(image, None, fx=4, fy=4)
    square = np.array([[300.0, 280, 300 + side, 280 + side]])
    pictures, shown = patches.cut_shifted(image, square, 48)
    assert pictures.shape == (1, 3, 48, 48, 3) and pictures.dtype == np.uint8
    # A third of 8 of 48 pixels apart, around the square.
    steps = np.diff(shown[0], axis=0) / side
    np.testing.assert_allclose(steps, 8 / 3 / 48, atol=0.1 / 48 + 1 / side / 6)
    np.testing.assert_allclose(shown[0, 1], square[0], atol=2)
    # In a picture enlarged four times, edges are nearly whole pixels.
    fine = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    for picture, corners in zip(pictures[0], np.rint(4 * shown[0]).astype(int)):
        length = corners[2] - corners[0]
        inside = fine[corners[1] : corners[1] + length, corners[0] : corners[0] + length]
        edges = np.linspace(0, length, 49).round().astype(int)
        sums = np.add.reduceat(inside.astype(np.float64), edges[:-1], axis=0)
        sums = np.add.reduceat(sums, edges[:-1], axis=1)
        counts = np.outer(np.diff(edges), np.diff(edges))[..., np.newaxis]
        difference = picture - sums / counts
        assert np.abs(difference).mean() < tolerance and np.abs(difference.mean()) < 0.5


@pytest.mark.parametrize("size", [10, 11, 20, 21, 40])
def test_halving_averages_four_pixels(rng, size):
    picture = rng.integers(0, 255, (40, 80, 3), dtype=np.uint8)
    expected = picture.astype(np.float64)
    while min(expected.shape[:2]) >= 2 * size:
        height, width = expected.shape[:2]
        expected = expected.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(patches.halve(picture, size), expected, atol=1.01)
    odd = picture[:39]
    np.testing.assert_array_equal(patches.halve(odd, 5), odd)


def test_squares_outside_the_picture_are_grey(portrait):
    for place in (-1e6, 1e6, 310):
        squares = np.array([[place, 0, place + 90, 90], [place, 5, place + 90, 95]])
        assert (patches.cut_shifted(portrait, squares, 48)[0] == 127).all()
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

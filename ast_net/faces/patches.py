"""Squares cut out of a picture and resized for a network."""

import cv2
import numpy as np

# The colour beyond the picture's edges.
_GREY = 127


def squares_around(corners: np.ndarray, least: int) -> np.ndarray:
    """Returns the squares around boxes, x1, y1, x2, y2 [n, 4], on whole pixels, sides >= least."""
    sides = np.rint(np.maximum(least, (corners[:, 2:] - corners[:, :2]).max(axis=1)))
    first = np.rint((corners[:, :2] + corners[:, 2:] - sides[:, np.newaxis]) / 2)
    return np.hstack([first, first + sides[:, np.newaxis]])


def cut(image: np.ndarray, squares: np.ndarray, size: int) -> np.ndarray:
    """Cuts out squares, x1, y1, x2, y2 [n, 4] on whole pixels, as uint8 [n, size, size, 3].

    They are shrunk by averaging areas, not by sampling, which steadies the networks' outputs.
    """
    result = np.full((len(squares), size, size, 3), _GREY, np.uint8)
    for picture, square in zip(result, squares.astype(int), strict=True):
        inside = _region(image, *square)
        if inside is not None:
            method = cv2.INTER_AREA if len(inside) > size else cv2.INTER_LINEAR
            picture[:] = cv2.resize(inside, (size, size), interpolation=method)
    return result


def cut_together(image: np.ndarray, squares: np.ndarray, size: int) -> np.ndarray:
    """Does the same as `cut` for squares [n, 4] of one size that lie close together.

    Areas are differences of one integral image, so that each pixel is read once, not n times.
    Between whole rows and columns the sum from the origin is linear, so interpolating it is exact.

    Returns:
      uint8 [n, size, size, 3].
    """
    whole = squares.astype(int)
    left, top = whole[:, :2].min(axis=0)
    right, bottom = whole[:, 2:].max(axis=0)
    side = whole[0, 2] - whole[0, 0]
    inside = _region(image, left, top, right, bottom) if side > size else None
    # The sum of more bytes than this may not fit into 31 bits.
    if inside is None or inside.size > 3 * 2**23:
        return cut(image, squares, size)
    sums = cv2.integral(inside, sdepth=cv2.CV_32S)
    height, width = sums.shape[:2]
    edges = np.linspace(0, side, size + 1)
    x, y = edges + (whole[:, :1] - left), edges + (whole[:, 1:2] - top)
    column, row = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    beside = (x - column)[:, np.newaxis, :, np.newaxis]
    below = (y - row)[..., np.newaxis, np.newaxis]
    places = (row * width)[:, :, np.newaxis] + column[:, np.newaxis]
    sums = sums.reshape(-1, 3)
    upper, lower = (
        start + (sums.take(at + 1, axis=0) - start) * beside
        for at in (places, places + width)
        for start in [sums.take(at, axis=0)]
    )
    upper += (lower - upper) * below  # the sums at all edges, [n, size + 1, size + 1, 3]
    cells = np.diff(np.diff(upper, axis=1), axis=2)
    return np.rint(cells * (size / side) ** 2).astype(np.uint8)


def _region(image: np.ndarray, x1: int, y1: int, x2: int, y2: int) -> np.ndarray | None:
    """A part of a picture, grey beyond the picture's edges; None if all of it is beyond them."""
    height, width = image.shape[:2]
    inside = image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
    if inside.size == 0:
        return None
    top, bottom, left, right = (int(max(0, m)) for m in (-y1, y2 - height, -x1, x2 - width))
    if not (top or bottom or left or right):
        return inside
    kind, grey = cv2.BORDER_CONSTANT, (_GREY,) * 3
    return np.asarray(cv2.copyMakeBorder(inside, top, bottom, left, right, kind, value=grey))

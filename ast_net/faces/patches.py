"""Cuts squares out of a picture and resizes them for a network."""

import cv2
import numpy as np

# The colour outside the picture.
_GREY = 127


def squares_around(corners: np.ndarray, min_side: int) -> np.ndarray:
    """Returns squares around boxes, with the same centres and on whole pixels.

    Args:
      corners: the boxes, x1, y1, x2, y2 [n, 4] in pixels.
      min_side: minimum side of a square in pixels.

    Returns:
      The squares, x1, y1, x2, y2 [n, 4].
    """
    sides = np.rint(np.maximum(min_side, (corners[:, 2:] - corners[:, :2]).max(axis=1)))
    first = np.rint((corners[:, :2] + corners[:, 2:] - sides[:, np.newaxis]) / 2)
    return np.hstack([first, first + sides[:, np.newaxis]])


def cut(image: np.ndarray, squares: np.ndarray, size: int) -> np.ndarray:
    """Cuts out squares and resizes them; uint8 [n, size, size, 3].

    Shrinking averages areas instead of sampling, which makes the networks' outputs steadier.

    Args:
      image: uint8 RGB [H, W, 3].
      squares: x1, y1, x2, y2 [n, 4], on whole pixels; may extend beyond the picture.
      size: width and height of the results in pixels.
    """
    result = np.full((len(squares), size, size, 3), _GREY, np.uint8)
    for picture, square in zip(result, squares.astype(int), strict=True):
        inside = _region(image, *square)
        if inside is not None:
            method = cv2.INTER_AREA if len(inside) > size else cv2.INTER_LINEAR
            picture[:] = cv2.resize(inside, (size, size), interpolation=method)
    return result


def cut_together(image: np.ndarray, squares: np.ndarray, size: int) -> np.ndarray:
    """Does the same as `cut`, faster, for squares [n, 4] of equal size that lie close together.

    A single integral image holds the sums of all pixels above and left of each pixel, and an area's
    sum is a difference of such sums. So each pixel is read once, not n times. Within a pixel the
    sum is linear in x and in y, so interpolating it is exact.

    Returns:
      uint8 [n, size, size, 3].
    """
    # The region that holds all squares, with its integral image.
    corners = squares.astype(int)
    left, top = corners[:, :2].min(axis=0)
    right, bottom = corners[:, 2:].max(axis=0)
    side = corners[0, 2] - corners[0, 0]
    region = _region(image, left, top, right, bottom) if side > size else None
    # In a larger region the sum of all bytes may exceed 31 bits.
    if region is None or region.size > 3 * 2**23:
        return cut(image, squares, size)
    sums = cv2.integral(region, sdepth=cv2.CV_32S)
    height, width = sums.shape[:2]
    # The edges between the result's pixels, in coordinates of the region: x and y, [n, size + 1].
    edges = np.linspace(0, side, size + 1)
    x, y = edges + (corners[:, :1] - left), edges + (corners[:, 1:2] - top)
    # The whole pixel of each edge, and how far the edge lies within that pixel, from 0 to 1.
    column, row = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    x_fraction = (x - column)[:, np.newaxis, :, np.newaxis]
    y_fraction = (y - row)[..., np.newaxis, np.newaxis]
    # Interpolate the sums at all crossings of edges: first along x, in two rows, then along y.
    indices = (row * width)[:, :, np.newaxis] + column[:, np.newaxis]
    sums = sums.reshape(-1, 3)
    upper, lower = (
        start + (sums.take(row_indices + 1, axis=0) - start) * x_fraction
        for row_indices in (indices, indices + width)
        for start in [sums.take(row_indices, axis=0)]
    )
    upper += (lower - upper) * y_fraction  # [n, size + 1, size + 1, 3]
    # The sum of each cell between edges, divided by the cell's area.
    cells = np.diff(np.diff(upper, axis=1), axis=2)
    return np.rint(cells * (size / side) ** 2).astype(np.uint8)


def cut_green(image: np.ndarray, square: np.ndarray, size: int) -> np.ndarray:
    """Cuts out the green channel of a square, which is nearly its brightness, and resizes it.

    Of a large square it reads only four pixels for each pixel of the result. This is several times
    as fast as `cut`, and good enough for comparing faces.

    Args:
      image: uint8 RGB [H, W, 3].
      square: x1, y1, x2, y2, int [4]; may extend beyond the picture.
      size: width and height of the result in pixels.

    Returns:
      uint8 [size, size].
    """
    inside = _region(image, *square.tolist())
    if inside is None:
        return np.full((size, size), _GREY, np.uint8)
    if len(inside) > 2 * size:
        inside = cv2.resize(inside, (2 * size, 2 * size), interpolation=cv2.INTER_NEAREST)
    method = cv2.INTER_AREA if len(inside) > size else cv2.INTER_LINEAR
    return cv2.resize(inside, (size, size), interpolation=method)[..., 1].copy()


def _region(image: np.ndarray, x1: int, y1: int, x2: int, y2: int) -> np.ndarray | None:
    """Returns a region of a picture, grey outside the picture; None if it lies wholly outside."""
    height, width = image.shape[:2]
    inside = image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
    if inside.size == 0:
        return None
    top, bottom, left, right = (int(max(0, m)) for m in (-y1, y2 - height, -x1, x2 - width))
    if not (top or bottom or left or right):
        return inside
    kind, grey = cv2.BORDER_CONSTANT, (_GREY,) * 3
    return np.asarray(cv2.copyMakeBorder(inside, top, bottom, left, right, kind, value=grey))

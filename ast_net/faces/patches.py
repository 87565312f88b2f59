"""Cuts squares out of a picture and resizes them for a network."""

import cv2
import numpy as np

# The colour outside the picture.
_GREY = 127
# The shift of `cut_shifted`, a third of 8 pixels of the result, in thirds of a pixel.
_SHIFT = 8


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


def halve(picture: np.ndarray, size: int) -> np.ndarray:
    """Halves a picture, uint8 [H, W, 3], while `size` pixels remain and both sides are even.

    Each pixel becomes the mean of 2x2. OpenCV does this fifteen times as fast as averaging over
    other areas, so it is the first step before a picture is brought to a certain size.
    """
    height, width = picture.shape[:2]
    while min(height, width) >= 2 * size and height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return picture


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


def cut_shifted(image: np.ndarray, squares: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts out each square three times: a bit up and left, in place, and a bit down and right.

    The shifts are a third of 8 pixels of the result. Networks that halve their picture three times
    see its details in three evenly spaced positions within their cells of 2, 4 and 8 pixels, so
    that what depends on these positions cancels in the mean of the three.

    Args:
      image: uint8 RGB [H, W, 3].
      squares: x1, y1, x2, y2 [n, 4], on whole pixels; may extend beyond the picture.
      size: width and height of the results in pixels.

    Returns:
      Pictures uint8 [n, 3, size, size, 3], and the squares that they show, [n, 3, 4].
    """
    # In thirds of a pixel of the result: a square's side, and that of the region of all three.
    side, shifts = 3 * size, (0, _SHIFT, 2 * _SHIFT)
    whole = side + 2 * _SHIFT
    margins = (squares[:, 2:] - squares[:, :2]) * _SHIFT / side
    regions = _halvable(np.hstack([squares[:, :2] - margins, squares[:, 2:] + margins]), whole)
    pictures = np.full((len(squares), 3, size, size, 3), _GREY, np.uint8)
    for copies, region in zip(pictures, regions.astype(int), strict=True):
        inside = _region(image, *region)
        if inside is not None:
            halved = halve(inside, whole)
            thirds = cv2.resize(halved, (whole, whole), interpolation=cv2.INTER_LINEAR)
            for copy, shift in zip(copies, shifts, strict=True):
                window = thirds[shift : shift + side, shift : shift + side]
                cv2.resize(window, (size, size), dst=copy, interpolation=cv2.INTER_AREA)
    third = (regions[:, 2:3] - regions[:, :1]) / whole
    edges = np.array([[shift, shift, shift + side, shift + side] for shift in shifts])
    shown = np.tile(regions[:, :2], 2)[:, np.newaxis] + third[:, np.newaxis] * edges
    return pictures, shown


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


def _halvable(squares: np.ndarray, size: int) -> np.ndarray:
    """Moves squares [n, 4] to whole pixels, with sides that `halve` can bring near `size`."""
    sides = squares[:, 2:] - squares[:, :2]
    multiples = 2 ** np.floor(np.log2(np.maximum(sides / size, 1)))
    sides = multiples * np.ceil(sides / multiples)
    first = np.rint((squares[:, :2] + squares[:, 2:] - sides) / 2)
    return np.hstack([first, first + sides])


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

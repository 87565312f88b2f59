"""Draws a photographic face whose expression is controlled by valence and arousal.

NASA's portrait of Eileen Collins (public domain) is warped at its facial landmarks: valence lifts
or lowers the corners of the mouth, the cheeks and the inner brows; arousal opens the eyes and the
mouth and raises the brows. Everything else that varies between recordings and within one (identity,
pose, light, focus, noise) is independent of valence and arousal.
"""

import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240

_FOLDER = pathlib.Path(__file__).parent
PORTRAIT = _FOLDER / "portrait.jpg"

# How much people differ: facial parts that change together; the largest relative change of their
# width and height; and their largest vertical shift, in pixels.
_IDENTITY = (
    (("mouth corners", "upper lip", "teeth", "lower lip"), 0.09, 0.03, 1.2),
    (("jaw",), 0.07, 0.03, 1.5),
    (("cheeks",), 0.05, 0.0, 1.0),
    (("nose",), 0.12, 0.05, 1.5),
    (("eyes",), 0.04, 0.08, 0.5),
    (("brows",), 0.04, 0.10, 1.2),
    (("head",), 0.05, 0.03, 0.0),
)
_MIDLINE = 144.0
_HEAD_CENTRE = np.array([144.0, 118.0])

# The opening of the mouth in the portrait, in pixels: the lower edge of the upper lip and the upper
# edge of the lower lip, at these x.
_OPENING_X = (123.0, 133.0, 144.0, 154.5, 165.5)
_OPENING_TOP = (140.6, 142.2, 143.9, 143.4, 141.2)
_OPENING_BOTTOM = (140.6, 148.6, 150.7, 149.0, 141.2)
_MOUTH_INTERIOR = (55, 24, 28)
_LIPS = (172, 116, 110)

_PORTRAIT_SIZE = 288
_TEXTURE_SCALE = 2
_GRID_STEP = 2
# Warps are computed at these values of valence and arousal, and interpolated between them.
_NODES = np.linspace(-1.0, 1.0, 5)


class Landmarks(NamedTuple):
    """The L landmarks of the portrait, in its pixels.

    Attributes:
      parts: the facial part of each landmark, [L]; those of "surroundings" never move.
      positions: [L, (x, y)].
      neutral: displacement from the portrait's smile to the neutral face, [L, (dx, dy)].
      valence: displacement when valence increases by 1, [L, (dx, dy)].
      arousal: displacement when arousal increases by 1, [L, (dx, dy)].
    """

    parts: np.ndarray
    positions: np.ndarray
    neutral: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray


@functools.cache
def landmarks() -> Landmarks:
    """Reads landmarks.csv."""
    rows = np.loadtxt(_FOLDER / "landmarks.csv", "U16", delimiter=",")
    return Landmarks(rows[:, 0], *np.hsplit(rows[:, 1:].astype(float), 4))


class PortraitFace:
    """The face of one person: the portrait with random proportions, colours and expressiveness."""

    def __init__(self, rng: np.random.Generator):
        self._neutral, self._directions = _person(rng)
        self._node = functools.cache(self._warp)
        self._parted, self._closed = _textures(rng)
        rows, columns = np.nonzero(np.any(self._parted != self._closed, axis=2))
        self._mouth = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        self._texture = self._parted.copy()
        # The outline of hair, head and suit, which are drawn in front of another background.
        outline = np.loadtxt(_FOLDER / "outline.csv", int, delimiter=",")
        opacity = cv2.GaussianBlur(_fill(outline), (0, 0), _TEXTURE_SCALE)
        self._opacity = (opacity * 255).astype(np.uint8)

    def landmarks(self, valence: float, arousal: float) -> np.ndarray:
        """Returns the positions of the landmarks, [L, 2] in the portrait's pixels."""
        return self._neutral + valence * self._directions[0] + arousal * self._directions[1]

    def draw(
        self, valence: float, arousal: float, to_portrait: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws the face without the background.

        Args:
          valence, arousal: the expression, in [-1, 1].
          to_portrait: [2, 3], maps a pixel (x, y, 1) of the picture to the portrait.

        Returns:
          The picture and its opacity, both uint8 [HEIGHT, WIDTH, 3]; the picture is RGB.
        """
        # The displacement in texture pixels, resampled from the portrait's grid to the picture.
        warp = cv2.warpAffine(
            self.displacement(valence, arousal) * _TEXTURE_SCALE,
            to_portrait / _GRID_STEP,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # Pixel centres have integer coordinates, so that scaling by s shifts them by (s - 1) / 2.
        to_texture = (to_portrait * _TEXTURE_SCALE).astype(np.float32)
        to_texture[:, 2] += (_TEXTURE_SCALE - 1) / 2
        x, y = np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32)[:, None]
        x_map, y_map = (
            warp[..., axis] + along_x * x + (along_y * y + offset)
            for axis, (along_x, along_y, offset) in enumerate(to_texture)
        )
        # The mouth is closed at low arousal, and fades to the parted one.
        openness = float(np.clip((arousal + 0.7) / 0.9, 0.0, 1.0))
        self._texture[self._mouth] = cv2.addWeighted(
            self._parted[self._mouth], openness, self._closed[self._mouth], 1 - openness, 0
        )
        drawn, opacity = (
            cv2.remap(layer, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for layer in (self._texture, self._opacity)
        )
        return drawn, cv2.merge([opacity] * 3)

    def displacement(self, valence: float, arousal: float) -> np.ndarray:
        """Returns the displacement from the drawn face to the portrait, float32 [G, G, (dx, dy)].

        It is in the portrait's pixels, on a grid of every second pixel, and interpolated bilinearly
        between nodes.
        """
        (v, v_fraction), (a, a_fraction) = _node_below(valence), _node_below(arousal)
        low, high = (
            cv2.addWeighted(self._node(n, a), 1 - a_fraction, self._node(n, a + 1), a_fraction, 0)
            for n in (v, v + 1)
        )
        return cv2.addWeighted(low, 1 - v_fraction, high, v_fraction, 0)

    def _warp(self, valence: int, arousal: int) -> np.ndarray:
        """Computes the displacement at a pair of _NODES, given by their indices, [G, G, 2]."""
        target = self.landmarks(_NODES[valence], _NODES[arousal])
        grid = np.arange(0, _PORTRAIT_SIZE + 1, _GRID_STEP)
        return _thin_plate_spline(target, landmarks().positions - target, grid)


def smooth_noise(
    rng: np.random.Generator, times: np.ndarray, periods: tuple[float, float]
) -> np.ndarray:
    """Draws a smooth random curve [T] of unit variance, as a sum of sines.

    The curve is a function of time: the same generator state gives the same curve at any times.

    Args:
      rng: the source of randomness.
      times: [T] seconds.
      periods: shortest and longest period of the sines, in seconds.
    """
    components = 8
    frequencies = rng.uniform(1 / periods[1], 1 / periods[0], components)
    phases = rng.uniform(0, 2 * np.pi, components)
    angles = 2 * np.pi * frequencies * np.asarray(times)[:, None] + phases
    return np.sin(angles).sum(axis=1) * np.sqrt(2 / components)


def record(
    rng: np.random.Generator, times: np.ndarray, expressions: np.ndarray
) -> Iterator[np.ndarray]:
    """Films one person, with random identity, head motion, light, focus and sensor noise.

    Args:
      rng: determines everything except the expression.
      times: [T] seconds.
      expressions: [T, (valence, arousal)], in [-1, 1].

    Yields:
      T frames, uint8 RGB [HEIGHT, WIDTH, 3].
    """
    face = PortraitFace(rng)
    background = _background(rng)
    poses = _poses(rng, times)
    exposure = 1 + 0.06 * smooth_noise(rng, times, (5.0, 20.0))
    side_light = 0.12 * rng.uniform(-1, 1) + 0.06 * smooth_noise(rng, times, (5.0, 20.0))
    blur = rng.uniform(0.3, 0.7) * (1 + 0.3 * smooth_noise(rng, times, (4.0, 15.0)))
    # Sensor noise: every frame has a random crop of the same larger array.
    margin = 32
    grain = rng.normal(0, rng.uniform(1.0, 4.0), (HEIGHT + margin, WIDTH + margin, 3))
    grain = grain.astype(np.float32)
    offsets = rng.integers(0, margin, (len(times), 2))
    # Light is applied to pictures [HEIGHT, WIDTH * 3], because long rows are faster.
    across = np.repeat(np.linspace(-1, 1, WIDTH, dtype=np.float32), 3)
    for t, (valence, arousal) in enumerate(expressions):
        drawn, opacity = face.draw(valence, arousal, poses[t])
        image = cv2.add(
            cv2.multiply(drawn, opacity, scale=1 / 255),
            cv2.multiply(background, 255 - opacity, scale=1 / 255),
        )
        image = cv2.GaussianBlur(image, (5, 5), max(blur[t], 0.1))
        light = np.float32(exposure[t]) + np.float32(side_light[t]) * across
        lit = (image.reshape(HEIGHT, -1) * light).reshape(image.shape)
        down, right = offsets[t]
        lit += grain[down : down + HEIGHT, right : right + WIDTH]
        yield np.clip(lit, 0, 255, out=lit).astype(np.uint8)


def _person(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws a person: the landmarks of the neutral face [L, 2], and their displacements.

    These are for each unit of valence and arousal, [(valence, arousal), L, 2].
    """
    portrait = landmarks()
    neutral = portrait.positions + portrait.neutral
    for parts, max_width, max_height, max_shift in _IDENTITY:
        width, height, shift = rng.uniform(-1, 1, 3) * (max_width, max_height, max_shift)
        moved = np.isin(portrait.parts, parts)
        centre = portrait.positions[moved, 1].mean()
        x, y = neutral[moved].T
        neutral[moved, 0] = _MIDLINE + (x - _MIDLINE) * (1 + width)
        neutral[moved, 1] = centre + (y - centre) * (1 + height) + shift
    directions = np.stack([portrait.valence, portrait.arousal])
    return neutral, directions * rng.uniform(0.85, 1.05, (2, 1, 1))


def _thin_plate_spline(centres: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Interpolates values [L, 2] at centres [L, 2] as smoothly as possible (Bookstein, 1989).

    Returns float32 [G, G, 2], the values at all points whose x and y are in grid [G].
    """
    squared = np.square(centres[:, None] - centres).sum(axis=2)
    affine = np.column_stack([np.ones(len(centres)), centres])
    system = np.block([[_kernel(squared), affine], [affine.T, np.zeros((3, 3))]])
    solution = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    weights, (offset, along_x, along_y) = np.split(
        solution.astype(np.float32)[..., None, None], [-3]
    )
    x = grid.astype(np.float32)
    y = x[:, None]
    field = offset + along_x * x + along_y * y
    # One landmark at a time fits the processor's cache, and is five times faster than all at once.
    for (centre_x, centre_y), weight in zip(centres.astype(np.float32), weights):
        field += weight * _kernel(np.square(x - centre_x) + np.square(y - centre_y))
    return np.moveaxis(field, 0, -1)


def _kernel(squared: np.ndarray) -> np.ndarray:
    return squared * np.log(np.maximum(squared, 1e-12))


def _node_below(value: float) -> tuple[int, float]:
    """Returns the index of the node below a value, and the fraction of the way to the next node."""
    position = (np.clip(value, -1.0, 1.0) + 1) / (_NODES[1] - _NODES[0])
    node = min(int(position), len(_NODES) - 2)
    return node, float(position - node)


def _textures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws the portrait in random colours, uint8 RGB, with the mouth parted and with it closed."""
    portrait = np.asarray(cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB))
    size = (_PORTRAIT_SIZE * _TEXTURE_SCALE,) * 2
    image = cv2.resize(portrait, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    x = np.linspace(_OPENING_X[0], _OPENING_X[-1], 60)
    top = np.polyval(np.polyfit(_OPENING_X, _OPENING_TOP, 4), x)
    bottom = np.polyval(np.polyfit(_OPENING_X, _OPENING_BOTTOM, 4), x)
    # In the portrait, the teeth touch the lower lip. A dark strip between them, which the warp
    # widens, shows the inside of the mouth.
    strip = _mask(x[6:-6], bottom[6:-6] - 1.2, bottom[6:-6] + 0.1)
    opening = _mask(x, top, bottom - 0.3)
    interior = np.array(_MOUTH_INTERIOR, np.float32)
    parted = image + (interior - image) * strip
    closed = image + (np.array(_LIPS, np.float32) - image) * opening
    closed += (interior - closed) * strip
    gamma, saturation = rng.uniform(0.9, 1.6), rng.uniform(0.7, 1.2)
    gains = rng.uniform(0.94, 1.06, 3)

    def coloured(texture: np.ndarray) -> np.ndarray:
        grey = texture.mean(axis=2, keepdims=True)
        saturated = np.clip((grey + (texture - grey) * saturation) / 255, 0, 1)
        return np.clip(saturated**gamma * gains * 255, 0, 255).round().astype(np.uint8)

    return coloured(parted), coloured(closed)


def _mask(x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Returns a mask of the region between two curves, with soft edges, [H, W, 1] in [0, 1]."""
    outline = np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
    return cv2.GaussianBlur(_fill(outline), (0, 0), 0.35 * _TEXTURE_SCALE)[..., None]


def _fill(outline: np.ndarray) -> np.ndarray:
    """Returns a mask, float32 [H, W], 1 inside an outline [P, 2] in the portrait's pixels."""
    # fillPoly takes fixed-point numbers with this many fractional bits.
    fraction_bits = 4
    corners = ((outline + 0.5) * _TEXTURE_SCALE - 0.5) * 2**fraction_bits
    mask = np.zeros((_PORTRAIT_SIZE * _TEXTURE_SCALE,) * 2, np.float32)
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], 1.0, cv2.LINE_AA, fraction_bits)
    return mask


def _background(rng: np.random.Generator) -> np.ndarray:
    """Draws an out-of-focus wall, uint8 [HEIGHT, WIDTH, 3]."""
    patches = rng.uniform(60, 190) + rng.uniform(-25, 25, 3) + rng.uniform(-30, 30, (5, 6, 1))
    wall = cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(wall, 0, 255).astype(np.uint8)


def _poses(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Draws head poses, [T, 2, 3]: each maps a pixel of the picture to the portrait."""
    mirrored = rng.choice((-1.0, 1.0))
    scale = rng.uniform(1.15, 1.35) * (1 + 0.03 * smooth_noise(rng, times, (4.0, 15.0)))
    roll = np.radians(3.5) * smooth_noise(rng, times, (3.0, 12.0))
    centre = np.array([WIDTH / 2, HEIGHT / 2]) + rng.uniform(-1, 1, 2) * (12, 5)
    x = centre[0] + 7 * smooth_noise(rng, times, (3.0, 12.0))
    y = centre[1] + 4 * smooth_noise(rng, times, (3.0, 12.0))
    cosine, sine = np.cos(roll) / scale, np.sin(roll) / scale
    rotation = np.stack([mirrored * cosine, mirrored * sine, -sine, cosine], axis=-1)
    rotation = rotation.reshape(-1, 2, 2)
    # The shift that maps the head's centre in the picture, (x, y), to that in the portrait.
    shift = _HEAD_CENTRE - np.einsum("tij,tj->ti", rotation, np.stack([x, y], axis=1))
    return np.concatenate([rotation, shift[..., None]], axis=2)

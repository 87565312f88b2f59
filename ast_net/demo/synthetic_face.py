"""A photographic face whose expression is set by valence and arousal.

NASA's portrait of Eileen Collins (public domain) is warped at its facial landmarks: valence lifts
or lowers the corners of the mouth, the cheeks and the inner brows; arousal opens the eyes and the
mouth and raises the brows. Everything else that changes between recordings and within one is a
nuisance.
"""

import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240

_FOLDER = pathlib.Path(__file__).parent

# How far people differ: largest change of a part's width and height, and of its place, in pixels.
# What lies closely together moves together.
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

# The mouth's opening in the portrait, along x: the upper lip's lower edge, the lower lip's upper
# edge.
_OPENING_X = (123.0, 133.0, 144.0, 154.5, 165.5)
_OPENING_TOP = (140.6, 142.2, 143.9, 143.4, 141.2)
_OPENING_BOTTOM = (140.6, 148.6, 150.7, 149.0, 141.2)
_MOUTH_INTERIOR = (55, 24, 28)
_LIPS = (172, 116, 110)

_PORTRAIT_SIZE = 288
_TEXTURE_SCALE = 2
_GRID_STEP = 2
# Between these valences and arousals, warps are interpolated.
_NODES = np.linspace(-1.0, 1.0, 5)


class Landmarks(NamedTuple):
    """The portrait's landmarks, in its pixels.

    Attributes:
      parts: the part of the face of each, [L]; surroundings stay where they are.
      places: where they lie, [L, (x, y)].
      neutral: how they move from the portrait's smile to the neutral face, [L, (dx, dy)].
      valence, arousal: how they move for each unit of these.
    """

    parts: np.ndarray
    places: np.ndarray
    neutral: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray


@functools.cache
def landmarks() -> Landmarks:
    """Reads landmarks.csv."""
    rows = np.loadtxt(_FOLDER / "landmarks.csv", "U16", delimiter=",")
    return Landmarks(rows[:, 0], *np.hsplit(rows[:, 1:].astype(float), 4))


class PortraitFace:
    """One person: the portrait with features, colouring and expressiveness of their own."""

    def __init__(self, rng: np.random.Generator):
        self._rest, self._moves = _person(rng)
        self._displacements = self._warp()
        self._parted, self._closed = _textures(rng)
        rows, columns = np.nonzero(np.any(self._parted != self._closed, axis=2))
        self._mouth = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        self._texture = self._parted.copy()
        # Of hair, head and suit, for another background behind them.
        outline = np.loadtxt(_FOLDER / "outline.csv", int, delimiter=",")
        opacity = cv2.GaussianBlur(_fill(outline), (0, 0), _TEXTURE_SCALE)
        self._opacity = (opacity * 255).astype(np.uint8)

    def landmarks(self, valence: float, arousal: float) -> np.ndarray:
        """Where the landmarks lie at an expression, [L, 2] in the portrait's pixels."""
        return self._rest + valence * self._moves[0] + arousal * self._moves[1]

    def draw(
        self, valence: float, arousal: float, to_portrait: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The face without its surroundings.

        Args:
          valence, arousal: the expression, in [-1, 1].
          to_portrait: [2, 3], takes a pixel (x, y, 1) of the picture to the portrait.

        Returns:
          uint8 RGB [HEIGHT, WIDTH, 3], and its opacity, alike.
        """
        warp = cv2.warpAffine(
            self.displacement(valence, arousal) * _TEXTURE_SCALE,
            to_portrait / _GRID_STEP,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        to_texture = (to_portrait * _TEXTURE_SCALE).astype(np.float32)
        to_texture[:, 2] += (_TEXTURE_SCALE - 1) / 2
        x, y = np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32)[:, None]
        x_map, y_map = (
            warp[..., axis] + along_x * x + (along_y * y + offset)
            for axis, (along_x, along_y, offset) in enumerate(to_texture)
        )
        parted = float(np.clip((arousal + 0.7) / 0.9, 0.0, 1.0))
        self._texture[self._mouth] = cv2.addWeighted(
            self._parted[self._mouth], parted, self._closed[self._mouth], 1 - parted, 0
        )
        drawn, opacity = (
            cv2.remap(layer, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for layer in (self._texture, self._opacity)
        )
        return drawn, cv2.merge([opacity] * 3)

    def displacement(self, valence: float, arousal: float) -> np.ndarray:
        """From the place in the drawn face to the place in the portrait: float32 [G, G, (dx, dy)].

        In the portrait's pixels, on a grid of every second one of them.
        """
        (v, v_part), (a, a_part) = _between_nodes(valence), _between_nodes(arousal)
        nodes = self._displacements
        low = cv2.addWeighted(nodes[v, a], 1 - a_part, nodes[v, a + 1], a_part, 0)
        high = cv2.addWeighted(nodes[v + 1, a], 1 - a_part, nodes[v + 1, a + 1], a_part, 0)
        return cv2.addWeighted(low, 1 - v_part, high, v_part, 0)

    def _warp(self) -> np.ndarray:
        """The displacement at each pair of _NODES, float32 [V, A, G, G, 2]."""
        source = landmarks().places
        places = np.arange(0, _PORTRAIT_SIZE + 1, _GRID_STEP)

        def field(valence: float, arousal: float) -> np.ndarray:
            target = self.landmarks(valence, arousal)
            return _thin_plate_spline(target, source - target, places)

        return np.array([[field(valence, arousal) for arousal in _NODES] for valence in _NODES])


def smooth_noise(
    rng: np.random.Generator, times: np.ndarray, periods: tuple[float, float]
) -> np.ndarray:
    """Draws a smooth curve [T] of unit variance: a sum of sines with periods (shortest, longest).

    The same generator state gives the same curve, whatever the times (seconds).
    """
    components = 8
    frequencies = rng.uniform(1 / periods[1], 1 / periods[0], components)
    phases = rng.uniform(0, 2 * np.pi, components)
    angles = 2 * np.pi * frequencies * np.asarray(times)[:, None] + phases
    return np.sin(angles).sum(axis=1) * np.sqrt(2 / components)


def record(
    rng: np.random.Generator, times: np.ndarray, expressions: np.ndarray
) -> Iterator[np.ndarray]:
    """Films one person: head motion, light, focus and sensor noise are the generator's.

    Args:
      rng: decides everything but the expression.
      times: [T] seconds.
      expressions: [T, (valence, arousal)], in [-1, 1].

    Yields:
      uint8 RGB [HEIGHT, WIDTH, 3], one a time.
    """
    face = PortraitFace(rng)
    background = _background(rng)
    poses = _poses(rng, times)
    exposure = 1 + 0.06 * smooth_noise(rng, times, (5.0, 20.0))
    side_light = 0.12 * rng.uniform(-1, 1) + 0.06 * smooth_noise(rng, times, (5.0, 20.0))
    blur = rng.uniform(0.3, 0.7) * (1 + 0.3 * smooth_noise(rng, times, (4.0, 15.0)))
    margin = 32
    grain = rng.normal(0, rng.uniform(1.0, 4.0), (HEIGHT + margin, WIDTH + margin, 3))
    grain = grain.astype(np.float32)
    offsets = rng.integers(0, margin, (len(times), 2))
    # As [HEIGHT, WIDTH * 3], so that light multiplies long rows.
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
    """Landmarks of the neutral face [L, 2], and their moves [(valence, arousal), L, 2]."""
    portrait = landmarks()
    rest = portrait.places + portrait.neutral
    for parts, wider, higher, lower in _IDENTITY:
        wider, higher, lower = rng.uniform(-1, 1, 3) * (wider, higher, lower)
        chosen = np.isin(portrait.parts, parts)
        centre = portrait.places[chosen, 1].mean()
        x, y = rest[chosen].T
        rest[chosen, 0] = _MIDLINE + (x - _MIDLINE) * (1 + wider)
        rest[chosen, 1] = centre + (y - centre) * (1 + higher) + lower
    moves = np.stack([portrait.valence, portrait.arousal])
    return rest, moves * rng.uniform(0.85, 1.05, (2, 1, 1))


def _thin_plate_spline(centres: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The smoothest field through values [L, 2] at centres [L, 2] (Bookstein, 1989).

    Returns its float32 [G, G, 2] where x and y take each of places [G].
    """
    squared = np.square(centres[:, None] - centres).sum(axis=2)
    affine = np.column_stack([np.ones(len(centres)), centres])
    system = np.block([[_kernel(squared), affine], [affine.T, np.zeros((3, 3))]])
    solution = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    weights, (offset, along_x, along_y) = np.split(
        solution.astype(np.float32)[..., None, None], [-3]
    )
    x = places.astype(np.float32)
    y = x[:, None]
    field = offset + along_x * x + along_y * y
    # One landmark at a time stays in the processor's cache: five times faster than all at once.
    for (centre_x, centre_y), weight in zip(centres.astype(np.float32), weights):
        field += weight * _kernel(np.square(x - centre_x) + np.square(y - centre_y))
    return np.moveaxis(field, 0, -1)


def _kernel(squared: np.ndarray) -> np.ndarray:
    return squared * np.log(np.maximum(squared, 1e-12))


def _between_nodes(value: float) -> tuple[int, float]:
    """The node below, and how far on to the next, in [0, 1]."""
    place = (np.clip(value, -1.0, 1.0) + 1) / (_NODES[1] - _NODES[0])
    node = min(int(place), len(_NODES) - 2)
    return node, float(place - node)


def _textures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The portrait in the person's colours, uint8 RGB, with the mouth parted and closed."""
    portrait = np.asarray(cv2.imread(str(_FOLDER / "portrait.jpg"), cv2.IMREAD_COLOR_RGB))
    size = (_PORTRAIT_SIZE * _TEXTURE_SCALE,) * 2
    image = cv2.resize(portrait, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    x = np.linspace(_OPENING_X[0], _OPENING_X[-1], 60)
    top = np.polyval(np.polyfit(_OPENING_X, _OPENING_TOP, 4), x)
    bottom = np.polyval(np.polyfit(_OPENING_X, _OPENING_BOTTOM, 4), x)
    # The portrait's teeth touch the lower lip: a dark strip between them widens as the mouth opens.
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
    """Soft-edged region between two curves over x, [H, W, 1] in [0, 1]."""
    outline = np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
    return cv2.GaussianBlur(_fill(outline), (0, 0), 0.35 * _TEXTURE_SCALE)[..., None]


def _fill(outline: np.ndarray) -> np.ndarray:
    """1 inside an outline [P, 2] in the portrait's pixels, 0 outside: float32 [H, W]."""
    fraction_bits = 4
    corners = ((outline + 0.5) * _TEXTURE_SCALE - 0.5) * 2**fraction_bits
    mask = np.zeros((_PORTRAIT_SIZE * _TEXTURE_SCALE,) * 2, np.float32)
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], 1.0, cv2.LINE_AA, fraction_bits)
    return mask


def _background(rng: np.random.Generator) -> np.ndarray:
    """An out-of-focus wall, uint8 [HEIGHT, WIDTH, 3]."""
    patches = rng.uniform(60, 190) + rng.uniform(-25, 25, 3) + rng.uniform(-30, 30, (5, 6, 1))
    wall = cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(wall, 0, 255).astype(np.uint8)


def _poses(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Where the head is: [T, 2, 3], each takes a pixel of the picture to the portrait."""
    mirrored = rng.choice((-1.0, 1.0))
    scale = rng.uniform(1.15, 1.35) * (1 + 0.03 * smooth_noise(rng, times, (4.0, 15.0)))
    roll = np.radians(3.5) * smooth_noise(rng, times, (3.0, 12.0))
    place = np.array([WIDTH / 2, HEIGHT / 2]) + rng.uniform(-1, 1, 2) * (12, 5)
    x = place[0] + 7 * smooth_noise(rng, times, (3.0, 12.0))
    y = place[1] + 4 * smooth_noise(rng, times, (3.0, 12.0))
    cosine, sine = np.cos(roll) / scale, np.sin(roll) / scale
    turn = np.stack([mirrored * cosine, mirrored * sine, -sine, cosine], axis=-1).reshape(-1, 2, 2)
    shift = _HEAD_CENTRE - np.einsum("tij,tj->ti", turn, np.stack([x, y], axis=1))
    return np.concatenate([turn, shift[..., None]], axis=2)

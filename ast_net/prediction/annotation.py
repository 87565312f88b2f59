"""Draws predictions into pictures: boxes, bars, trails on the plane of valence and arousal."""

import collections
import functools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ast_net import config
from ast_net.faces import detection, identities
from ast_net.prediction import frames

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Length of a trail in seconds.
TRAIL_SECONDS = 3.0
# Pieces of a trail, each brighter than the one before.
_TRAIL_PIECES = 8
_COLOURS: tuple[Colour, ...] = (
    (255, 176, 59), (86, 180, 233), (120, 220, 130), (240, 128, 170), (200, 160, 255),
    (250, 240, 100), (100, 230, 220), (235, 110, 90), (150, 175, 75), (115, 140, 250),
    (225, 120, 235), (205, 170, 130),
)  # fmt: skip
_LIGHT, _GREY, _DARK = (245, 245, 245), (150, 150, 150), (24, 24, 28)
_OPACITY = 0.62
# The part of the plane that may cover faces and panels: it is translucent, and boxes are wider
# than faces.
_MAX_COVERED = 0.3
# Pictures whose shorter side is below this have no room for text.
_SMALLEST = 64
# Sizes are given in pixels of a picture of this height and grow with the picture.
_DESIGN_HEIGHT = 360
# In lower pictures than this, text would be too small to read, so it takes more of the room.
_READABLE_HEIGHT, _SMALL_DESIGN_HEIGHT = 324, 260
_BOLD, _REGULAR = 600, 450
# Bits of a coordinate below one pixel, so that nothing jumps from frame to frame.
_SHIFT = 4
_font = functools.cache(cv2.FontFace)


def colour(face_id: int) -> Colour:
    """The RGB colour of a face's box, bars and dot; the same in figures."""
    return _COLOURS[face_id % len(_COLOURS)]


class Annotator:
    """Draws the predictions of a recording, frame after frame."""

    def __init__(self, targets: Sequence[str], expressions: Sequence[str] = ()) -> None:
        """Takes the names of the predicted values, two of which have the plane, and posteriors."""
        self._targets, self._expressions = tuple(targets), tuple(expressions)
        self._on_plane = set(config.TARGETS) <= set(targets)
        self._trails: dict[int, collections.deque] = collections.defaultdict(collections.deque)
        self._corner = 0

    def draw(self, image: np.ndarray, frame: frames.FramePrediction) -> np.ndarray:
        """Draws a frame's predictions into a copy of its picture, uint8 RGB [H, W, 3]."""
        image = image.copy()
        self._remember(frame)
        side = min(image.shape[:2])
        if side < _SMALLEST:
            return image
        least = min(_READABLE_HEIGHT / _DESIGN_HEIGHT, side / _SMALL_DESIGN_HEIGHT)
        unit = max(side / _DESIGN_HEIGHT, least)
        seen = [(face, face.face) for face in frame.faces if face.face is not None]
        for face, place in seen:
            _draw_corners(image, place.box, colour(face.face_id), unit)
        hidden = [place.box for _, place in seen]
        hidden += [self._draw_panel(image, face, place, unit) for face, place in seen]
        if self._on_plane:
            self._draw_plane(image, frame, hidden)
        time, size = f"{frame.timestamp:.2f} s", 13 * unit
        # Its shadow keeps it readable on bright pictures.
        shadow = max(1, size // 12)
        _write(image, time, (8 * unit + shadow, 20 * unit + shadow), size, _DARK, _BOLD)
        _write(image, time, (8 * unit, 20 * unit), size, _LIGHT, _BOLD)
        return image

    def _remember(self, frame: frames.FramePrediction) -> None:
        """Adds the frame to the trails and drops what is too old."""
        if not self._on_plane:
            return
        columns = [self._targets.index(name) for name in config.TARGETS]
        for face in frame.faces:
            if face.valid:
                self._trails[face.face_id].append((frame.timestamp, face.values[columns]))
        for face_id, trail in list(self._trails.items()):
            while trail and trail[0][0] < frame.timestamp - TRAIL_SECONDS:
                trail.popleft()
            if not trail:
                del self._trails[face_id]

    def _draw_panel(
        self, image: np.ndarray, face: frames.FacePrediction, place: detection.Face, unit: float
    ) -> np.ndarray:
        """Draws a face's id and bars below its box or, where there is no room, in its lower part.

        Returns:
          The panel's x, y, width, height.
        """
        x, y, width, height = place.box
        # Small faces have small panels.
        size = float(np.clip(width / 110, 0.6 * unit, unit))
        wide = round(136 * size)
        line = round(15 * size)
        tall = line * (len(self._targets) + 1) + round(5 * size)
        left = round(np.clip(x + (width - wide) / 2, 0, max(0, image.shape[1] - wide)))
        top = round(np.clip(y + height + 4 * unit, 0, max(0, image.shape[0] - tall)))
        area = np.array([left, top, wide, tall])
        part, dark = _part(image, area), _OPACITY * _DARK[0]
        if part.size:
            cv2.convertScaleAbs(part, dst=part, alpha=1 - _OPACITY, beta=dark)
        heading = f"face {face.face_id}  {place.confidence:.0%}"
        if face.posteriors is not None:
            best = int(np.argmax(face.posteriors))
            expression = self._expressions[best]
            heading = f"face {face.face_id}  {expression} {face.posteriors[best]:.2f}"
        margin, base = 6 * size, top + 0.82 * line
        _write(image, heading, (left + margin, base), 11 * size, colour(face.face_id))
        for row, (target, value) in enumerate(zip(self._targets, face.values, strict=True), 1):
            down = base + row * line
            _write(image, target, (left + margin, down), 10 * size, _LIGHT)
            _write(image, f"{value:+.2f}", (left + wide - 31 * size, down), 10 * size, _LIGHT)
            bar = (left + 50 * size, down - 7 * size, 50 * size, 6 * size)
            _draw_bar(image, bar, float(value), colour(face.face_id))
        return area

    def _draw_plane(
        self, image: np.ndarray, frame: frames.FramePrediction, areas: list[np.ndarray]
    ) -> None:
        """Draws the circumplex, with a dot and a trail for each face, in a corner without faces.

        It stays in its corner until it would cover too much of faces and panels, and is not drawn
        where all corners would.
        """
        height, width = image.shape[:2]
        size = round(0.3 * min(height, width))
        gap = round(0.03 * min(height, width))
        right, bottom = width - size - gap, height - size - gap
        corners = [
            np.array([x, y, size, size]) for x, y in ((right, bottom), (right, gap), (gap, bottom))
        ]
        covered = [
            sum(identities.shared_area(corner, area) for area in areas) for corner in corners
        ]
        if covered[self._corner] > _MAX_COVERED * size**2:
            self._corner = int(np.argmin(covered))
            if covered[self._corner] > _MAX_COVERED * size**2:
                return
        plane, kept = _plane(size)
        place = _part(image, corners[self._corner])
        cv2.multiply(place, kept, dst=place, scale=1 / 255)
        cv2.add(place, plane, dst=place)
        seen = {face.face_id for face in frame.faces}
        thickness = max(1, round(size / 70))
        for face_id, trail in self._trails.items():
            values = np.clip(np.stack([values for _, values in trail]), -1.2, 1.2)
            # 1 is on the circle.
            points = size * (0.5 + values * (0.4, -0.4))
            ages = frame.timestamp - np.array([time for time, _ in trail])
            _draw_trail(place, points, ages, colour(face_id), thickness)
            if face_id in seen:
                _draw_dot(place, points[-1], size / 26, colour(face_id))


def _part(image: np.ndarray, area: np.ndarray) -> np.ndarray:
    """The part of a picture in an area: x, y, width, height in whole pixels."""
    x, y, width, height = area
    return image[y : y + height, x : x + width]


@functools.lru_cache(maxsize=4)
def _plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the empty plane: what to add to a picture, and how much of the picture to keep.

    Both are uint8 [size, size, 3].
    """
    big = 4 * size
    disc = np.zeros((big, big, 3), np.uint8)
    middle = (big // 2, big // 2)
    cv2.circle(disc, middle, round(0.5 * big), (255, 255, 255), -1)
    opacity = cv2.resize(disc, (size, size), interpolation=cv2.INTER_AREA) / 255 * 0.72
    plane: np.ndarray = np.full((big, big, 3), _DARK, np.uint8)
    thin = max(1, big // 220)
    cv2.circle(plane, middle, round(0.4 * big), (95, 95, 100), thin, cv2.LINE_AA)
    cv2.line(plane, (round(0.1 * big), middle[1]), (round(0.9 * big), middle[1]), _GREY, thin)
    cv2.line(plane, (middle[0], round(0.1 * big)), (middle[0], round(0.9 * big)), _GREY, thin)
    plane = cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA)
    letter = 0.085 * size
    _write(plane, "valence", (0.62 * size, 0.485 * size), letter, _GREY)
    _write(plane, "arousal", (0.52 * size, 0.16 * size), letter, _GREY)
    added, kept = np.rint(plane * opacity), np.rint(255 * (1 - opacity))
    return added.astype(np.uint8), kept.astype(np.uint8)


def _draw_trail(
    place: np.ndarray, points: np.ndarray, ages: np.ndarray, shade: Colour, thickness: int
) -> None:
    """Draws a line through points [n, 2] on the plane, brighter where ages [n] (s) are lower."""
    fixed = _fixed(points)
    for piece in np.array_split(np.arange(len(points)), min(_TRAIL_PIECES, len(points))):
        fresh = 1 - float(ages[piece[-1]]) / TRAIL_SECONDS
        mixed = np.array(shade) * fresh + np.array(_DARK) * (1 - fresh)
        # Each piece begins where the one before it ends.
        line = fixed[max(0, piece[0] - 1) : piece[-1] + 1]
        cv2.polylines(place, [line], False, mixed.tolist(), thickness, cv2.LINE_AA, _SHIFT)


def _draw_corners(image: np.ndarray, box: np.ndarray, shade: Colour, unit: float) -> None:
    x, y, width, height = (float(value) for value in box)
    arm, thickness = 0.22 * min(width, height), max(1, round(2.2 * unit))
    for corner_x, along in ((x, arm), (x + width, -arm)):
        for corner_y, down in ((y, arm), (y + height, -arm)):
            ends = (corner_x + along, corner_y), (corner_x, corner_y + down)
            line = _fixed([ends[0], (corner_x, corner_y), ends[1]])
            cv2.polylines(image, [line], False, shade, thickness, cv2.LINE_AA, _SHIFT)


def _draw_bar(
    image: np.ndarray, area: tuple[float, float, float, float], value: float, shade: Colour
) -> None:
    """Draws a bar from the middle of an area (x, y, width, height), to the right if positive."""
    x, y, width, height = area
    middle = x + width / 2
    tip = middle + float(np.clip(value, -1, 1)) * width / 2
    for left, right, margin, filling in (
        (x, x + width, 0, (70, 70, 76)),
        (min(middle, tip), max(middle, tip), 0, shade),
        (middle, middle, 0.2 * height, _LIGHT),
    ):
        start, end = _fixed([(left, y - margin), (right, y + height + margin)]).tolist()
        cv2.rectangle(image, start, end, filling, -1, cv2.LINE_AA, _SHIFT)


def _write(
    image: np.ndarray, text: str, place: Point, size: float, shade: Colour, weight: int = _REGULAR
) -> None:
    """Writes text whose baseline begins at a place; `size` is in pixels."""
    where = (round(place[0]), round(place[1]))
    cv2.putText(image, text, where, shade, _font("sans"), max(6, round(size)), weight)


def _fixed(points: npt.ArrayLike) -> np.ndarray:
    return np.rint(np.multiply(points, 2**_SHIFT)).astype(np.int32)


def _draw_dot(image: np.ndarray, point: np.ndarray, radius: float, shade: Colour) -> None:
    for reach, filling in ((1.45, _LIGHT), (1.0, shade)):
        size = round(reach * radius * 2**_SHIFT)
        cv2.circle(image, _fixed(point).tolist(), size, filling, -1, cv2.LINE_AA, _SHIFT)

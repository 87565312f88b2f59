"""Draws smooth predictions into frames: boxes, bars, trails on the valence-arousal plane."""

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
# Number of pieces that a trail is drawn in, each brighter than the one before.
_TRAIL_PIECES = 8
_COLOURS: tuple[Colour, ...] = (
    (255, 176, 59), (86, 180, 233), (120, 220, 130), (240, 128, 170), (200, 160, 255),
    (250, 240, 100), (100, 230, 220), (235, 110, 90), (150, 175, 75), (115, 140, 250),
    (225, 120, 235), (205, 170, 130),
)  # fmt: skip
_LIGHT, _GREY, _DARK = (245, 245, 245), (150, 150, 150), (24, 24, 28)
_OPACITY = 0.62
# Largest fraction of the plane's area that may overlap faces and panels. It is not 0 because the
# plane is translucent and boxes are wider than faces.
_MAX_OVERLAP = 0.3
# Images whose shorter side is below this have no room for text.
_MIN_SIDE = 64
# Sizes are given for an image whose shorter side has this many pixels, and scale with the image.
_DESIGN_HEIGHT = 360
# In smaller images text would be too small to read, so it is made larger in proportion.
_READABLE_HEIGHT, _SMALL_DESIGN_HEIGHT = 324, 260
_BOLD, _REGULAR = 600, 450
# Fractional bits of a coordinate: subpixel positions, so that nothing jumps from frame to frame.
_SHIFT = 4
# OpenCV 4 has no typeface, only letters drawn as lines, which are about as wide at this scale.
_typeface = functools.cache(cv2.FontFace) if hasattr(cv2, "FontFace") else None
_LINE_LETTERS, _LINE_LETTERS_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 1 / 33


def colour(face_id: int) -> Colour:
    """Returns the RGB colour of a face's box, bars and dot; figures use the same colour."""
    return _COLOURS[face_id % len(_COLOURS)]


class Annotator:
    """Draws the predictions of a recording, frame after frame."""

    def __init__(self, targets: Sequence[str], expressions: Sequence[str] = ()) -> None:
        """Takes the names of the targets and of the posteriors' expressions.

        The plane is drawn if valence and arousal are among the targets.
        """
        self._targets, self._expressions = tuple(targets), tuple(expressions)
        self._has_plane = set(config.TARGETS) <= set(targets)
        self._trails: dict[int, collections.deque] = collections.defaultdict(collections.deque)
        self._corner = 0

    def draw(self, image: np.ndarray, frame: frames.FramePrediction) -> np.ndarray:
        """Draws a frame's predictions into a copy of its image, uint8 RGB [H, W, 3].

        A photograph has no time, and nothing to do with the one before.
        """
        image = image.copy()
        if frame.file:
            self._trails.clear()
        self._update_trails(frame)
        side = min(image.shape[:2])
        if side < _MIN_SIDE:
            return image
        min_unit = min(_READABLE_HEIGHT / _DESIGN_HEIGHT, side / _SMALL_DESIGN_HEIGHT)
        unit = max(side / _DESIGN_HEIGHT, min_unit)
        visible = [(face, face.face) for face in frame.faces if face.face is not None]
        for face, detected in visible:
            _draw_corners(image, detected.box, colour(face.face_id), unit)
        occupied = [detected.box for _, detected in visible]
        occupied += [self._draw_panel(image, face, detected, unit) for face, detected in visible]
        if self._has_plane:
            self._draw_plane(image, frame, occupied)
        if frame.file:
            return image
        time, size = f"{frame.timestamp:.2f} s", 13 * unit
        # A shadow keeps the time readable on bright images.
        shadow = max(1, size // 12)
        _write(image, time, (8 * unit + shadow, 20 * unit + shadow), size, _DARK, _BOLD)
        _write(image, time, (8 * unit, 20 * unit), size, _LIGHT, _BOLD)
        return image

    def _update_trails(self, frame: frames.FramePrediction) -> None:
        """Adds the frame's predictions to the trails and removes points that are too old."""
        if not self._has_plane:
            return
        columns = [self._targets.index(name) for name in config.TARGETS]
        for face in frame.faces:
            if face.valid:
                self._trails[face.face_id].append((frame.timestamp, face.smooth[columns]))
        for face_id, trail in list(self._trails.items()):
            while trail and trail[0][0] < frame.timestamp - TRAIL_SECONDS:
                trail.popleft()
            if not trail:
                del self._trails[face_id]

    def _draw_panel(
        self, image: np.ndarray, face: frames.FacePrediction, detected: detection.Face, unit: float
    ) -> np.ndarray:
        """Draws a face's id and bars below its box, or over its lower part if there is no room.

        Returns:
          The panel's x, y, width, height.
        """
        x, y, width, height = detected.box
        # Small faces have small panels.
        size = float(np.clip(width / 110, 0.6 * unit, unit))
        panel_width = round(136 * size)
        line = round(15 * size)
        panel_height = line * (len(self._targets) + 1) + round(5 * size)
        # Centred below the box, but shifted to lie inside the image.
        max_left = max(0, image.shape[1] - panel_width)
        max_top = max(0, image.shape[0] - panel_height)
        left = round(np.clip(x + (width - panel_width) / 2, 0, max_left))
        top = round(np.clip(y + height + 4 * unit, 0, max_top))
        area = np.array([left, top, panel_width, panel_height])
        # Darken the background of the panel, in place.
        background, dark = _region(image, area), _OPACITY * _DARK[0]
        if background.size:
            cv2.convertScaleAbs(background, dst=background, alpha=1 - _OPACITY, beta=dark)
        heading = f"face {face.face_id}  {detected.confidence:.0%}"
        if face.posteriors is not None:
            best = int(np.argmax(face.posteriors))
            expression = self._expressions[best]
            heading = f"face {face.face_id}  {expression} {face.posteriors[best]:.2f}"
        margin, baseline = 6 * size, top + 0.82 * line
        number_left = left + panel_width - 31 * size
        _write(image, heading, (left + margin, baseline), 11 * size, colour(face.face_id))
        for target, value in zip(self._targets, face.smooth, strict=True):
            baseline += line
            _write(image, target, (left + margin, baseline), 10 * size, _LIGHT)
            _write(image, f"{value:+.2f}", (number_left, baseline), 10 * size, _LIGHT)
            bar = (left + 50 * size, baseline - 7 * size, 50 * size, 6 * size)
            _draw_bar(image, bar, float(value), colour(face.face_id))
        return area

    def _draw_plane(
        self, image: np.ndarray, frame: frames.FramePrediction, occupied: list[np.ndarray]
    ) -> None:
        """Draws the valence-arousal plane in a corner, with a dot and a trail for each face.

        The plane stays in one corner until it would cover too much of the occupied areas (faces
        and panels). It is not drawn if that is so in all corners.
        """
        height, width = image.shape[:2]
        size = round(0.3 * min(height, width))
        gap = round(0.03 * min(height, width))
        right, bottom = width - size - gap, height - size - gap
        corners = [
            np.array([x, y, size, size]) for x, y in ((right, bottom), (right, gap), (gap, bottom))
        ]
        overlaps = [
            sum(identities.shared_area(corner, area) for area in occupied) for corner in corners
        ]
        if overlaps[self._corner] > _MAX_OVERLAP * size**2:
            self._corner = int(np.argmin(overlaps))
            if overlaps[self._corner] > _MAX_OVERLAP * size**2:
                return
        # Blend the plane into this region of the image, in place.
        plane, transparency = _plane(size)
        region = _region(image, corners[self._corner])
        cv2.multiply(region, transparency, dst=region, scale=1 / 255)
        cv2.add(region, plane, dst=region)
        current_ids = {face.face_id for face in frame.faces}
        thickness = max(1, round(size / 70))
        for face_id, trail in self._trails.items():
            values = np.clip(np.stack([values for _, values in trail]), -1.2, 1.2)
            # Arousal points up, and a length of 1 reaches the circle, whose radius is 0.4 * size.
            points = size * (0.5 + values * (0.4, -0.4))
            ages = frame.timestamp - np.array([time for time, _ in trail])
            _draw_trail(region, points, ages, colour(face_id), thickness)
            if face_id in current_ids:
                _draw_dot(region, points[-1], size / 26, colour(face_id))


def _region(image: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Returns a view of an image's region: x, y, width, height in whole pixels."""
    x, y, width, height = area
    return image[y : y + height, x : x + width]


@functools.lru_cache(maxsize=4)
def _plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the empty plane.

    Returns:
      What to add to the image, already multiplied by the plane's opacity, and the factor by which
      to multiply the image before, as 255ths. Both are uint8 [size, size, 3].
    """
    # Drawn four times as large and scaled down, for smooth edges.
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
    added, transparency = np.rint(plane * opacity), np.rint(255 * (1 - opacity))
    return added.astype(np.uint8), transparency.astype(np.uint8)


def _draw_trail(
    region: np.ndarray, points: np.ndarray, ages: np.ndarray, shade: Colour, thickness: int
) -> None:
    """Draws a line through points [n, 2] on the plane, brighter where ages [n] (s) are lower."""
    fixed = _fixed_point(points)
    for piece in np.array_split(np.arange(len(points)), min(_TRAIL_PIECES, len(points))):
        # 1 for now, 0 for the oldest point of a trail.
        freshness = 1 - float(ages[piece[-1]]) / TRAIL_SECONDS
        faded = np.array(shade) * freshness + np.array(_DARK) * (1 - freshness)
        # Each piece begins at the last point of the one before, so that the line has no gaps.
        line = fixed[max(0, piece[0] - 1) : piece[-1] + 1]
        cv2.polylines(region, [line], False, faded.tolist(), thickness, cv2.LINE_AA, _SHIFT)


def _draw_corners(image: np.ndarray, box: np.ndarray, shade: Colour, unit: float) -> None:
    """Draws the four corners of a face's box."""
    x, y, width, height = (float(value) for value in box)
    length, thickness = 0.22 * min(width, height), max(1, round(2.2 * unit))
    for corner_x, dx in ((x, length), (x + width, -length)):
        for corner_y, dy in ((y, length), (y + height, -length)):
            corner = (corner_x, corner_y)
            line = _fixed_point([(corner_x + dx, corner_y), corner, (corner_x, corner_y + dy)])
            cv2.polylines(image, [line], False, shade, thickness, cv2.LINE_AA, _SHIFT)


def _draw_bar(
    image: np.ndarray, area: tuple[float, float, float, float], value: float, shade: Colour
) -> None:
    """Draws a bar from the middle of an area (x, y, width, height) to the right, or left if < 0."""
    x, y, width, height = area
    middle = x + width / 2
    tip = middle + float(np.clip(value, -1, 1)) * width / 2
    for left, right, margin, filling in (
        (x, x + width, 0, (70, 70, 76)),
        (min(middle, tip), max(middle, tip), 0, shade),
        (middle, middle, 0.2 * height, _LIGHT),
    ):
        start, end = _fixed_point([(left, y - margin), (right, y + height + margin)]).tolist()
        cv2.rectangle(image, start, end, filling, -1, cv2.LINE_AA, _SHIFT)


def _write(
    image: np.ndarray, text: str, start: Point, size: float, shade: Colour, weight: int = _REGULAR
) -> None:
    """Writes text whose baseline starts at a point; `size` is in pixels."""
    position, size = (round(start[0]), round(start[1])), max(6, round(size))
    if _typeface is not None:
        cv2.putText(image, text, position, shade, _typeface("sans"), size, weight)
        return
    scale, thickness = size * _LINE_LETTERS_SCALE, max(1, round(weight * size / 10_000))
    cv2.putText(image, text, position, _LINE_LETTERS, scale, shade, thickness, cv2.LINE_AA)


def _fixed_point(points: npt.ArrayLike) -> np.ndarray:
    """Converts coordinates to OpenCV's fixed-point numbers with _SHIFT fractional bits."""
    return np.rint(np.multiply(points, 2**_SHIFT)).astype(np.int32)


def _draw_dot(image: np.ndarray, point: np.ndarray, radius: float, shade: Colour) -> None:
    # A light disc below makes a rim around the coloured one.
    for scale, filling in ((1.45, _LIGHT), (1.0, shade)):
        size = round(scale * radius * 2**_SHIFT)
        cv2.circle(image, _fixed_point(point).tolist(), size, filling, -1, cv2.LINE_AA, _SHIFT)

"""Aligned faces of a recording on one page, so that one sees at once whether they are right."""

import pathlib

import cv2
import matplotlib.figure
import numpy as np

from ast_net import config
from ast_net.faces import alignment, face_track, video

_COLUMNS = 6
# At most one tile in so many shows a frame without a face.
_TILES_PER_MISSING = 4
_GOOD, _MISSING = "tab:green", "tab:red"


def make(
    name: str,
    source: video.VideoSource,
    track: face_track.Track,
    settings: config.Alignment,
    faces: int = 24,
) -> matplotlib.figure.Figure:
    """Draws a page of aligned faces with their times, evenly spread over the recording.

    Faces are framed green. Up to a quarter of the tiles show frames without a face, framed red, as
    whole pictures. Marks at a tile's edges point to where the eyes should be.

    Args:
      name: the recording's name.
      source: the recording's video.
      track: where the face is in the recording's T frames.
      settings: where alignment puts the eyes.
      faces: the number of tiles, fewer if the recording has fewer frames.

    Raises:
      InputError: the video cannot be read.
    """
    chosen = choose(track.valid, faces)
    tiles = _tiles(source, track, settings, set(chosen.tolist()))
    rows = max(1, -(-len(chosen) // _COLUMNS))
    figure = matplotlib.figure.Figure(figsize=(2 * _COLUMNS, 2.3 * rows + 0.6))
    # Constrained layout takes seconds for so many tiles.
    head = 0.6 / (2.3 * rows + 0.6)
    figure.subplots_adjust(0.02, 0.02, 0.98, 1 - head, wspace=0.15, hspace=0.2)
    figure.suptitle(
        f"{name}: {int(track.valid.sum())} of {len(track)} frames have a face "
        f"({track.valid.mean():.1%}); marks at the edges: where the eyes should be",
        y=1 - 0.3 * head,
    )
    for place, frame in enumerate(chosen, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        _draw(
            axes, tiles[frame], float(track.timestamps[frame]), bool(track.valid[frame]), settings
        )
    return figure


def choose(valid: np.ndarray, count: int) -> np.ndarray:
    """Chooses frames to show, in order: some with a face and some without.

    Args:
      valid: bool [T], whether a frame has a face.
      count: the maximum number of frames.
    """
    present, missing = np.flatnonzero(valid), np.flatnonzero(~valid)
    least = max(count // _TILES_PER_MISSING, count - len(present))
    without = _spread(missing, min(len(missing), least))
    return np.sort(np.concatenate([_spread(present, count - len(without)), without]))


def _spread(frames: np.ndarray, count: int) -> np.ndarray:
    """Picks frames evenly out of [K], from the middle of each of `count` equal parts."""
    count = min(count, len(frames))
    return frames[((np.arange(count) + 0.5) * len(frames) / max(count, 1)).astype(int)]


def _tiles(
    source: video.VideoSource, track: face_track.Track, settings: config.Alignment, chosen: set[int]
) -> dict[int, np.ndarray]:
    """Reads the pictures to show, uint8 RGB [H, W, 3] by frame."""
    result: dict[int, np.ndarray] = {}
    for frame in source.frames():
        if frame.index in chosen:
            if track.valid[frame.index]:
                tile = alignment.align_face(frame.image, track.landmarks[frame.index], settings)
            else:
                tile = _letterboxed(frame.image, settings.size)
            result[frame.index] = tile
        if len(result) == len(chosen):
            break
    return result


def _letterboxed(image: np.ndarray, size: int) -> np.ndarray:
    """Scales a picture into size x size pixels, with black around it."""
    scale = size / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    result = np.zeros((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    inside = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    result[top : top + height, left : left + width] = inside
    return result


def _draw(axes, tile: np.ndarray, seconds: float, valid: bool, settings: config.Alignment) -> None:
    axes.imshow(tile)
    colour = _GOOD if valid else _MISSING
    title = f"{seconds:.2f} s" if valid else f"{seconds:.2f} s, no face"
    axes.set_title(title, fontsize=8, color=colour, pad=3)
    axes.set_xticks([settings.left_eye[0], settings.right_eye[0]] if valid else [])
    axes.set_yticks([settings.left_eye[1]] if valid else [])
    axes.tick_params(
        labelbottom=False, labelleft=False, top=True, right=True, direction="out", length=4
    )
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(2)


def path_of(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The path of a recording's page; a / in the name makes no folder."""
    return folder / f"{name.replace('/', '_')}.png"

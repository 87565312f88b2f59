"""Draws aligned faces of a recording on one page, to see at a glance whether they are correct."""

import itertools

import matplotlib.figure
import numpy as np

from ast_net import config
from ast_net.faces import alignment, face_track, video, video_frame
from ast_net.reports import figures

_COLUMNS = 6
# At most one in this many tiles shows a frame without a face.
_TILES_PER_MISSING = 4


def make(
    name: str, source: video.VideoSource, track: face_track.Track, faces: int
) -> matplotlib.figure.Figure:
    """Draws a page of aligned faces with their times, evenly spaced over the recording.

    Faces have a green border. Up to a quarter of the tiles show complete frames without a face,
    with a red border. Ticks at the edges of a tile mark where the eyes should be.

    Args:
      name: the recording's name.
      source: the recording's video.
      track: the face track over the recording's T frames.
      faces: the number of tiles; fewer if the recording has fewer frames.

    Raises:
      InputError: the video cannot be read.
    """
    chosen = choose(track.valid, faces)
    rows = -(-len(chosen) // _COLUMNS)
    height = 2.3 * rows + 0.6
    figure = matplotlib.figure.Figure(figsize=(2 * _COLUMNS, height))
    # The constrained layout would take seconds for this many tiles.
    figure.subplots_adjust(0.02, 0.02, 0.98, 1 - 0.6 / height, wspace=0.15, hspace=0.2)
    figures.write_title(
        figure,
        f"{name}: {track.valid.sum()} of {len(track)} frames have a face "
        f"({track.valid.mean():.1%}); ticks at the edges mark where the eyes should be",
        y=1 - 0.18 / height,
    )
    for frame in itertools.islice(source.frames(), int(chosen[-1]) + 1):
        if frame.index in chosen:
            axes = figure.add_subplot(rows, _COLUMNS, len(figure.axes) + 1)
            landmarks = track.landmarks[frame.index] if track.valid[frame.index] else None
            _draw(axes, frame, landmarks)
    return figure


def choose(valid: np.ndarray, count: int) -> np.ndarray:
    """Chooses frames to show, in order, some with a face and some without.

    Args:
      valid: bool [T], whether each frame has a face.
      count: the maximum number of frames.
    """
    present, missing = np.flatnonzero(valid), np.flatnonzero(~valid)
    # More frames without a face are shown if there are too few with one.
    without = _spread(missing, max(count // _TILES_PER_MISSING, count - len(present)))
    return np.sort(np.concatenate([_spread(present, count - len(without)), without]))


def _spread(frames: np.ndarray, count: int) -> np.ndarray:
    """Divides frames [K] into `count` equal parts and returns the middle frame of each."""
    count = min(count, len(frames))
    return frames[((np.arange(count) + 0.5) * len(frames) / max(count, 1)).astype(int)]


def _draw(axes, frame: video_frame.Frame, landmarks: np.ndarray | None) -> None:
    settings = config.Alignment()
    title, colour = f"{frame.timestamp:.2f} s", "tab:green"
    if landmarks is None:
        axes.imshow(frame.image)
        title, colour = f"{title}, no face", "tab:red"
        # As large as an aligned face, padded with black.
        axes.set(xticks=[], yticks=[], box_aspect=1, adjustable="datalim", facecolor="black")
    else:
        axes.imshow(alignment.align_face(frame.image, landmarks, settings))
        eyes = np.array([settings.left_eye, settings.right_eye])
        axes.set(xticks=eyes[:, 0], yticks=eyes[:1, 1])
    axes.set_title(title, fontsize=8, color=colour, pad=3)
    axes.tick_params(
        labelbottom=False, labelleft=False, top=True, right=True, direction="out", length=4
    )
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)

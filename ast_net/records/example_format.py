"""Defines the format of a record: one TFDS example is one segment of a recording.

Consecutive segments overlap by the length of a clip and its twin clip, so that every such pair lies
inside one segment, and nothing needs a whole recording in memory. A segment is SEGMENT_OVERLAPS
times as long as the overlap.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ast_net import config
from ast_net.temporal import timing

# Training holds segments of many recordings in memory at once, so that a batch has clips of all of
# them. Shorter segments allow for more recordings, but store more frames twice: with 3, half.
SEGMENT_OVERLAPS = 3
# Seconds between the frames that linear models are fitted to. Faces and ratings change slowly:
# closer frames cost time and add little information.
FIT_INTERVAL = 0.2


@dataclasses.dataclass(frozen=True)
class RecordingFrames:
    """The data of a recording's T frames, except their features.

    Attributes:
      recording: the name of the recording.
      timestamps: float64 [T], seconds.
      valid: bool [T], whether the frame shows a face.
      labels: [T, D], the gold standard at these times; NaN where there is none.
    """

    recording: str
    timestamps: np.ndarray
    valid: np.ndarray
    labels: np.ndarray


def duration(times: np.ndarray) -> float:
    """Returns the total duration of the frames at times [T], in seconds; 0 for a single frame."""
    return float(times[-1] - times[0]) + timing.interval(times)


class Piece(NamedTuple):
    """A segment, and the number of its frames before the overlap with the next segment."""

    segment: dict[str, tf.Tensor]
    frames: int


def by_recording(segments: tf.data.Dataset) -> Iterator[tuple[str, Iterator[Piece]]]:
    """Yields the name and the pieces of each recording; together they have every frame once.

    Args:
      segments: examples of `features_dict`, those of a recording in order.
    """
    for name, part in itertools.groupby(segments, lambda segment: segment["recording"].numpy()):
        yield name.decode(), (Piece(s, len(s["mask"]) - int(s["overlap"])) for s in part)


def seen_frames(piece: Piece, seconds: float) -> np.ndarray:
    """Returns the frames of a piece that show a face, `seconds` apart, int64 [n]."""
    segment, count = piece
    stride = max(1, round(seconds / timing.interval(segment["timestamps"].numpy(), 1.0)))
    # Counted from the start of the recording, so that the stride goes on from piece to piece.
    numbers = int(segment["first_frame"]) + np.arange(count)
    return np.flatnonzero((numbers % stride == 0) & segment["mask"].numpy()[:count])


def overlap(times: np.ndarray, clip_frames: int, time_step: float) -> int:
    """Returns the overlap of segments in frames: the length of the longest clip with its twin.

    Args:
      times: [T], the times of the recording's frames in seconds.
      clip_frames: N.
      time_step: seconds between a clip's frames.
    """
    first = np.arange(len(times))
    twin_last = timing.chains(times, time_step, clip_frames)[:, -1] + 1
    return int((np.minimum(twin_last, len(times) - 1) - first).max()) + 1


def features_dict(feature_size: int, targets: int) -> tfds.features.FeaturesDict:
    """Returns the TFDS features of an example with L frames, F features and D targets.

    features: float16 [L, F], fc6; zeros where there is no face.
    mask: bool [L], whether the frame shows a face.
    labels: float32 [L, D], the gold standard at the times of the frames; NaN where there is none.
    timestamps: float64 [L], seconds.
    later_labels: float32 [A, D], the labels of the frames that follow within
      `config.MAX_REACTION_DELAY`, so that a reaction delay can be applied when clips are cut.
    later_timestamps: float64 [A], their times in seconds.
    recording: the name of the recording.
    first_frame: the index of the segment's first frame in the recording.
    overlap: how many frames the next segment repeats; 0 in the last segment.
    """

    def tensor(shape, dtype):
        # The default encoding stores float16 as float32.
        return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

    return tfds.features.FeaturesDict(
        {
            "features": tensor((None, feature_size), np.float16),
            "mask": tensor((None,), np.bool_),
            "labels": tensor((None, targets), np.float32),
            "timestamps": tensor((None,), np.float64),
            "later_labels": tensor((None, targets), np.float32),
            "later_timestamps": tensor((None,), np.float64),
            "recording": tfds.features.Text(),
            "first_frame": np.int64,
            "overlap": np.int64,
        }
    )


def examples(
    frames: RecordingFrames, features: Iterable[np.ndarray], overlap: int
) -> Iterator[dict]:
    """Yields the segments of a recording, with the features of only one segment in memory.

    Args:
      frames: the recording's T frames.
      features: T arrays [F], the fc6 of each frame.
      overlap: how many frames a segment shares with the next.
    """
    labels, times = frames.labels.astype(np.float32), frames.timestamps
    rows = iter(features)
    segment_rows: list[np.ndarray] = []
    for first, end in segment_bounds(len(times), overlap):
        # Keep the rows of the overlap, and read those of the new frames.
        segment_rows = segment_rows[-overlap:] if first else []
        segment_rows.extend(next(rows) for _ in range(end - first - len(segment_rows)))
        last_rating = times[end - 1] + config.MAX_REACTION_DELAY
        later_end = np.searchsorted(times, last_rating, side="right")
        yield {
            "features": np.stack(segment_rows),
            "mask": frames.valid[first:end],
            "labels": labels[first:end],
            "timestamps": times[first:end],
            "later_labels": labels[end:later_end],
            "later_timestamps": times[end:later_end],
            "recording": frames.recording,
            "first_frame": first,
            "overlap": overlap if end < len(times) else 0,
        }


def segment_bounds(frames: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yields the first frame of each segment and the one after its last, given the total number."""
    length = SEGMENT_OVERLAPS * overlap
    first = 0
    # A segment that starts `overlap` frames before the end would have no new frame.
    while first == 0 or first + overlap < frames:
        yield first, min(first + length, frames)
        first += length - overlap

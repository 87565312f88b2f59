"""One TFDS example: a segment of a recording. Written and described here, and nowhere else.

A segment is SEGMENT_OVERLAPS times as long as what it shares with the next one: the frames from a
clip's first to its twin's last. So every clip and its twin lie inside one segment, and nothing needs a
whole recording in memory.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ast_net.temporal import timing

# Training holds a segment of each of many recordings, to have clips of all of them in a batch: the shorter
# they are, the more recordings, and the more is stored twice. With 3 that is a half.
SEGMENT_OVERLAPS = 3
# Ratings go on for this many seconds after a segment's last frame, so that a reaction delay can be
# applied when clips are cut. Raters lag by one to four seconds.
MAX_REACTION_DELAY = 10.0


@dataclasses.dataclass(frozen=True)
class RecordingFrames:
    """What is known of a recording's T frames beside their features.

    Attributes:
      recording: its name.
      timestamps: float64 [T], seconds.
      valid: bool [T], whether there is a face.
      labels: [T, D], the gold standard at these times; NaN where there is none.
    """

    recording: str
    timestamps: np.ndarray
    valid: np.ndarray
    labels: np.ndarray


def duration(times: np.ndarray) -> float:
    """Returns how long frames at times [T] last together, in seconds; 0 for a single one."""
    return float(times[-1] - times[0] + np.median(np.diff(times))) if len(times) > 1 else 0.0


class Piece(NamedTuple):
    """A segment of a recording, and how many of its first frames the next segment does not repeat."""

    segment: dict[str, tf.Tensor]
    frames: int


def by_recording(segments: tf.data.Dataset) -> Iterator[tuple[str, Iterator[Piece]]]:
    """Yields the name and the pieces of each recording in turn, which together are its frames once.

    Args:
      segments: examples of `features_dict`, those of a recording in order.
    """
    for name, part in itertools.groupby(segments, lambda segment: segment["recording"].numpy()):
        yield name.decode(), (Piece(s, len(s["mask"]) - int(s["overlap"])) for s in part)


def overlap(times: np.ndarray, clip_frames: int, time_step: float) -> int:
    """Returns how many frames a segment shares with the next: those of the longest clip and its twin.

    Args:
      times: of the recording's frames, seconds, [T].
      clip_frames: N.
      time_step: seconds between a clip's frames.
    """
    numbers = np.arange(len(times))
    last = timing.chains(times, time_step, clip_frames)[:, -1] + 1
    return int((np.minimum(last, len(times) - 1) - numbers).max()) + 1


def features_dict(feature_size: int, targets: int) -> tfds.features.FeaturesDict:
    """Returns the layout of an example of L frames, F features and D targets.

    features: float16 [L, F], fc6; zeros where there is no face.
    mask: [L], whether there is a face.
    labels: float32 [L, D], the gold standard at the frames' times; NaN where there is none.
    timestamps: float64 [L], seconds.
    later_labels, later_timestamps: [A, D] and [A], the same of the frames that follow the segment, for
      MAX_REACTION_DELAY seconds.
    recording: its name. first_frame: the index of the segment's first frame in it.
    overlap: how many of the frames the next segment has again; 0 in the last.
    """

    def tensor(shape, dtype):
        # TFDS's default encoding would store float16 as float32.
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
    """Yields the segments of a recording, holding one segment's features at a time.

    Args:
      frames: the recording's T frames.
      features: fc6 of each frame in turn, [F]; T of them.
      overlap: frames that a segment shares with the next.
    """
    labels, times = frames.labels.astype(np.float32), frames.timestamps
    rows = iter(features)
    held: list[np.ndarray] = []
    for first, last in segment_bounds(len(times), overlap):
        held = held[-overlap:] if first else []
        held.extend(next(rows) for _ in range(last - first - len(held)))
        after = np.searchsorted(times, times[last - 1] + MAX_REACTION_DELAY, side="right")
        yield {
            "features": np.stack(held),
            "mask": frames.valid[first:last],
            "labels": labels[first:last],
            "timestamps": times[first:last],
            "later_labels": labels[last:after],
            "later_timestamps": times[last:after],
            "recording": frames.recording,
            "first_frame": first,
            "overlap": overlap if last < len(times) else 0,
        }


def segment_bounds(frames: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yields each segment's first frame and the frame after its last, for a recording of T frames."""
    length = SEGMENT_OVERLAPS * overlap
    first = 0
    while first == 0 or first + overlap < frames:
        yield first, min(first + length, frames)
        first += length - overlap

"""One TFDS example: a segment of a recording. Written and described here, and nowhere else.

A segment is SEGMENT_OVERLAPS times as long as what it shares with the next one: a clip's span and one
frame more, so that every clip and its twin lie inside one segment, and nothing needs a whole recording
in memory.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds

from ast_net import config
from ast_net.cnn import backbone

# 10 keeps what is stored twice below a ninth.
SEGMENT_OVERLAPS = 10
# Ratings go on for this many seconds after a segment's last frame, so that a reaction delay can be
# applied when clips are cut. Raters lag by one to four seconds.
MAX_REACTION_DELAY = 10.0

# Settings that the name of a configuration states by a digest, where they are not these.
_NAMED_BY_DIGEST: dict[str, object] = {
    "targets": config.TARGETS,
    "partitions": {},
    "video_pattern": None,
    "alignment": config.Alignment(),
    "tracking": config.Tracking(),
    "max_rating_gap": config.MAX_RATING_GAP,
}


@dataclasses.dataclass(frozen=True)
class Frames:
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


@dataclasses.dataclass(kw_only=True)
class RecordsConfig(tfds.core.BuilderConfig):
    """What the records of a data set depend on. The name says it, so that records never mix.

    Attributes:
      backbone, backbone_weights: see `cnn.backbone.load`.
      runtime: what runs it, and in which precision (not auto).
      clip: the longest clip that will be cut from the records.
      targets: the D columns of the labels.
      partitions: the recordings of each split; empty for the data set's own.
      video_pattern: how its video files are called (`folders.find_video`); None for what is usual.
      max_rating_gap: seconds; frames between ratings farther apart are not rated.
    """

    name: str = ""
    backbone: str = "compact"
    backbone_weights: str | None = None
    runtime: config.Runtime = config.FLOAT32
    clip: config.Clip = config.Clip()
    targets: tuple[str, ...] = config.TARGETS
    partitions: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    video_pattern: str | None = None
    alignment: config.Alignment = config.Alignment()
    tracking: config.Tracking = config.Tracking()
    max_rating_gap: float = config.MAX_RATING_GAP

    def __post_init__(self) -> None:
        if self.name:
            return
        weights = backbone.weights_id(self.backbone, self.backbone_weights)
        self.name = f"{self.backbone}-{weights}-{self.overlap}"
        if self.runtime != config.FLOAT32:
            self.name += f"-{self.runtime.name}-{self.runtime.precision}"
        others = {
            name: getattr(self, name)
            for name, default in _NAMED_BY_DIGEST.items()
            if getattr(self, name) != default
        }
        if others:
            digest = hashlib.sha256(
                json.dumps(others, sort_keys=True, default=vars).encode()
            ).hexdigest()
            self.name += f"-{digest[:8]}"

    @property
    def overlap(self) -> int:
        """Frames that a segment shares with the next."""
        return self.clip.span + 1


def features_dict(feature_size: int, targets: int) -> tfds.features.FeaturesDict:
    """The layout of an example of L frames, F features and D targets.

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
    frames: Frames, features: Iterable[np.ndarray], overlap: int
) -> Iterator[tuple[str, dict]]:
    """The segments of a recording as (key, example), holding one segment's features at a time.

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
        example = {
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
        yield f"{frames.recording}_{first:09d}", example


def segment_bounds(frames: int, overlap: int) -> Iterator[tuple[int, int]]:
    """First frame of each segment and the frame after its last, for a recording of T frames."""
    length = SEGMENT_OVERLAPS * overlap
    first = 0
    while first == 0 or first + overlap < frames:
        yield first, min(first + length, frames)
        first += length - overlap

"""Clips and their twins, cut out of segments by tf.data as training asks for them (section 3.1).

Letters: L frames of a segment, N of a clip, F features, D targets.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ast_net import config
from ast_net.temporal import timing

Segment = dict[str, tf.Tensor]
# Clips held in memory to be shuffled.
_SHUFFLED_CLIPS = 128


def batches(
    segments: tf.data.Dataset,
    beside: int,
    experiment: config.Experiment,
    time_step: float,
    epoch: int,
) -> tf.data.Dataset:
    """Returns the batches of one epoch, shuffled: a function of the seed and the epoch alone.

    Args:
      segments: examples of `example_format.features_dict`, in the order of `reading_order`.
      beside: how many of them are held in memory, to take clips from in turn.
      experiment: clip, reaction delay, batch size and seed.
      time_step: seconds between a clip's frames.
      epoch: counted from 0.

    Returns:
      What `temporal.siamese.build_training_model` takes: features, twin_features float32 [B, N, F],
      labels, twin_labels float32 [B, N, D] (0 where not valid), mask, twin_mask bool [B, N, D].
    """
    training, clip = experiment.training, experiment.clip
    delays = experiment.reaction_delay.each(len(experiment.targets))
    seed = training.seed * 1_000_003 + epoch
    hop = training.clip_hop * time_step / clip.stride

    def clips_of(segment: Segment) -> tf.data.Dataset:
        prepared = prepare_segment(segment, delays, clip, time_step)
        place = tf.strings.to_hash_bucket_fast(segment["recording"], 2**31) + segment["first_frame"]
        starts = epoch_starts(prepared, hop, training.seed, epoch, place)
        shuffled = tf.random.experimental.stateless_shuffle(starts, (seed, place))
        return tf.data.Dataset.from_tensor_slices(shuffled).map(lambda start: cut(prepared, start))

    clips = segments.interleave(clips_of, cycle_length=beside, block_length=1)
    clips = clips.shuffle(_SHUFFLED_CLIPS, seed=seed)
    decoded = clips.batch(training.batch_size).map(_decode)
    if training.feature_dropout:
        decoded = decoded.enumerate().map(
            lambda number, batch: silence(batch, training.feature_dropout, (seed, number))
        )
    return decoded.prefetch(2)


def reading_order(
    counts: Sequence[int], beside: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Returns all segments in an order for reading so many of them beside each other.

    Recordings are laid out in a row, their segments permuted. The row is cut into `beside` parts of
    equal length, and the first segment of each part is read, then the second of each, and so on. So
    what is read at a time is of nearly as many recordings as can be, in proportion to their length.

    Args:
      counts: how many segments each recording has.
      beside: how many segments are read at a time.
      rng: decides.

    Returns:
      The number of the recording, and that of its segment, for each segment.
    """
    row = [
        (recording, int(segment))
        for recording in rng.permutation(len(counts)).tolist()
        for segment in rng.permutation(counts[recording])
    ]
    edges = np.linspace(0, len(row), min(beside, len(row)) + 1).astype(int).tolist()
    parts = [row[first:last] for first, last in itertools.pairwise(edges)]
    turns = itertools.zip_longest(*parts)
    return [place for turn in turns for place in turn if place is not None]


def measuring_batches(
    segments: tf.data.Dataset, experiment: config.Experiment, time_step: float
) -> tf.data.Dataset:
    """Returns batches as of `batches` to measure a loss with: the same clips every time, in order.

    A clip begins at every N-th frame.

    Args:
      segments: examples of `example_format.features_dict`, those of a recording in order.
      experiment: clip, reaction delay and batch size.
      time_step: seconds between a clip's frames.
    """
    clip = experiment.clip
    delays = experiment.reaction_delay.each(len(experiment.targets))

    def clips_of(segment: Segment) -> tf.data.Dataset:
        prepared = prepare_segment(segment, delays, clip, time_step)
        starts = tf.range(0, clip_count(prepared), clip.frames)
        return tf.data.Dataset.from_tensor_slices(starts).map(lambda start: cut(prepared, start))

    return segments.flat_map(clips_of).batch(experiment.training.batch_size).map(_decode)


def prepare_segment(
    segment: Segment, reaction_delay: Sequence[float], clip: config.Clip, time_step: float
) -> Segment:
    """Moves the labels by the reaction delay, and finds which frames clips are made of.

    Args:
      segment: an example of `example_format.features_dict`.
      reaction_delay: seconds, one for each of the D targets.
      clip: N.
      time_step: seconds between a clip's frames.

    Returns:
      features float16 [L, F]; present [L], whether there is a face; labels float32 [L, D], what the
      raters said `reaction_delay` seconds after each frame, 0 where there is none; mask [L, D],
      whether there are a face and a label; chains int64 [L, N], the frames of the clip that begins at
      each frame, L past the end; overlap []; interval [], the usual seconds from frame to frame.
    """

    def in_numpy(times, rating_times, ratings):
        moved = [
            timing.interpolate(times + delay, rating_times, ratings[:, [target]])
            for target, delay in enumerate(reaction_delay)
        ]
        chains = timing.chains(times, time_step, clip.frames)
        return np.concatenate(moved, axis=1), chains, _interval(times, time_step)

    labels, chains, interval = tf.numpy_function(
        in_numpy,
        [segment["timestamps"], *rating_series(segment)],
        (tf.float32, tf.int64, tf.float64),
    )
    labels = tf.ensure_shape(labels, (None, len(reaction_delay)))
    rated = tf.math.is_finite(labels)
    return {
        "features": segment["features"],
        "present": segment["mask"],
        "labels": tf.where(rated, labels, 0),
        "mask": segment["mask"][:, tf.newaxis] & rated,
        "chains": tf.ensure_shape(chains, (None, clip.frames)),
        "overlap": segment["overlap"],
        "interval": tf.ensure_shape(interval, ()),
    }


def _interval(times: np.ndarray, time_step: float) -> np.float64:
    return np.float64(np.median(np.diff(times)) if len(times) > 1 else time_step)


def rating_series(segment: Segment) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns times [R] in seconds and labels [R, D] of a segment and of the seconds after it."""
    times = tf.concat([segment["timestamps"], segment["later_timestamps"]], axis=0)
    return times, tf.concat([segment["labels"], segment["later_labels"]], axis=0)


def clip_count(segment: Segment) -> tf.Tensor:
    """How many clips start in a segment; clip k starts at its frame k, and its twin at frame k + 1.

    Clips that start in the overlap belong to the next segment. A recording's last segment ends with
    the twin of its last clip; one too short for that still has as many clips as bring every frame
    into one of them, and these run on past its end.
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    whole = tf.reduce_sum(tf.cast(segment["chains"][:, -1] + 1 < frames, tf.int64))
    # Frames that follow no other one begin a sequence each; the last is the twin of the one before.
    follow = tf.size(tf.unique(segment["chains"][:, 1])[0], tf.int64)
    sequences = frames - follow
    at_the_end = tf.maximum(whole, tf.clip_by_value(frames - 1, 1, sequences))
    return tf.where(segment["overlap"] > 0, frames - segment["overlap"], at_the_end)


def epoch_starts(
    segment: Segment, hop: float, seed: int, epoch: int, place: tf.Tensor
) -> tf.Tensor:
    """Which clips of a segment an epoch has: one in each `hop` seconds.

    It is another one in each epoch, so that as many epochs as frames lie in `hop` have every clip once,
    and where it is differs from clip to clip. A segment with fewer clips has one of them in each epoch.

    Args:
      segment: as of `prepare_segment`.
      hop: seconds.
      seed: of the training.
      epoch: counted from 0.
      place: tells segments from each other.

    Returns:
      The first frames of the clips, int64 [n].
    """
    count = clip_count(segment)
    frames = tf.maximum(tf.cast(tf.round(hop / segment["interval"]), tf.int64), 1)
    frames = tf.minimum(frames, count)
    slots = -(-count // frames)
    # Drawn anew when every clip has had its turn.
    turn = (tf.cast(seed, tf.int64) * 1_000_003 + epoch // frames, place)
    first = tf.random.stateless_uniform((slots,), tf.stack(turn), 0, frames, tf.int64)
    starts = frames * tf.range(slots) + (first + epoch) % frames
    return tf.boolean_mask(starts, starts < count)


def cut(segment: Segment, start: tf.Tensor) -> dict[str, tf.Tensor]:
    """A clip and its twin: frame i of the twin is the recording's next frame after frame i of the clip.

    Frames past the recording's end are not valid, and all zeros.
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    indices = segment["chains"][start]
    result = {}
    for prefix, own in (("", indices), ("twin_", indices + 1)):
        inside = own < frames
        rows = tf.minimum(own, frames - 1)
        present = inside & tf.gather(segment["present"], rows)
        mask = inside[:, tf.newaxis] & tf.gather(segment["mask"], rows)
        features = tf.gather(segment["features"], rows)
        labels = tf.gather(segment["labels"], rows)
        result[f"{prefix}features"] = tf.where(present[:, tf.newaxis], features, 0)
        result[f"{prefix}labels"] = tf.where(mask, labels, 0)
        result[f"{prefix}mask"] = mask
    return result


def silence(batch: dict[str, tf.Tensor], rate: float, seed: tuple) -> dict[str, tf.Tensor]:
    """Sets some features to 0, others for each pair of clips, and scales those that are left.

    They are the same in all frames of a clip and its twin: what the losses compare stays comparable.
    """
    features = tf.shape(batch["features"])
    chance = tf.random.stateless_uniform((features[0], 1, features[2]), seed)
    factors = tf.where(chance < rate, 0.0, 1 / (1 - rate))
    return {
        name: value * factors if name.endswith("features") else value
        for name, value in batch.items()
    }


def _decode(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """float16 as stored to float32 as computed with, as late as possible."""
    return {
        name: tf.cast(value, tf.float32) if name.endswith("features") else value
        for name, value in batch.items()
    }

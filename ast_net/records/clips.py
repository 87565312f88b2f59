"""Clips and their twins, cut out of segments by tf.data as training asks for them (section 3.1).

Letters: L frames of a segment, N of a clip, S the stride between a clip's frames, F features, D targets.
"""

from collections.abc import Sequence

import tensorflow as tf

from ast_net import config

Segment = dict[str, tf.Tensor]
# Clips held in memory to be shuffled.
_SHUFFLED_CLIPS = 512


def batches(
    segments: tf.data.Dataset, experiment: config.Experiment, epoch: int
) -> tf.data.Dataset:
    """Returns the batches of one epoch, shuffled: a function of the seed and the epoch alone.

    An epoch has every `clip_hop`-th clip of each recording; which ones differs from epoch to epoch.

    Args:
      segments: examples of `example_format.features_dict`.
      experiment: clip, reaction delay, batch size and seed.
      epoch: counted from 0.

    Returns:
      What `temporal.siamese.build_training_model` takes: features, twin_features float32 [B, N, F],
      labels, twin_labels float32 [B, N, D] (0 where not valid), mask, twin_mask bool [B, N].
    """
    training, clip = experiment.training, experiment.clip
    delays = experiment.reaction_delay.each(len(experiment.targets))
    seed = training.seed * 1_000_003 + epoch
    offset = tf.random.stateless_uniform((), (seed, 0), 0, training.clip_hop, tf.int64)
    hop = tf.constant(training.clip_hop, tf.int64)

    def clips_of(segment: Segment) -> tf.data.Dataset:
        segment = prepare_segment(segment, delays)
        count = clip_count(segment, clip)
        # A segment with fewer clips than the hop still has one in every epoch.
        starts = tf.range(offset % tf.minimum(hop, count), count, hop)
        shuffled = tf.random.experimental.stateless_shuffle(starts, (seed, 1))
        return tf.data.Dataset.from_tensor_slices(shuffled).map(
            lambda start: cut(segment, start, clip)
        )

    clips = segments.interleave(clips_of, cycle_length=8)
    clips = clips.shuffle(_SHUFFLED_CLIPS, seed=seed)
    decoded = clips.batch(training.batch_size).map(_decode)
    if training.feature_dropout:
        decoded = decoded.enumerate().map(
            lambda number, batch: silence(batch, training.feature_dropout, (seed, number))
        )
    return decoded.prefetch(2)


def prepare_segment(segment: Segment, reaction_delay: Sequence[float]) -> Segment:
    """Moves the labels by the reaction delay, and joins what decides whether a frame counts.

    Args:
      segment: an example of `example_format.features_dict`.
      reaction_delay: seconds, one for each of the D targets.

    Returns:
      features float16 [L, F]; present [L], whether there is a face; labels float32 [L, D], what the
      raters said `reaction_delay` seconds after each frame, 0 where there is none; mask [L], whether
      there are a face and all labels; overlap [].
    """
    times, labels = rating_series(segment)
    moved = [
        interpolate(segment["timestamps"] + delay, times, labels[:, target : target + 1])
        for target, delay in enumerate(reaction_delay)
    ]
    labels = tf.concat(moved, axis=1)
    rated = tf.reduce_all(tf.math.is_finite(labels), axis=1)
    return {
        "features": segment["features"],
        "present": segment["mask"],
        "labels": tf.where(tf.math.is_finite(labels), labels, 0),
        "mask": segment["mask"] & rated,
        "overlap": segment["overlap"],
    }


def rating_series(segment: Segment) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns times [R] in seconds and labels [R, D] of a segment and of the seconds after it."""
    times = tf.concat([segment["timestamps"], segment["later_timestamps"]], axis=0)
    return times, tf.concat([segment["labels"], segment["later_labels"]], axis=0)


def interpolate(queries: tf.Tensor, times: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Values [R, D] at times [R], linearly interpolated at queries [L]; NaN outside of the times.

    A query within a microsecond of a time takes that value as it is, whatever its neighbour is.
    """
    tolerance = 1e-6
    before = tf.searchsorted(times, queries + tolerance, side="right") - 1
    after = tf.minimum(before + 1, tf.size(times) - 1)
    before = tf.maximum(before, 0)
    start, end = tf.gather(times, before), tf.gather(times, after)
    exact = tf.abs(queries - start) <= tolerance
    weight = tf.cast(tf.math.divide_no_nan(queries - start, end - start), values.dtype)[
        :, tf.newaxis
    ]
    between = (1 - weight) * tf.gather(values, before) + weight * tf.gather(values, after)
    inside = (queries >= start) & (queries <= end)
    between = tf.where(inside[:, tf.newaxis], between, float("nan"))
    return tf.where(exact[:, tf.newaxis], tf.gather(values, before), between)


def clip_count(segment: Segment, clip: config.Clip) -> tf.Tensor:
    """How many clips start in a segment; clip k starts at its frame k, and its twin at frame k + 1.

    Clips that start in the overlap belong to the next segment. A recording's last segment ends with
    the twin of its last clip; one too short for that still has as many clips as bring every frame
    into one of them, and these run on past its end.
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    at_the_end = tf.maximum(frames - clip.span, tf.clip_by_value(frames - 1, 1, clip.stride - 1))
    return tf.where(segment["overlap"] > 0, frames - segment["overlap"], at_the_end)


def cut(segment: Segment, start: tf.Tensor, clip: config.Clip) -> dict[str, tf.Tensor]:
    """A clip and its twin: frame i of the twin is the recording's next frame after frame i of the clip.

    Frames past the recording's end are not valid, and all zeros.
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    indices = start + clip.stride * tf.range(clip.frames, dtype=tf.int64)
    result = {}
    for prefix, own in (("", indices), ("twin_", indices + 1)):
        inside = own < frames
        rows = tf.minimum(own, frames - 1)
        present = inside & tf.gather(segment["present"], rows)
        mask = inside & tf.gather(segment["mask"], rows)
        features = tf.gather(segment["features"], rows)
        labels = tf.gather(segment["labels"], rows)
        result[f"{prefix}features"] = tf.where(present[:, tf.newaxis], features, 0)
        result[f"{prefix}labels"] = tf.where(mask[:, tf.newaxis], labels, 0)
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

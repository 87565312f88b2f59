"""Cuts clips and their twin clips out of segments on demand, with tf.data (section 3.1).

Letters: L frames of a segment, N frames of a clip, F features, D targets.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ast_net import config
from ast_net.temporal import timing

Segment = dict[str, tf.Tensor]
# Size of the shuffle buffer, in clips.
_SHUFFLED_CLIPS = 128


def batches(
    segments: tf.data.Dataset,
    cycle_length: int,
    experiment: config.Experiment,
    time_step: float,
    epoch: int,
) -> tf.data.Dataset:
    """Returns the shuffled batches of one epoch; they depend only on the seed and the epoch.

    Args:
      segments: examples of `example_format.features_dict`, in the order of `reading_order`.
      cycle_length: how many segments are held in memory and interleaved.
      experiment: clip, reaction delay, batch size and seed.
      time_step: seconds between a clip's frames.
      epoch: counted from 0.

    Returns:
      The inputs of `temporal.siamese.build_training_model`: features and twin_features, float16
      [B, N, F]; labels and twin_labels, float32 [B, N, D], 0 where not valid; mask and twin_mask,
      bool [B, N, D].
    """
    training, clip = experiment.training, experiment.clip
    delays = experiment.reaction_delay.per_target(len(experiment.targets))
    seed = training.seed * 1_000_003 + epoch
    hop = training.clip_hop * time_step / clip.stride

    def clips_of(segment: Segment) -> tf.data.Dataset:
        prepared = prepare_segment(segment, delays, clip, time_step)
        # Seeds the random numbers of this segment.
        name_hash = tf.strings.to_hash_bucket_fast(segment["recording"], 2**31)
        segment_id = name_hash + segment["first_frame"]
        starts = epoch_starts(prepared, hop, training.seed, epoch, segment_id)
        shuffled = tf.random.experimental.stateless_shuffle(starts, (seed, segment_id))
        return tf.data.Dataset.from_tensor_slices(shuffled).map(lambda start: cut(prepared, start))

    # Interleaving brings many recordings into a batch; the buffer then breaks up the cycle's order.
    clips = segments.interleave(clips_of, cycle_length=cycle_length, block_length=1)
    clips = clips.shuffle(_SHUFFLED_CLIPS, seed=seed)
    batched = clips.batch(training.batch_size)
    if training.feature_dropout:
        batched = batched.enumerate().map(
            lambda number, batch: drop_features(batch, training.feature_dropout, (seed, number))
        )
    return batched.prefetch(2)


def reading_order(
    counts: Sequence[int], cycle_length: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Returns all segments in a random order that suits interleaved reading.

    The recordings are permuted and laid out in a row, each with its segments permuted. The row is
    cut into `cycle_length` parts of equal length. The order is the first segment of each part, then
    the second of each, and so on. So any `cycle_length` consecutive segments come from nearly as
    many recordings as possible, and long recordings are represented in proportion to their length.

    Args:
      counts: the number of segments of each recording.
      cycle_length: how many segments are interleaved.
      rng: the source of randomness.

    Returns:
      For each segment the index of its recording, and its index in the recording.
    """
    row = [
        (recording, int(segment))
        for recording in rng.permutation(len(counts)).tolist()
        for segment in rng.permutation(counts[recording])
    ]
    edges = np.linspace(0, len(row), min(cycle_length, len(row)) + 1).astype(int).tolist()
    parts = [row[first:last] for first, last in itertools.pairwise(edges)]
    # The parts differ in length by at most one segment: zip_longest fills the last round with None.
    rounds = itertools.zip_longest(*parts)
    return [segment for one_round in rounds for segment in one_round if segment is not None]


def measuring_batches(
    segments: tf.data.Dataset, experiment: config.Experiment, time_step: float
) -> tf.data.Dataset:
    """Returns batches like those of `batches` to measure a loss on: always the same, in order.

    A clip starts at every N-th frame.

    Args:
      segments: examples of `example_format.features_dict`, those of a recording in order.
      experiment: clip, reaction delay and batch size.
      time_step: seconds between a clip's frames.
    """
    clip = experiment.clip
    delays = experiment.reaction_delay.per_target(len(experiment.targets))

    def clips_of(segment: Segment) -> tf.data.Dataset:
        prepared = prepare_segment(segment, delays, clip, time_step)
        starts = tf.range(0, clip_count(prepared), clip.frames)
        return tf.data.Dataset.from_tensor_slices(starts).map(lambda start: cut(prepared, start))

    return segments.flat_map(clips_of).batch(experiment.training.batch_size)


def prepare_segment(
    segment: Segment, reaction_delay: Sequence[float], clip: config.Clip, time_step: float
) -> Segment:
    """Shifts the labels by the reaction delay, and finds the frames of every clip.

    Args:
      segment: an example of `example_format.features_dict`.
      reaction_delay: seconds, one for each of the D targets.
      clip: gives N.
      time_step: seconds between a clip's frames.

    Returns:
      features: float16 [L, F].
      present: bool [L], whether the frame shows a face.
      labels: float32 [L, D], the gold standard `reaction_delay` seconds after each frame; 0 where
        there is none.
      mask: bool [L, D], whether there are a face and a label.
      chains: int64 [L, N], the frames of the clip that starts at each frame; L past the end.
      overlap: [], as in the example.
      interval: [], the median time from frame to frame, in seconds.
    """

    def in_numpy(times, rating_times, ratings):
        labels = timing.delayed_ratings(times, reaction_delay, rating_times, ratings)
        chains = timing.chains(times, time_step, clip.frames)
        # Of a Python float, eager TensorFlow would make float32.
        return labels, chains, np.float64(timing.interval(times, time_step))

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


def rating_series(segment: Segment) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the labels of a segment and of the seconds after it: times [R] and labels [R, D]."""
    times = tf.concat([segment["timestamps"], segment["later_timestamps"]], axis=0)
    return times, tf.concat([segment["labels"], segment["later_labels"]], axis=0)


def clip_count(segment: Segment) -> tf.Tensor:
    """Returns the number of clips that start in a segment: clip k starts at its frame k.

    Clips that start in the overlap belong to the next segment. In the last segment of a recording,
    the last clip is the one whose twin clip ends with the segment. If the segment is too short for
    that, there are as many clips as it takes for every frame to be in one; they run past its end.
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    # Clips that lie inside the segment together with their twins.
    complete = tf.reduce_sum(tf.cast(segment["chains"][:, -1] + 1 < frames, tf.int64))
    # A short segment consists of interleaved sequences, whose frames are a time step apart. The
    # first frame of a sequence is no other frame's successor. `successors` also counts the end, L,
    # once. This makes up for the last frame, which starts no clip: it is the twin of the previous.
    successors = tf.size(tf.unique(segment["chains"][:, 1])[0], tf.int64)
    sequences = frames - successors
    in_last_segment = tf.maximum(complete, tf.clip_by_value(frames - 1, 1, sequences))
    return tf.where(segment["overlap"] > 0, frames - segment["overlap"], in_last_segment)


def epoch_starts(
    segment: Segment, hop: float, seed: int, epoch: int, segment_id: tf.Tensor
) -> tf.Tensor:
    """Chooses the clips of a segment that belong to an epoch: one in every `hop` seconds.

    The choice changes from epoch to epoch: if `hop` seconds have H frames, H epochs together have
    every clip once. Within an epoch, the offsets of the clips in their `hop` seconds are random. A
    segment with fewer than H clips has one clip in each epoch.

    Args:
      segment: the result of `prepare_segment`.
      hop: seconds.
      seed: seed of the training.
      epoch: counted from 0.
      segment_id: a number that differs between segments.

    Returns:
      The first frames of the clips, int64 [n].
    """
    count = clip_count(segment)
    frames = tf.maximum(tf.cast(tf.round(hop / segment["interval"]), tf.int64), 1)
    frames = tf.minimum(frames, count)
    slots = -(-count // frames)
    # Every slot starts at a random clip and moves on by one clip each epoch, cyclically. When all
    # clips of the slot have been used, after `frames` epochs, the random clip is drawn anew.
    slot_seed = (tf.cast(seed, tf.int64) * 1_000_003 + epoch // frames, segment_id)
    first = tf.random.stateless_uniform((slots,), tf.stack(slot_seed), 0, frames, tf.int64)
    starts = frames * tf.range(slots) + (first + epoch) % frames
    return tf.boolean_mask(starts, starts < count)


def cut(segment: Segment, start: tf.Tensor) -> dict[str, tf.Tensor]:
    """Cuts a clip and its twin clip, which has the next frame of the recording for each frame.

    Frames past the end of the recording are masked, with features and labels 0.

    Args:
      segment: the result of `prepare_segment`.
      start: the first frame of the clip, int64 [].

    Returns:
      features and twin_features float16 [N, F], labels and twin_labels float32 [N, D], mask and
      twin_mask bool [N, D].
    """
    frames = tf.shape(segment["features"], tf.int64)[0]
    clip = segment["chains"][start]
    result = {}
    for prefix, indices in (("", clip), ("twin_", clip + 1)):
        inside = indices < frames
        rows = tf.minimum(indices, frames - 1)
        present = inside & tf.gather(segment["present"], rows)
        mask = inside[:, tf.newaxis] & tf.gather(segment["mask"], rows)
        features = tf.gather(segment["features"], rows)
        labels = tf.gather(segment["labels"], rows)
        result[f"{prefix}features"] = tf.where(present[:, tf.newaxis], features, 0)
        result[f"{prefix}labels"] = tf.where(mask, labels, 0)
        result[f"{prefix}mask"] = mask
    return result


def drop_features(batch: dict[str, tf.Tensor], rate: float, seed: tuple) -> dict[str, tf.Tensor]:
    """Applies dropout to the features: sets a part of them to 0 and scales up the others.

    The same features are dropped in all frames of a clip and its twin, because the losses compare
    frames and twins; different ones in each pair of clips.
    """
    features = tf.shape(batch["features"])
    chance = tf.random.stateless_uniform((features[0], 1, features[2]), seed)
    factors = tf.cast(tf.where(chance < rate, 0.0, 1 / (1 - rate)), batch["features"].dtype)
    return {
        name: value * factors if name.endswith("features") else value
        for name, value in batch.items()
    }

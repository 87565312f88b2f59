"""Properties of clips, for random recordings, segments and settings."""

import functools

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from ast_net import config
from ast_net.records import clips, example_format
from ast_net.temporal import timing

CLIP, STEP = config.Clip(5, 3), 3 / 25
SETTINGS = hypothesis.settings(max_examples=12, deadline=None, derandomize=True)
recordings = st.tuples(
    st.integers(1, 120), st.integers(2, 4), st.integers(1, 4), st.integers(0, 10**6)
)


RATE = 25


def make_segments(times, clip, step, seed=0, face_rate=0.8):
    """Makes prepared segments whose feature is the frame's number + 1, and their mask."""
    rng = np.random.default_rng(seed)
    frames = len(times)
    overlap = example_format.overlap(times, clip.frames, step)
    present = rng.random(frames) < face_rate
    segments = []
    for first, last in example_format.segment_bounds(frames, overlap):
        numbers = np.arange(first, last)
        segments.append(
            {
                "features": tf.constant((numbers[:, np.newaxis] + 1.0), tf.float32),
                "present": tf.constant(present[first:last]),
                "labels": tf.constant(np.stack([numbers, -numbers], axis=1), tf.float32),
                "mask": tf.constant(np.stack([present[first:last]] * 2, axis=1)),
                "chains": tf.constant(timing.chains(times[first:last], step, clip.frames)),
                "overlap": tf.constant(overlap if last < frames else 0, tf.int64),
            }
        )
    return segments, present


def cut_all(segments):
    all_clips = [
        {k: v.numpy() for k, v in clips.cut(segment, tf.constant(start, tf.int64)).items()}
        for segment in segments
        for start in range(int(clips.clip_count(segment)))
    ]
    for clip in all_clips:
        for prefix in ("", "twin_"):
            mask = clip[f"{prefix}mask"]
            np.testing.assert_array_equal(mask[:, 0], mask[:, 1])
            clip[f"{prefix}mask"] = mask[:, 0]
    return all_clips


@hypothesis.given(recordings)
@SETTINGS
def test_twins_are_one_frame_later_and_cover_the_recording(recording):
    frames, n, stride, seed = recording
    clip = config.Clip(n, stride)
    times = np.arange(frames) / RATE
    segments, present = make_segments(times, clip, stride / RATE, seed)
    seen = np.zeros(frames, bool)
    starts = []
    for c in cut_all(segments):
        for prefix in ("", "twin_"):
            mask, numbers = c[f"{prefix}mask"], c[f"{prefix}features"][:, 0].astype(int) - 1
            assert present[numbers[mask]].all()
            assert (c[f"{prefix}features"][~mask] == 0).all()
            assert (c[f"{prefix}labels"][~mask] == 0).all()
            np.testing.assert_array_equal(c[f"{prefix}labels"][mask, 0], numbers[mask])
            np.testing.assert_array_equal(c[f"{prefix}labels"][mask, 1], -numbers[mask])
            # The valid frames of a clip are `stride` apart.
            valid = np.flatnonzero(mask)
            np.testing.assert_array_equal(np.diff(numbers[mask]), stride * np.diff(valid))
            seen[numbers[mask]] = True
            if mask.any():
                starts.append((prefix, numbers[mask][0] - stride * valid[0]))
        both = c["mask"] & c["twin_mask"]
        np.testing.assert_array_equal(c["twin_features"][both], c["features"][both] + 1)
    np.testing.assert_array_equal(seen, present)
    assert len(starts) == len(set(starts)), "a clip occurs twice"


@hypothesis.given(recordings)
@SETTINGS
def test_every_clip_that_fits_occurs_once_for_any_division_into_segments(recording):
    frames, n, stride, _ = recording
    clip = config.Clip(n, stride)
    times = np.arange(frames) / RATE
    segments, _ = make_segments(times, clip, stride / RATE, face_rate=1.0)
    starts = sorted(int(c["features"][0, 0]) - 1 for c in cut_all(segments))
    complete = frames - (n - 1) * stride - 1  # clips inside the recording, with their twins
    assert starts == list(range(max(complete, min(stride - 1, frames - 1), 1)))


@hypothesis.given(st.integers(1, 5000), st.integers(2, 60))
@SETTINGS
def test_segments_overlap_and_store_at_most_half_of_the_frames_twice(frames, overlap):
    bounds = list(example_format.segment_bounds(frames, overlap))
    assert bounds[0][0] == 0
    assert bounds[-1][1] == frames
    for (_, last), (first, _) in zip(bounds, bounds[1:], strict=False):
        assert last - first == overlap
    assert all(last - first <= example_format.SEGMENT_OVERLAPS * overlap for first, last in bounds)
    assert sum(last - first for first, last in bounds) <= frames * 1.5


@hypothesis.given(st.integers(2, 150), st.integers(2, 4), st.integers(0, 10**6))
@SETTINGS
def test_clips_follow_time_at_any_frame_rate(frames, n, seed):
    """Each frame of a clip is the one nearest to a time step after the one before."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.12, frames))
    clip, step = config.Clip(n, 3), 0.1
    segments, _ = make_segments(times, clip, step, face_rate=1.0)
    following = np.append(timing.successors(times, step), frames)
    complete = 0
    for c in cut_all(segments):
        start = int(c["features"][0, 0]) - 1
        expected = [start]
        for _ in range(n - 1):
            expected.append(int(following[expected[-1]]))
        clip_frames = np.array(expected)
        for prefix, indices in (("", clip_frames), ("twin_", clip_frames + 1)):
            inside = indices < frames
            np.testing.assert_array_equal(c[f"{prefix}mask"], inside)
            numbers = c[f"{prefix}features"][inside, 0].astype(int) - 1
            np.testing.assert_array_equal(numbers, indices[inside])
        complete += clip_frames[-1] + 1 < frames
    ends = timing.chains(times, step, n)[:, -1] + 1
    assert complete == (ends < frames).sum(), "each clip that fits occurs once"


def raw_segment(frames=40, later=25, rate=25.0):
    """Returns a segment as it is stored, with labels that are linear in time."""
    times = np.arange(frames + later) / rate
    labels = np.stack([times, -2 * times], axis=1).astype(np.float32)
    return {
        "features": tf.ones((frames, 3), tf.float16),
        "mask": tf.constant([True] * (frames - 1) + [False]),
        "labels": tf.constant(labels[:frames]),
        "timestamps": tf.constant(times[:frames]),
        "later_labels": tf.constant(labels[frames:]),
        "later_timestamps": tf.constant(times[frames:]),
        "recording": tf.constant("P1"),
        "first_frame": tf.constant(0, tf.int64),
        "overlap": tf.constant(0, tf.int64),
    }


@pytest.mark.parametrize("delay", [0.0, 0.04, 0.5, 0.513])
def test_reaction_delay_shifts_labels_in_time(delay):
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [delay, delay], CLIP, STEP)
    times = segment["timestamps"].numpy()
    np.testing.assert_allclose(prepared["labels"][:, 0], times + delay, atol=1e-6)
    np.testing.assert_allclose(prepared["labels"][:, 1], -2 * (times + delay), atol=1e-6)
    np.testing.assert_array_equal(prepared["mask"], np.stack([segment["mask"]] * 2, axis=1))
    assert float(prepared["interval"]) == pytest.approx(0.04, rel=1e-12)


def test_each_target_has_its_own_reaction_delay():
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [0.2, 0.6], CLIP, STEP)
    times = segment["timestamps"].numpy()
    np.testing.assert_allclose(prepared["labels"][:, 0], times + 0.2, atol=1e-6)
    np.testing.assert_allclose(prepared["labels"][:, 1], -2 * (times + 0.6), atol=1e-6)


def test_frames_without_a_rating_are_masked_in_that_target_and_keep_their_face():
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [2.0, 1.0], CLIP, STEP)
    # The last rating is at 64/25 s, so frames after 14/25 s have no rating two seconds later.
    np.testing.assert_array_equal(prepared["mask"][:, 0], np.arange(40) <= 14)
    np.testing.assert_array_equal(prepared["mask"][:, 1], np.arange(40) < 39)
    np.testing.assert_array_equal(prepared["present"], segment["mask"])
    assert np.isfinite(prepared["labels"]).all()


def test_every_recording_however_short_has_clips_in_every_epoch():
    lengths = [1, 3, 12, 13, 14, 30]
    # The features of a recording are its length. The frame of the shortest one has no face.
    recordings = [
        raw_segment(frames) | {"features": tf.fill((frames, 3), tf.constant(frames, tf.float16))}
        for frames in lengths
    ]
    segments = dataset(*recordings)
    for epoch in range(6):
        (batch,) = clips.batches(
            segments, 6, experiment(clip_hop=20), STEP, epoch
        ).as_numpy_iterator()
        assert batch["mask"].shape == (6, 5, 2)
        assert sorted(batch["features"].max(axis=(1, 2))) == [0, *lengths[1:]]


def dataset(*segments):
    first, *others = map(tf.data.Dataset.from_tensors, segments)
    return functools.reduce(tf.data.Dataset.concatenate, others, first)


def experiment(**training):
    return config.Experiment(
        clip=CLIP,
        reaction_delay=config.ReactionDelay((0.0,)),
        training=config.Training(**training),
    )


def batches_of_epoch(epoch, **settings):
    segments = dataset(raw_segment(60), raw_segment(31))
    settings = experiment(batch_size=4, clip_hop=4, **settings)
    return list(clips.batches(segments, 2, settings, STEP, epoch).as_numpy_iterator())


def test_batches_have_the_shapes_that_the_model_expects():
    first, *_ = batches_of_epoch(0)
    assert {name: (value.shape, value.dtype.name) for name, value in first.items()} == {
        f"{prefix}{name}": (shape, dtype)
        for prefix in ("", "twin_")
        for name, shape, dtype in [
            ("features", (4, 5, 3), "float16"),
            ("labels", (4, 5, 2), "float32"),
            ("mask", (4, 5, 2), "bool"),
        ]
    }


def test_an_epoch_depends_only_on_the_seed_and_its_number():
    def order(epoch, seed):
        return [label for b in batches_of_epoch(epoch, seed=seed) for label in b["labels"][:, 0, 0]]

    epochs = [order(epoch, 5) for epoch in range(8)]
    assert order(1, 5) == epochs[1]
    assert epochs[1] != epochs[2]
    assert order(1, 6) != epochs[1]
    starts = {round(label * 25) for epoch in epochs for label in epoch}
    assert starts == set(range(60 - 13)), "the epochs together have every clip"


def test_every_clip_occurs_once_in_as_many_epochs_as_the_hop_has_frames():
    hop, starts = 4, []
    for epoch in range(8, 8 + hop):
        for batch in batches_of_epoch(epoch):
            labels = batch["labels"][:, 0, 0]
            starts += np.rint(labels * RATE).astype(int).tolist()
    # The segments have 60 and 31 frames; a clip and its twin take 14.
    expected = sorted([*range(60 - 13), *range(31 - 13)])
    assert sorted(starts) == expected


def test_the_clips_of_an_epoch_do_not_share_one_offset():
    starts = [
        round(float(label) * RATE) % 4
        for batch in batches_of_epoch(0)
        for label in batch["labels"][:, 0, 0]
    ]
    assert len(set(starts)) > 1


def test_every_segment_is_read_once(rng):
    counts = [3, 1, 7, 2]
    for cycle_length in (1, 4, 50):
        order = clips.reading_order(counts, cycle_length, rng)
        assert sorted(order) == [(r, s) for r, count in enumerate(counts) for s in range(count)]
    assert clips.reading_order(counts, 4, rng) != clips.reading_order(counts, 4, rng)


def test_a_batch_has_nearly_as_many_recordings_as_uniform_shuffling_gives(rng):
    """Like AVEC 2012: 31 recordings of 2 to 7 minutes, 32 clips a batch, 50 segments in memory."""
    counts = rng.integers(6, 21, 31)
    order = clips.reading_order(counts, 50, rng)
    # Each clip is represented by the number of its recording.
    recordings = tf.data.Dataset.from_tensor_slices([recording for recording, _ in order])
    recordings = recordings.interleave(
        lambda recording: tf.data.Dataset.from_tensors(recording).repeat(197), cycle_length=50
    )
    recordings = recordings.shuffle(clips._SHUFFLED_CLIPS, seed=1).batch(32)
    distinct = [len(np.unique(batch)) for batch in recordings.as_numpy_iterator()]
    uniform = (1 - (1 - counts / counts.sum()) ** 32).sum()
    assert np.mean(distinct) >= 0.9 * uniform
    # This also holds at the end of the epoch.
    assert np.mean(distinct[-len(distinct) // 5 :]) >= 0.9 * uniform


def test_measuring_batches_always_have_the_same_clips_in_order():
    segments = tf.data.Dataset.from_tensors(raw_segment(60))
    first, again = (
        np.concatenate(
            [
                batch["labels"][:, 0, 0]
                for batch in clips.measuring_batches(segments, experiment(batch_size=4), STEP)
            ]
        )
        for _ in "ab"
    )
    np.testing.assert_allclose(first * RATE, np.arange(0, 47, 5), atol=1e-4)
    np.testing.assert_array_equal(first, again)

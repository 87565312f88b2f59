"""Properties of clips, over random recordings, segments and settings."""

import functools

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from ast_net import config
from ast_net.records import clips, example_format

SETTINGS = hypothesis.settings(max_examples=20, deadline=None, derandomize=True)
recordings = st.tuples(
    st.integers(1, 120), st.integers(2, 4), st.integers(1, 4), st.integers(0, 10**6)
)


def make_segments(frames, overlap, name="P1", seed=0, face_rate=0.8):
    """A recording whose feature is the frame's number + 1, as prepared segments and its true mask."""
    rng = np.random.default_rng(seed)
    present = rng.random(frames) < face_rate
    segments = []
    for first, last in example_format.segment_bounds(frames, overlap):
        numbers = np.arange(first, last)
        segments.append(
            {
                "features": tf.constant((numbers[:, np.newaxis] + 1.0), tf.float32),
                "present": tf.constant(present[first:last]),
                "labels": tf.constant(np.stack([numbers, -numbers], axis=1), tf.float32),
                "mask": tf.constant(present[first:last]),
                "overlap": tf.constant(overlap if last < frames else 0, tf.int64),
            }
        )
    return segments, present


def cut_all(segments, clip):
    return [
        {k: v.numpy() for k, v in clips.cut(segment, tf.constant(start, tf.int64), clip).items()}
        for segment in segments
        for start in range(int(clips.clip_count(segment, clip)))
    ]


@hypothesis.given(recordings)
@SETTINGS
def test_twins_are_one_frame_later_and_cover_the_recording(recording):
    frames, n, stride, seed = recording
    clip = config.Clip(n, stride)
    segments, present = make_segments(frames, clip.span + 1, seed=seed)
    seen = np.zeros(frames, bool)
    starts = []
    for c in cut_all(segments, clip):
        for prefix in ("", "twin_"):
            mask, numbers = c[f"{prefix}mask"], c[f"{prefix}features"][:, 0].astype(int) - 1
            assert present[numbers[mask]].all()
            assert (c[f"{prefix}features"][~mask] == 0).all()
            assert (c[f"{prefix}labels"][~mask] == 0).all()
            np.testing.assert_array_equal(c[f"{prefix}labels"][mask, 0], numbers[mask])
            np.testing.assert_array_equal(c[f"{prefix}labels"][mask, 1], -numbers[mask])
            # Frames of a clip are `stride` apart wherever they are valid.
            places = np.flatnonzero(mask)
            np.testing.assert_array_equal(np.diff(numbers[mask]), stride * np.diff(places))
            seen[numbers[mask]] = True
            if mask.any():
                starts.append((prefix, numbers[mask][0] - stride * places[0]))
        both = c["mask"] & c["twin_mask"]
        np.testing.assert_array_equal(c["twin_features"][both], c["features"][both] + 1)
    np.testing.assert_array_equal(seen, present)
    assert len(starts) == len(set(starts)), "a clip occurs twice"


@hypothesis.given(recordings)
@SETTINGS
def test_every_clip_that_fits_is_there_once_for_any_division_into_segments(recording):
    frames, n, stride, _ = recording
    clip = config.Clip(n, stride)
    segments, _ = make_segments(frames, clip.span + 1, face_rate=1.0)
    found = sorted(int(c["features"][0, 0]) - 1 for c in cut_all(segments, clip))
    assert found == list(range(max(frames - clip.span, min(stride - 1, frames - 1), 1)))


@hypothesis.given(st.integers(1, 5000), st.integers(2, 60))
@SETTINGS
def test_segments_overlap_and_store_little_twice(frames, overlap):
    bounds = list(example_format.segment_bounds(frames, overlap))
    assert bounds[0][0] == 0
    assert bounds[-1][1] == frames
    for (_, last), (first, _) in zip(bounds, bounds[1:], strict=False):
        assert last - first == overlap
    assert all(last - first <= example_format.SEGMENT_OVERLAPS * overlap for first, last in bounds)
    assert sum(last - first for first, last in bounds) <= frames * (1 + 1 / 9)


def test_interpolation_equals_numpy(rng):
    times = np.cumsum(rng.uniform(0.01, 0.1, 50))
    values = rng.normal(size=(50, 2))
    queries = rng.uniform(times[0], times[-1], 30)
    found = clips.interpolate(tf.constant(queries), tf.constant(times), tf.constant(values))
    expected = np.stack([np.interp(queries, times, column) for column in values.T], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_interpolation_at_edges_and_beside_missing_values():
    times = tf.constant([0.0, 0.1, 0.2], tf.float64)
    values = tf.constant([[1.0], [np.nan], [3.0]])
    queries = tf.constant([-0.01, 0.0, 0.05, 0.1, 0.2, 0.21], tf.float64)
    found = clips.interpolate(queries, times, values).numpy()[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 1, np.nan, np.nan, 3, np.nan])


def raw_segment(frames=40, later=25, rate=25.0):
    """A segment as it is stored, its labels a straight line over time."""
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
def test_reaction_delay_moves_labels_by_time(delay):
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [delay, delay])
    times = segment["timestamps"].numpy()
    np.testing.assert_allclose(prepared["labels"][:, 0], times + delay, atol=1e-6)
    np.testing.assert_allclose(prepared["labels"][:, 1], -2 * (times + delay), atol=1e-6)
    np.testing.assert_array_equal(prepared["mask"], segment["mask"])


def test_each_target_has_its_own_reaction_delay():
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [0.2, 0.6])
    times = segment["timestamps"].numpy()
    np.testing.assert_allclose(prepared["labels"][:, 0], times + 0.2, atol=1e-6)
    np.testing.assert_allclose(prepared["labels"][:, 1], -2 * (times + 0.6), atol=1e-6)


def test_frames_without_a_rating_are_masked_and_keep_their_face():
    segment = raw_segment()
    prepared = clips.prepare_segment(segment, [2.0, 2.0])
    # The last rating is at 64/25 s: frames after 14/25 s have none two seconds later.
    np.testing.assert_array_equal(prepared["mask"], np.arange(40) <= 14)
    np.testing.assert_array_equal(prepared["present"], segment["mask"])
    assert np.isfinite(prepared["labels"]).all()


def test_every_recording_however_short_has_clips_in_every_epoch():
    lengths = [1, 3, 12, 13, 14, 30]
    # A recording's features say how long it is; that of one frame has no face.
    recordings = [
        raw_segment(frames) | {"features": tf.fill((frames, 3), tf.constant(frames, tf.float16))}
        for frames in lengths
    ]
    first, *others = map(tf.data.Dataset.from_tensors, recordings)
    segments = functools.reduce(tf.data.Dataset.concatenate, others, first)
    for epoch in range(6):
        (batch,) = clips.batches(segments, experiment(clip_hop=20), epoch).as_numpy_iterator()
        assert batch["mask"].shape == (6, 5)
        assert sorted(batch["features"].max(axis=(1, 2))) == [0, *lengths[1:]]


def experiment(**training):
    return config.Experiment(
        clip=config.Clip(5, 3),
        reaction_delay=config.ReactionDelay((0.0,)),
        training=config.Training(**training),
    )


def batches_of_epoch(epoch, **settings):
    segments = tf.data.Dataset.from_tensors(raw_segment(60)).concatenate(
        tf.data.Dataset.from_tensors(raw_segment(31))
    )
    settings = experiment(batch_size=4, clip_hop=4, **settings)
    return list(clips.batches(segments, settings, epoch).as_numpy_iterator())


def test_batches_have_the_models_shapes():
    first, *_ = batches_of_epoch(0)
    assert {name: (value.shape, value.dtype.name) for name, value in first.items()} == {
        f"{prefix}{name}": (shape, dtype)
        for prefix in ("", "twin_")
        for name, shape, dtype in [
            ("features", (4, 5, 3), "float32"),
            ("labels", (4, 5, 2), "float32"),
            ("mask", (4, 5), "bool"),
        ]
    }


def test_an_epoch_is_a_function_of_seed_and_epoch():
    def order(epoch, seed):
        return [label for b in batches_of_epoch(epoch, seed=seed) for label in b["labels"][:, 0, 0]]

    epochs = [order(epoch, 5) for epoch in range(8)]
    assert order(1, 5) == epochs[1]
    assert epochs[1] != epochs[2]
    assert order(1, 6) != epochs[1]
    starts = {round(label * 25) for epoch in epochs for label in epoch}
    assert starts == set(range(60 - 13)), "the epochs together have every clip"

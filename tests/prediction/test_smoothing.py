"""The mean over one time step, against a computation of the whole recording at once."""

import itertools

import numpy as np
import pytest

from ast_net.prediction import frames, smoothing

STEP = 0.4


def recording(times, values, present, held=0.0):
    """Returns the predicted frames of K faces with values [K, T, D], seen where `present` [K, T].

    A face that left repeats its last values for `held` seconds.
    """
    result, last = [], {}
    for number, time in enumerate(times):
        faces = []
        for face_id in range(len(values)):
            if present[face_id][number]:
                last[face_id] = time, values[face_id, number]
                faces.append(frames.FacePrediction(face_id, "seen", values[face_id, number]))
            elif face_id in last and time - last[face_id][0] <= held:
                faces.append(frames.FacePrediction(face_id, None, last[face_id][1]))
        result.append(frames.FramePrediction(number, time, faces))
    return result


def smooth(frames_, face_id=0):
    """Returns a face's smooth values, [T, D]; NaN in frames that do not have it."""
    faces = [{face.face_id: face for face in frame.faces}.get(face_id) for frame in frames_]
    return np.stack([np.full(2, np.nan) if face is None else face.smooth for face in faces])


def brute_force(times, values, present, live):
    """Averages a face's values [T, D] in float64; NaN in frames that do not show it."""
    result = np.full(values.shape, np.nan)
    for number, time in enumerate(times):
        start, end = (time - STEP, time) if live else (time - STEP / 2, time + STEP / 2)
        inside = (times > start + 1e-6) & (times <= end + 1e-6) & present
        if present[number]:
            result[number] = values[inside].astype(np.float64).mean(axis=0)
    return result


TIMES = {
    "25 frames/s": np.arange(200) / 25,
    "29.97 frames/s": np.arange(200) * 1001 / 30000,
    "rate rises": np.concatenate([np.arange(100) / 15, 100 / 15 + np.arange(100) / 60]),
    "uneven": np.cumsum(np.random.default_rng(1).uniform(0.001, 0.12, 200)),
    "gaps": np.arange(200) / 25 + 0.3 * (np.arange(200) > 40) + 5 * (np.arange(200) > 90),
    "slower than the step": np.arange(200) * 0.7,
}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", TIMES)
def test_equals_the_mean_of_the_whole_recording(rng, name, live):
    times = TIMES[name]
    values = rng.normal(size=(3, 200, 2)).astype(np.float32)
    present = rng.random((3, 200)) < [[0.9], [0.5], [1.0]]
    present[0, 50:70] = False
    present[1, :120] = False
    smoothed = list(smoothing.smoothed(recording(times, values, present), STEP, live))
    assert [frame.index for frame in smoothed] == list(range(200))
    for face_id in range(3):
        actual = smooth(smoothed, face_id)
        expected = brute_force(times, values[face_id], present[face_id], live)
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    assert all(face.smooth.dtype == np.float32 for frame in smoothed for face in frame.faces)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("start", [0.0, 7200.04])
@pytest.mark.parametrize(("rate", "phases"), [(25, 10), (30, 12), (50, 20), (12.5, 5)])
def test_each_phase_counts_once(rate, phases, start, live):
    """A comb, each phase a constant of its own, becomes its mean."""
    times, number = start + np.arange(20 * phases) / rate, np.arange(20 * phases)
    comb = np.random.default_rng(3).normal(size=(phases, 2)).astype(np.float32)[number % phases]
    present = np.ones((1, len(times)), bool)
    smoothed = smooth(smoothing.smoothed(recording(times, comb[np.newaxis], present), STEP, live))
    inner = smoothed[phases:-phases]
    expected = np.broadcast_to(comb[:phases].mean(axis=0, dtype=np.float64), inner.shape)
    np.testing.assert_allclose(inner, expected, rtol=0, atol=1e-6)


def test_the_window_looks_ahead_in_files_and_back_at_cameras():
    times = np.arange(60) / 25
    values = np.zeros((1, 60, 2), np.float32)
    values[0, 30] = 1
    recorded = recording(times, values, np.ones((1, 60), bool))
    affected = np.flatnonzero(smooth(smoothing.smoothed(recorded, STEP))[:, 0])
    np.testing.assert_array_equal(affected, np.arange(25, 35), "t - 4 to t + 5 of each frame")
    affected = np.flatnonzero(smooth(smoothing.smoothed(recorded, STEP, live=True))[:, 0])
    np.testing.assert_array_equal(affected, np.arange(30, 40), "t - 9 to t of each frame")


@pytest.mark.parametrize("live", [False, True])
def test_a_constant_stays_as_it_is(rng, live):
    present = rng.random((1, 200)) < 0.7
    values = np.full((1, 200, 2), 0.3, np.float32)
    recorded = recording(TIMES["uneven"], values, present)
    for frame in smoothing.smoothed(recorded, STEP, live):
        for face in frame.faces:
            np.testing.assert_array_equal(face.smooth, face.values)


def test_while_a_face_is_away_its_last_mean_is_repeated(rng):
    times, values = np.arange(60) / 25, rng.normal(size=(1, 60, 2)).astype(np.float32)
    present = np.ones((1, 60), bool)
    present[0, 20:45] = False
    smoothed = smooth(smoothing.smoothed(recording(times, values, present, held=0.5), STEP))
    np.testing.assert_allclose(smoothed[19], values[0, 15:20].mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(smoothed[20:32], smoothed[[19] * 12], "held values do not count")
    assert np.isnan(smoothed[32:45]).all()
    np.testing.assert_allclose(smoothed[45], values[0, 45:51].mean(axis=0), atol=1e-6)


def test_a_frame_that_never_showed_its_face_has_no_mean():
    held = frames.FacePrediction(0, None, np.ones(2, np.float32))
    [frame] = smoothing.smoothed([frames.FramePrediction(0, 0.0, [held])], STEP)
    assert np.isnan(frame.faces[0].smooth).all() and frame.faces[0].smooth.shape == (2,)


def read_and_waiting(times, live=False, image=None):
    """Yields each smoothed frame, and how many frames have been read by then."""
    read = []

    def reading():
        for number, time in enumerate(times):
            read.append(number)
            face = frames.FacePrediction(0, "seen", np.full(2, number, np.float32))
            yield frames.FramePrediction(number, time, [face], image)

    for frame in smoothing.smoothed(reading(), STEP, live):
        yield frame, len(read)


def test_frames_wait_for_half_a_time_step():
    """Images are not copied, and no more frames are kept however long the recording."""
    image = np.zeros((4, 4, 3), np.uint8)
    endless = (number / 25 for number in itertools.count())
    for frame, read in itertools.islice(read_and_waiting(endless, image=image), 500):
        assert read == frame.index + 6, "five later frames"
        assert frame.image is image


def test_a_camera_s_frames_do_not_wait():
    for frame, read in read_and_waiting(TIMES["uneven"], live=True):
        assert read == frame.index + 1


def test_large_images_wait_for_a_shorter_time(monkeypatch):
    image = np.zeros((100, 100, 3), np.uint8)
    monkeypatch.setattr(smoothing, "_WAITING_BYTES", 3 * image.nbytes)
    smoothed = list(read_and_waiting(np.arange(50) / 25, image=image))
    assert [frame.index for frame, _ in smoothed] == list(range(50))
    assert all(read <= frame.index + 4 for frame, read in smoothed)
    assert smoothed[20][0].faces[0].smooth[0] == np.mean(range(16, 24))


def test_the_frames_before_an_error_are_not_lost():
    def breaking():
        yield from recording(np.arange(20) / 25, np.ones((1, 20, 2)), np.ones((1, 20), bool))
        raise OSError("the disk is gone")

    smoothed = []
    with pytest.raises(OSError, match="the disk is gone"):
        smoothed.extend(smoothing.smoothed(breaking(), STEP))
    assert [frame.index for frame in smoothed] == list(range(20))


def test_no_frames():
    assert list(smoothing.smoothed([], STEP)) == []

"""The warped portrait: its pixels show the expression, and the warp does not fold."""

import cv2
import numpy as np
import pytest

from ast_net.demo import synthetic_face

# Draws the portrait enlarged by 1.25, with the face in the middle of the picture.
SCALE = 1.25
TO_PORTRAIT = np.array([[1 / SCALE, 0.0, 16.0], [0.0, 1 / SCALE, 22.0]])
LANDMARKS = synthetic_face.landmarks()


@pytest.fixture(scope="module")
def face():
    return synthetic_face.PortraitFace(np.random.default_rng(5))


def rows(part):
    """Returns the indices of a facial part's landmarks."""
    return np.flatnonzero(LANDMARKS.parts == part)


def in_picture(positions):
    return (positions - TO_PORTRAIT[:, 2]) * SCALE


def movement(face, before, after, part):
    """Measures by optical flow how a part moves between two expressions, in pixels, [L, 2]."""
    pictures = [
        cv2.cvtColor(face.draw(*e, TO_PORTRAIT)[0], cv2.COLOR_RGB2GRAY) for e in (before, after)
    ]
    flow = cv2.calcOpticalFlowFarneback(*pictures, None, 0.5, 3, 15, 5, 7, 1.5, 0)
    x, y = in_picture(face.landmarks(*before)[rows(part)]).round().astype(int).T
    return flow[y, x]


@pytest.mark.parametrize("arousal", [-0.6, 0.0, 0.6])
def test_valence_lifts_the_corners_of_the_mouth(face, arousal):
    up = movement(face, (0.0, arousal), (0.35, arousal), "mouth corners")[:, 1]
    down = movement(face, (0.0, arousal), (-0.35, arousal), "mouth corners")[:, 1]
    assert (up < -0.7).all() and (down > 0.7).all()


@pytest.mark.parametrize("valence", [-0.6, 0.0, 0.6])
def test_arousal_raises_the_brows_and_opens_the_mouth(face, valence):
    brows = movement(face, (valence, 0.0), (valence, 0.4), "brows")[:, 1]
    assert brows.mean() < -0.8
    chin = movement(face, (valence, 0.0), (valence, 0.4), "jaw")[:3, 1]
    assert chin.mean() > 0.5


def test_arousal_opens_eyes_and_mouth_monotonically(face):
    levels = np.linspace(-0.9, 0.9, 7)
    landmarks = np.stack([face.landmarks(0.2, a) for a in levels])
    eyes = landmarks[:, rows("eyes")]
    assert (np.diff(eyes[:, 6, 1] - eyes[:, 4, 1]) > 0.2).all()
    lips = landmarks[:, rows("lower lip")[2], 1] - landmarks[:, rows("upper lip")[5], 1]
    assert (np.diff(lips) > 0.3).all() and lips[0] > 0


def test_the_irises_that_alignment_relies_on_do_not_move(face):
    iris = [rows("eyes")[1], rows("eyes")[8]]
    neutral = face.landmarks(0.0, 0.0)[iris]
    for expression in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]:
        np.testing.assert_array_equal(face.landmarks(*expression)[iris], neutral)


@pytest.mark.parametrize("expression", [(-1.0, 1.0), (0.5, -0.5), (0.25, 0.75), (0.8, 0.1)])
def test_the_warp_maps_each_landmark_to_the_portrait_s(face, expression):
    field = face.displacement(*expression)
    moving = LANDMARKS.parts != "surroundings"
    positions = face.landmarks(*expression)[moving]
    grid_positions = (positions / 2).astype(np.float32)[:, None]
    source = positions + cv2.remap(field, grid_positions, None, cv2.INTER_LINEAR)[:, 0]
    # Interpolation on the grid and between nodes is least exact at the teeth and the lips.
    error = np.linalg.norm(source - LANDMARKS.positions[moving], axis=1)
    assert error.mean() < 0.25 and error.max() < 1.5


@pytest.mark.parametrize("seed", range(4))
def test_the_warp_does_not_fold(seed):
    person = synthetic_face.PortraitFace(np.random.default_rng(seed))
    for valence in np.linspace(-1, 1, 5):
        for arousal in np.linspace(-1, 1, 5):
            field = person.displacement(valence, arousal) / 2
            across, down = np.diff(field, axis=1)[:-1], np.diff(field, axis=0)[:, :-1]
            area = (1 + across[..., 0]) * (1 + down[..., 1]) - across[..., 1] * down[..., 0]
            assert area.min() > 0


@pytest.mark.parametrize("expressions", [((0.0, -0.5), (0.0, 0.5)), ((-0.5, 0.0), (0.5, 0.0))])
def test_expression_changes_only_the_face(face, expressions):
    before, after = (face.draw(*e, TO_PORTRAIT)[0].astype(int) for e in expressions)
    change = np.abs(before - after).mean(axis=2)
    (left, top), (right, bottom) = in_picture(np.array([(95, 70), (195, 205)])).astype(int)
    inside = np.zeros(change.shape, bool)
    inside[top:bottom, left:right] = True
    assert change[inside].mean() > 3
    assert change[~inside].mean() < 1


def test_films_people_who_differ():
    # Three frames of the same moment differ only by the sensor noise.
    times, expressions = np.zeros(3), np.zeros((3, 2))

    def film(seed):
        return np.stack(
            list(synthetic_face.record(np.random.default_rng(seed), times, expressions))
        ).astype(int)

    first, again, other = film(1), film(1), film(2)
    assert first.shape == (3, 240, 320, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 10
    assert 0.5 < np.abs(first[0] - first[1]).mean() < 10


def test_smooth_noise_is_a_function_of_time(rng):
    times = np.linspace(0, 600, 6001)
    curves = [
        synthetic_face.smooth_noise(np.random.default_rng(3), t, (5.0, 10.0))
        for t in (times, times[::7])
    ]
    np.testing.assert_allclose(curves[0][::7], curves[1], atol=1e-12)
    power = np.abs(np.fft.rfft(curves[0] * np.hanning(6001))) ** 2
    frequencies = np.fft.rfftfreq(6001, 0.1)
    inside = (frequencies > 0.095) & (frequencies < 0.205)
    assert power[inside].sum() > 0.999 * power.sum()
    assert 0.5 < curves[0].std() < 1.5

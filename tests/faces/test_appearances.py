"""Tests who counts as another person, against patterns counted one by one and changed portraits."""

import cv2
import numpy as np
import pytest

from ast_net.faces import appearances, detection

# Of the portrait of 288x288: the box of the face, eyes, nose and corners of the mouth.
FACE = detection.Face(
    np.array([97, 58, 92, 124], np.float32),
    1.0,
    np.array([[123, 101], [166, 103], [144, 127], [126, 146], [162, 148]], np.float32),
)


def measure(image, timestamp=0.0, landmarks=FACE.landmarks) -> appearances.Appearance:
    face = detection.Face(FACE.box, 1.0, landmarks)
    return appearances.measure(image, face, timestamp)


def someone_else(portrait) -> np.ndarray:
    """Another face at the same place: that of the portrait upside down."""
    other = portrait.copy()
    other[58:182, 97:189] = portrait[58:182, 97:189][::-1]
    return other


def turned(nose_shift) -> np.ndarray:
    """The landmarks when the nose is shifted, by the distance between the eyes."""
    landmarks = FACE.landmarks.copy()
    landmarks[2] += np.multiply(nose_shift, np.hypot(*(landmarks[1] - landmarks[0])))
    return landmarks


def lit_from_the_side(image) -> np.ndarray:
    light = np.linspace(0.5, 1.5, image.shape[1])[:, np.newaxis]
    return np.clip(image * light, 0, 255).astype(np.uint8)


def with_a_hand(image) -> np.ndarray:
    return cv2.ellipse(image.copy(), (144, 150), (34, 18), 0, 0, 360, (180, 130, 110), -1)


CHANGES = {
    "nothing": lambda image: image,
    "darker": lambda image: image // 3,
    "lit from the side": lit_from_the_side,
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "moving fast": lambda image: cv2.blur(image, (15, 1)),
    "compressed": lambda image: cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 5])[1], cv2.IMREAD_COLOR
    ),
    "a flash": lambda image: np.clip(image * 3.0, 0, 255).astype(np.uint8),
    "a hand over the mouth": with_a_hand,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_person_in_another_picture(portrait, change):
    before, now = measure(portrait), measure(CHANGES[change](portrait), 0.04)
    assert not appearances.is_another_person([before], now)
    # In a flash nobody can be told from anybody.
    other = measure(someone_else(portrait))
    assert appearances.is_another_person([other], now) == (change != "a flash")


def test_both_grey_values_and_texture_must_differ(portrait, rng):
    before = measure(portrait)
    negative = measure(255 - portrait, 0.04)
    assert before.grey @ negative.grey < -0.99
    assert appearances.is_another_person([before], negative)
    # Weak noise on a picture without details changes the texture only, a shadow the grey values.
    smooth = cv2.GaussianBlur(portrait, (0, 0), 12)
    grainy = np.clip(smooth + rng.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)
    plain, noisy = measure(smooth), measure(grainy, 0.04)
    assert appearances.texture(plain.picture) @ appearances.texture(noisy.picture) < 0.7
    assert not appearances.is_another_person([plain], noisy)
    shadow = portrait.copy()
    shadow[:, :144] //= 4
    shaded = measure(shadow, 0.04)
    assert before.grey @ shaded.grey < 0.8
    assert not appearances.is_another_person([before], shaded)


def test_only_faces_in_the_same_pose_are_compared(portrait):
    before = measure(someone_else(portrait))
    for shift, differs in (((0.1, 0), True), ((0.14, 0), False), ((0, 0.25), False)):
        later = measure(portrait, 1.0, turned(shift))
        assert appearances.is_another_person([before], later) == differs
    # From one frame to the next no head turns that far.
    assert appearances.is_another_person([before], measure(portrait, 0.04, turned((0.2, 0))))


def test_one_similar_appearance_is_enough(portrait):
    other, same = measure(someone_else(portrait)), measure(portrait)
    now = measure(portrait, 1.0)
    assert appearances.is_another_person([other, other], now)
    assert not appearances.is_another_person([other, same, other], now)
    assert not appearances.is_another_person([], now)
    # A face in another pose says nothing.
    aside = measure(portrait, 0.0, turned((0.3, 0)))
    assert appearances.is_another_person([other, aside], now)
    assert not appearances.is_another_person([aside], now)


def test_grey_values_are_a_correlation(rng):
    image = rng.integers(0, 255, (288, 288, 3), dtype=np.uint8)
    first, darker = measure(image), measure(image // 2)
    assert first.grey.shape == (196,) and first.grey @ first.grey == pytest.approx(1)
    assert first.grey @ darker.grey > 0.99
    assert abs(first.grey @ measure(np.roll(image, 17, axis=1)).grey) < 0.3
    assert not measure(np.zeros_like(image)).grey.any()


def test_nose_is_measured_in_the_system_of_the_eyes(portrait):
    upright = np.array([[100, 100], [140, 100], [126, 122], [0, 0], [0, 0]], np.float32)
    assert measure(portrait, 0.0, upright).nose == pytest.approx(0.15 + 0.55j)
    angle = np.exp(0.5j)
    points = [angle * 2 * complex(*point) for point in upright]
    rotated = np.array([[point.real, point.imag] for point in points], np.float32)
    assert measure(portrait, 0.0, rotated).nose == pytest.approx(0.15 + 0.55j, abs=1e-5)
    assert measure(portrait, 0.0, np.zeros((5, 2), np.float32)).nose == 0


def test_texture_counts_patterns(rng):
    """Counts the patterns pixel by pixel, as in section 2 of Ahonen et al."""
    picture = rng.integers(0, 4, (56, 56), dtype=np.uint8)
    circle = [(-2, -2), (0, -2), (2, -2), (2, 0), (2, 2), (0, 2), (-2, 2), (-2, 0)]
    counts = {}
    for y in range(2, 54):
        for x in range(2, 54):
            bits = tuple(int(picture[y + j, x + i] >= picture[y, x]) for i, j in circle)
            changes = sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True))
            key = ((y - 2) * 7 // 52, (x - 2) * 7 // 52, bits if changes <= 2 else "others")
            counts[key] = counts.get(key, 0) + 1
    vector = appearances.texture(picture)
    assert vector.shape == (49 * 59,)
    np.testing.assert_allclose(
        sorted(vector[vector > 0] ** 2), np.sort([*counts.values()]) / 52**2, rtol=1e-5
    )
    patterns = {bits for _, _, bits in counts} - {"others"}
    assert len(patterns) == 58


def test_contrast_falls_in_a_dissolve_and_not_in_motion(portrait):
    other = someone_else(portrait)
    weights = [0, 0, 0.25, 0.5, 0.75, 1, 1]
    mixed = [cv2.addWeighted(portrait, 1 - w, other, w, 0) for w in weights]
    assert appearances.shows_dissolve([measure(image) for image in mixed])
    moved = [np.roll(portrait, 2 * k, axis=0) for k in range(7)]
    assert not appearances.shows_dissolve([measure(image) for image in moved])
    # A light that is turned down gradually.
    dimmed = [(portrait * light).astype(np.uint8) for light in np.linspace(1, 0.3, 7)]
    assert not appearances.shows_dissolve([measure(image) for image in dimmed])

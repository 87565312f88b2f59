"""What the annotation draws into a frame, and where."""

import numpy as np
import pytest

from ast_net.faces import detection
from ast_net.prediction import annotation, frames

TARGETS = ("valence", "arousal")


def prediction(*boxes, timestamp=0.0, values=(0.5, -0.5), held=False):
    faces = [
        frames.FacePrediction(
            face_id,
            None if held else detection.Face(np.array(box, np.float32), 0.98, np.zeros((5, 2))),
            # The raw values are not shown.
            np.full(len(values), 0.123, np.float32),
            np.array(values, np.float32),
        )
        for face_id, box in enumerate(boxes)
    ]
    return frames.FramePrediction(0, timestamp, faces)


def changed(image, frame, annotator=None):
    """Returns which pixels the drawing changes, [H, W]."""
    drawn = (annotator or annotation.Annotator(TARGETS)).draw(image, frame)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    return (drawn != image).any(axis=2)


@pytest.fixture
def grey():
    return np.full((360, 640, 3), 128, np.uint8)


def test_the_box_surrounds_the_face_and_does_not_cover_it(grey):
    before = grey.copy()
    mask = changed(grey, prediction((200, 60, 120, 150)))
    np.testing.assert_array_equal(grey, before)
    for x, y in ((200, 60), (320, 60), (200, 210), (320, 210)):
        assert mask[y - 2 : y + 3, x - 2 : x + 3].sum() > 6
    assert not mask[70:200, 210:310].any(), "the face"
    assert not mask[250:, :150].any(), "a corner"


def test_a_bar_points_to_the_side_of_its_sign(grey):
    shade = np.array(annotation.colour(0))

    def columns(valence):
        drawn = annotation.Annotator(("valence",)).draw(
            grey, prediction((200, 60, 120, 150), values=(valence,))
        )
        like = np.abs(drawn[230:, 190:340].astype(int) - shade).max(axis=2) < 30
        return 190 + np.flatnonzero(like.any(axis=0))

    middle = 267
    assert middle - 2 <= columns(0.9).min() < columns(0.9).max() > middle + 20
    assert middle - 20 > columns(-0.9).min() < columns(-0.9).max() <= middle + 2


@pytest.mark.parametrize("with_typeface", [True, False])
def test_text_stays_in_its_panel(grey, monkeypatch, with_typeface):
    if not with_typeface:
        monkeypatch.setattr(annotation, "_typeface", None)
    elif annotation._typeface is None:
        pytest.skip("OpenCV 4 has no typefaces")
    where = changed(grey, prediction((200, 60, 120, 150)))[214:264]
    assert where[:, 192:328].mean() > 0.99, "the panel"
    assert not where[:, :192].any() and not where[:, 328:480].any()
    drawn = annotation.Annotator(TARGETS).draw(grey, prediction((200, 60, 120, 150)))[214:264]
    assert (drawn[16:, 297:328].min(axis=2) > 150).sum() > 30, "the numbers"


def test_the_plane_shows_the_present_and_the_recent_values(grey):
    annotator = annotation.Annotator(TARGETS)
    box = (50, 60, 100, 120)
    shade = np.array(annotation.colour(0))

    def coloured(image):
        plane = image[360 - 119 : 360 - 11, 640 - 119 : 640 - 11].astype(int)
        return np.argwhere(np.abs(plane - shade).max(axis=2) < 40)

    first = coloured(annotator.draw(grey, prediction(box, values=(-0.8, -0.8))))
    assert first.mean(axis=0) == pytest.approx((54 * 1.64, 54 * 0.36), abs=3), "down and left"
    second = annotator.draw(grey, prediction(box, timestamp=0.5, values=(0.8, 0.8)))
    assert len(coloured(second)) > len(first), "a trail"
    late = annotator.draw(grey, prediction(box, timestamp=9.0, values=(0.8, 0.8)))
    assert len(coloured(late)) < len(coloured(second)), "the trail is gone"
    assert len(annotator._trails[0]) == 1


def test_a_held_face_has_no_box(grey):
    mask = changed(grey, prediction((200, 60, 120, 150), held=True))
    assert not mask[50:220, 190:330].any()


def test_the_plane_does_not_hide_faces(grey):
    boxes = [(x, y, 140, 160) for y in (10, 190) for x in (0, 160, 320, 490)]
    mask = changed(grey, prediction(*boxes))
    assert not mask[225:235, 520:600].any()


@pytest.mark.parametrize("size", [(10, 16), (47, 33), (240, 320), (3840, 2160), (101, 1999)])
@pytest.mark.parametrize("box", [(-40, -30, 90, 80), (5, 5, 6, 6), (1900, 80, 400, 400)])
def test_any_size_and_any_place(size, box):
    image = np.zeros((*size, 3), np.uint8)
    annotation.Annotator(TARGETS).draw(image, prediction(box, (0, 0, 9, 9)))


def test_other_targets_have_bars_and_no_plane(grey):
    mask = changed(
        grey, prediction((200, 60, 120, 150), values=(0.3,)), annotation.Annotator(("power",))
    )
    assert mask[215:250, 200:320].any()
    assert not mask[300:, 560:].any()


def test_the_plane_leaves_its_corner_only_when_a_face_is_there(grey):
    annotator = annotation.Annotator(TARGETS)

    def lower_and_upper(*box, annotator=annotator):
        mask = changed(grey, prediction(box), annotator)
        return bool(mask[255:290, 570:600].any()), bool(mask[40:90, 560:610].any())

    assert lower_and_upper(50, 60, 100, 120) == (True, False)
    assert lower_and_upper(540, 200, 100, 120) == (False, True), "a face is in the corner"
    assert lower_and_upper(50, 60, 100, 120) == (False, True), "the plane does not move back"
    # This face is above the corner, but its panel is in it.
    assert lower_and_upper(530, 150, 90, 100, annotator=annotation.Annotator(TARGETS))[1]


def test_text_is_readable_in_small_images():
    # Scaled down from an image of height 360, letters would be only 6 pixels high.
    small = np.full((180, 320, 3), 128, np.uint8)
    mask = changed(small, prediction((20, 20, 80, 90)))
    rows = np.flatnonzero(mask[112:, 20:100].any(axis=1))
    assert rows.max() - rows.min() >= 30

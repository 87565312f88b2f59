"""The figure of predictions over time."""

import matplotlib
import numpy as np
import pytest

from ast_net.faces import detection
from ast_net.prediction import frames, timeline
from ast_net.reports import figures

TARGETS = ("valence", "arousal")
EXPRESSIONS = tuple("abcdefgh")
STEP, SMOOTH = 0.4, "mean over 0.4 s"
FACE = detection.Face(np.zeros(4, np.float32), 1.0, np.zeros((5, 2), np.float32))


def drawn(values, posteriors=None, rate=10.0):
    """Draws faces' values [K, T, 2]; where they are NaN the face has left and is not valid.

    The smooth values are half of the raw ones.
    """
    series = timeline.Series(STEP, TARGETS, () if posteriors is None else EXPRESSIONS)
    for number in range(values.shape[1]):
        faces = []
        for face_id, row in enumerate(values[:, number]):
            visible = np.isfinite(row).all()
            face = FACE if visible else None
            held = np.full(2, 9.0, np.float32)
            prediction = row if visible else held
            faces.append(
                frames.FacePrediction(face_id, face, prediction, prediction / 2, posteriors)
            )
        series.write(frames.FramePrediction(number, number / rate, faces))
    return series.draw("talk")


@pytest.fixture
def values(rng):
    return np.tanh(rng.normal(size=(1, 90, 2)).cumsum(axis=1) / 8).astype(np.float32)


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_raw_and_smooth_with_gaps(values):
    values[0, 30:40] = np.nan
    page = drawn(values)
    assert [axes.get_ylabel() for axes in page.axes] == list(TARGETS)
    for column, axes in enumerate(page.axes):
        raw, smooth = lines(axes)["each frame"], lines(axes)[SMOOTH]
        np.testing.assert_array_equal(raw.get_ydata(), values[0, :, column])
        assert np.isnan(raw.get_ydata()[30:40]).all()
        np.testing.assert_array_equal(smooth.get_ydata(), values[0, :, column] / 2)
        assert smooth.get_linewidth() > raw.get_linewidth()
    legend = [text.get_text() for text in page.axes[0].get_legend().texts]
    assert legend == ["each frame", SMOOTH]


def test_each_face_has_its_curve(values):
    page = drawn(np.concatenate([values, -values]))
    curves = lines(page.axes[0])
    np.testing.assert_allclose(
        curves["face 0"].get_ydata(), -curves["face 1"].get_ydata(), atol=1e-6
    )
    np.testing.assert_allclose(curves["face 0"].get_ydata(), values[0, :, 0] / 2)
    legend = [text.get_text() for text in page.axes[0].get_legend().texts]
    assert legend == ["each frame", SMOOTH, "face 0", "face 1"]


def test_posteriors_have_a_panel(values):
    page = drawn(values, np.full(8, 1 / 8, np.float32))
    assert [axes.get_ylabel() for axes in page.axes] == [*TARGETS, "expression"]
    legend = [text.get_text() for text in page.axes[-1].get_legend().texts]
    assert legend == list(EXPRESSIONS)


@pytest.mark.parametrize("shape", [(0, 5, 2), (1, 1, 2), (12, 20, 2)])
def test_unusual_recordings_have_a_figure(tmp_path, rng, shape):
    page = drawn(rng.uniform(-1, 1, size=shape).astype(np.float32))
    figures.save(page, tmp_path / "figure.png")
    assert matplotlib.image.imread(tmp_path / "figure.png").std() > 0


def test_a_recording_without_a_face():
    page = drawn(np.full((1, 9, 2), np.nan, np.float32))
    assert "no face found" in [text.get_text() for text in page.axes[0].texts]


def test_dropped_frames_do_not_interrupt_the_curves(values):
    series = timeline.Series(STEP, TARGETS)
    for number in range(90):
        dropped = number % 2 == 1
        value = values[0, number]
        face = frames.FacePrediction(0, None if dropped else FACE, value, value)
        series.write(frames.FramePrediction(number, number / 10, [face], dropped=dropped))
    raw = lines(series.draw("camera").axes[0])["each frame"]
    np.testing.assert_array_equal(raw.get_ydata(), values[0, ::2, 0])
    np.testing.assert_allclose(raw.get_xdata(), np.arange(0, 90, 2) / 10)

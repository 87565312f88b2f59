"""The figure of predictions over time."""

import matplotlib
import numpy as np
import pytest
import scipy.ndimage

from ast_net.faces import detection
from ast_net.prediction import frames, timeline
from ast_net.reports import figures

TARGETS = ("valence", "arousal")
EXPRESSIONS = tuple("abcdefgh")
FACE = detection.Face(np.zeros(4, np.float32), 1.0, np.zeros((5, 2), np.float32))


def drawn(values, posteriors=None, rate=10.0):
    """Draws faces' values [K, T, 2]; where they are NaN the face has left and is not valid."""
    series = timeline.Series(TARGETS, () if posteriors is None else EXPRESSIONS)
    for number in range(values.shape[1]):
        faces = []
        for face_id, row in enumerate(values[:, number]):
            visible = np.isfinite(row).all()
            face = FACE if visible else None
            held = np.full(2, 9.0, np.float32)
            prediction = row if visible else held
            faces.append(frames.FacePrediction(face_id, face, prediction, posteriors))
        series.write(frames.FramePrediction(number, number / rate, faces))
    return series.draw("talk")


@pytest.fixture
def values(rng):
    return np.tanh(rng.normal(size=(1, 90, 2)).cumsum(axis=1) / 8).astype(np.float32)


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_raw_and_median_filtered_with_gaps(values):
    values[0, 30:40] = np.nan
    page = drawn(values)
    assert [axes.get_ylabel() for axes in page.axes] == list(TARGETS)
    for column, axes in enumerate(page.axes):
        raw = lines(axes)["prediction"].get_ydata()
        np.testing.assert_array_equal(raw, values[0, :, column])
        assert np.isnan(raw[30:40]).all()
        filtered = lines(axes)["median-filtered"].get_ydata()
        assert np.isnan(filtered[30:40]).all()
        window = round(figures.MEDIAN_SECONDS * 10) // 2 * 2 + 1
        start = values[0, :20, column]
        expected = scipy.ndimage.median_filter(start, window, mode="reflect")[:9]
        np.testing.assert_allclose(filtered[:9], expected, atol=1e-6)


def test_each_face_has_its_curve(values):
    page = drawn(np.concatenate([values, -values]))
    curves = lines(page.axes[0])
    np.testing.assert_allclose(
        curves["face 0"].get_ydata(), -curves["face 1"].get_ydata(), atol=1e-6
    )


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
    series = timeline.Series(TARGETS)
    for number in range(90):
        dropped = number % 2 == 1
        face = frames.FacePrediction(0, None if dropped else FACE, values[0, number])
        series.write(frames.FramePrediction(number, number / 10, [face], dropped=dropped))
    raw = lines(series.draw("camera").axes[0])["prediction"]
    np.testing.assert_array_equal(raw.get_ydata(), values[0, ::2, 0])
    np.testing.assert_allclose(raw.get_xdata(), np.arange(0, 90, 2) / 10)

"""The tables and the figure of the agreement between raters."""

import types

import numpy as np
import pytest
import scipy.stats

from ast_net.datasets import annotations
from ast_net.reports import figures, inspection, rater_report


@pytest.fixture
def rated(rng):
    times = np.arange(50) * 0.04
    values = {
        name: np.cumsum(rng.normal(size=50))[:, np.newaxis] + rng.normal(size=(50, 3))
        for name in ("P1", "P2")
    }
    values["P2"][:, 2] = 0.5
    return {
        name: {"arousal": annotations.Ratings(times, ratings, ("FM1", "FM2", "FF1"))}
        for name, ratings in values.items()
    }


def test_pairs_and_recordings_have_rows(rated):
    (first, second), pairs = rater_report.tabulate(rated)
    assert [(p["recording"], p["rater"], p["other"]) for p in pairs[:3]] == [
        ("P1", "FM1", "FM2"),
        ("P1", "FM1", "FF1"),
        ("P1", "FM2", "FF1"),
    ]
    values = rated["P1"]["arousal"].values
    expected = [
        scipy.stats.pearsonr(values[:, r], values[:, s])[0] for r, s in ((0, 1), (0, 2), (1, 2))
    ]
    assert [p["cc"] for p in pairs[:3]] == pytest.approx(expected)
    assert first["cc"] == pytest.approx(np.mean(expected))
    assert first["cc_min"] == pytest.approx(min(expected))
    assert first["alpha"] > 0.9
    # The constant rater leaves only one pair.
    assert second["cc"] == second["cc_min"] == second["cc_max"] == pairs[3]["cc"]
    assert (second["raters"], second["ratings"]) == (3, 50)


def test_the_figure_has_every_rater_and_recording(rated, tmp_path):
    rated["P3"] = {"arousal": annotations.Ratings(np.zeros(1), np.zeros((1, 1)), ("lonely",))}
    rows, pairs = rater_report.tabulate(rated)
    page = rater_report.figure(rows, pairs)
    figures.save(page, tmp_path / "agreement.png")
    matrix, recordings = page.axes
    assert [t.get_text() for t in matrix.get_yticklabels()] == ["FF1", "FM1", "FM2"]
    assert [t.get_text() for t in recordings.get_xticklabels()] == ["P1", "P2", "P3"]
    shown = np.ma.filled(matrix.images[0].get_array(), np.nan)
    ccc = [pair["ccc"] for pair in pairs if {"FM1", "FM2"} == {pair["rater"], pair["other"]}]
    assert shown[1, 2] == pytest.approx(np.mean(ccc))


@pytest.mark.parametrize(("raters", "files"), [(1, []), (2, ["agreement.csv", "agreement.png"])])
def test_one_rater_leaves_no_figure(rated, tmp_path, caplog, raters, files):
    caplog.set_level("INFO", "absl")
    ratings = rated["P1"]["arousal"]
    few = annotations.Ratings(ratings.times, ratings.values[:, :raters], ratings.raters[:raters])
    source = types.SimpleNamespace(name="P1", read_raters=lambda: {"arousal": few})
    rows = inspection._agreement([source], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir())[:2] == files
    assert len(rows) == raters - 1
    assert ("no recording was rated by two people or more" in caplog.text) == (raters == 1)

"""The statistics of a face, against NumPy."""

import numpy as np
import pytest

from ast_net.prediction import frames, summaries


def seen(smooth, posteriors=None):
    return frames.FacePrediction(0, None, smooth=np.float32(smooth), posteriors=posteriors)


def test_statistics_are_those_of_the_smooth_values(rng):
    smooth = rng.normal(0.3, 0.2, (50, 2)).astype(np.float32)
    posteriors = rng.dirichlet([1, 2, 3], 50)
    statistics = summaries.FaceStatistics(("valence", "arousal"), ("sad", "happy", "neutral"))
    for values, probabilities in zip(smooth, posteriors):
        statistics.add(seen(values, probabilities))
    row = statistics.row()
    assert row["valid_frames"] == 50
    for k, target in enumerate(("valence", "arousal")):
        values = smooth[:, k].astype(float)
        assert row[f"{target}_mean"] == pytest.approx(np.mean(values))
        assert row[f"{target}_sd"] == pytest.approx(np.std(values, ddof=1))
        assert (row[f"{target}_min"], row[f"{target}_max"]) == (values.min(), values.max())
    counts = np.bincount(posteriors.argmax(axis=1))
    assert [row[f"share_{name}"] for name in ("sad", "happy", "neutral")] == list(counts / 50)


def test_a_single_frame_has_no_standard_deviation():
    statistics = summaries.FaceStatistics(("valence",), ())
    statistics.add(seen([0.5]))
    row = statistics.row()
    assert np.isnan(row.pop("valence_sd"))
    assert row == {"valid_frames": 1, "valence_mean": 0.5, "valence_min": 0.5, "valence_max": 0.5}


def test_the_line_has_the_mean_over_all_faces_and_their_frames():
    faces = [
        {"valid_frames": 30, "valence_mean": 0.4, "valence_sd": 0.1},
        {"valid_frames": 10, "valence_mean": -0.4, "valence_sd": 0.1},
    ]
    summary = summaries.Summary("talk", "talk.mp4", 50, 35, 0, 2.0, faces=faces)
    assert summary.line("out/talk") == (
        "talk: valence 0.20, 2 faces, face in 70 % of 50 frames, 25.0 frames/s; out/talk/"
    )
    assert [row["face_id"] for row in summary.rows()] == [None, None]
    summary.error = "no such file"
    assert summary.line("out/talk") == "talk: failed: no such file"


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_rows_of_an_earlier_call_keep_their_values(tmp_path, before, after):
    faces = [{"face_id": 0, "valid_frames": 3, "valence_mean": -0.25, "valence_sd": np.nan}]
    first = summaries.Summary("=Übung, 1", "-1,5.mp4", 3, 3, 0, 1.5, "float32", "", faces).rows()
    without_a_face = summaries.Summary("b", "b.mp4", 2, 0, 0, 2.0).rows()
    direct, again = tmp_path / "direct.csv", tmp_path / "again.csv"
    summaries.write(direct, [*first, *without_a_face], after)
    summaries.write(again, [*first, *without_a_face], before)
    summaries.write(again, summaries.read(again, ""), after)
    assert again.read_bytes() == direct.read_bytes()
    separator, mean = (";", "-0,2500") if after else (",", "-0.2500")
    assert mean in again.read_text(encoding="utf-8-sig").splitlines()[1].split(separator)

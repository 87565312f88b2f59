"""The table of seconds against means by hand."""

import numpy as np
import pytest

from ast_net.faces import detection
from ast_net.prediction import frames, second_means

FACE = detection.Face(np.array([1, 2, 3, 4], np.float32), 0.99, np.zeros((5, 2), np.float32))
NO_VALUES = (np.nan, np.nan)


def frame(time, **faces):
    """Makes a frame; faces: smooth valence and arousal of each; None if it is not visible."""
    predictions = []
    for name, smooth in faces.items():
        raw = np.full(2, 9, np.float32)
        predictions.append(
            frames.FacePrediction(
                int(name.removeprefix("face_")),
                None if smooth is None else FACE,
                raw,
                raw if smooth is None else np.array(smooth, np.float32),
            )
        )
    return frames.FramePrediction(0, time, predictions)


def test_a_row_is_the_mean_of_a_face_over_a_second(tmp_path):
    path = tmp_path / "seconds.csv"
    with second_means.csv_writer(path, ("valence", "arousal")) as write:
        write(frame(0.0, face_12=(0.2, -0.2), face_0=(0.1, -0.5)))
        write(frame(0.999, face_0=(0.3, -0.7)))
        write(frame(1.0, face_0=None))  # held, not visible
        write(frame(2.5))
        write(frame(4.2, face_0=NO_VALUES, face_12=(1 / 3, 0.5)))
        assert not path.exists()
    assert path.read_text().splitlines() == [
        "second,face_id,valid_frames,valence,arousal",
        "0,0,2,0.2000,-0.6000",
        "0,12,1,0.2000,-0.2000",
        "1,,0,,",
        "2,,0,,",
        "4,12,1,0.3333,0.5000",
    ]


def test_decimal_commas_and_a_table_that_was_stopped(tmp_path):
    with second_means.csv_writer(tmp_path / "a.csv", ("arousal",), decimal_comma=True) as write:
        smooth = np.array([-0.25], np.float32)
        write(frames.FramePrediction(0, 3.0, [frames.FacePrediction(1, FACE, smooth, smooth)]))
    assert (tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "second;face_id;valid_frames;arousal",
        "3;1;1;-0,2500",
    ]
    with (
        pytest.raises(KeyboardInterrupt),
        second_means.csv_writer(tmp_path / "b.csv", ("arousal",)),
    ):
        raise KeyboardInterrupt
    assert not (tmp_path / "b.csv").exists()

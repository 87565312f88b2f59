"""Predicting files and a camera, and the files that this writes."""

import csv
import json
import os
import signal
import threading

import cv2
import numpy as np
import pytest

from ast_net import config
from ast_net.faces import video, video_writer
from ast_net.prediction import camera, inputs, pipeline, session


@pytest.fixture(scope="module")
def predictor(shipped_model_with_head):
    return pipeline.Pipeline(shipped_model_with_head, config.Prediction())


def settings(folder, *outputs, **options):
    if outputs:
        options["outputs"] = outputs
    return config.Outputs(output_dir=str(folder), **options)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_video_gives_a_table_a_figure_and_a_video(predictor, face_video, tmp_path):
    [summary] = session.predict_files(predictor, inputs.find([str(face_video)]), settings(tmp_path))
    assert (summary.frames, summary.valid_frames, summary.faces) == (20, 20, 1)
    folder = tmp_path / "face"
    assert {path.name for path in folder.iterdir()} == {
        "predictions.csv",
        "figure.png",
        "annotated.mp4",
    }
    table = rows(folder / "predictions.csv")
    assert [row["frame"] for row in table] == [str(number) for number in range(20)]
    assert all(row["valid"] == "1" and -1 < float(row["valence"]) < 1 for row in table)
    for target in predictor.targets:
        raw = [float(row[target]) for row in table]
        # The face video has 25 frames/s, and the model a time step of ten frames.
        means = [np.mean(raw[max(0, k - 4) : k + 6]) for k in range(20)]
        smooth = [float(row[f"{target}_smooth"]) for row in table]
        np.testing.assert_allclose(smooth, means, rtol=0, atol=2e-6)
    before, after = (
        list(video.Video(face_video).frames()),
        list(video.Video(folder / "annotated.mp4").frames()),
    )
    assert [f.timestamp for f in after] == pytest.approx([f.timestamp for f in before], abs=1e-3)
    assert np.abs(after[0].image.astype(int) - before[0].image).max() > 50, "something is drawn"
    [summary_row] = rows(tmp_path / "summary.csv")
    assert [summary_row[name] for name in ("name", "frames", "error")] == ["face", "20", ""]


def test_one_broken_file_does_not_stop_the_others(predictor, face_video, tmp_path):
    broken, empty = tmp_path / "broken.mp4", tmp_path / "empty.mp4"
    broken.write_bytes(face_video.read_bytes()[:300])
    empty.touch()
    arguments = [str(path) for path in (broken, face_video, empty, tmp_path / "nowhere.mp4")]
    summaries = session.predict_files(
        predictor, inputs.find(arguments), settings(tmp_path / "out", "csv")
    )
    assert [bool(summary.error) for summary in summaries] == [True, False, True, True]
    assert "expected a video" in summaries[0].error
    assert "0 bytes" in summaries[2].error
    assert "no such file" in summaries[3].error
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["face"]


def test_a_truncated_video_is_predicted_up_to_its_end(predictor, face_video, tmp_path, caplog):
    cut = tmp_path / "cut.mp4"
    content = face_video.read_bytes()
    cut.write_bytes(content[: round(len(content) * 0.6)])
    [summary] = session.predict_files(predictor, inputs.find([str(cut)]), settings(tmp_path, "csv"))
    assert not summary.error
    assert 0 < summary.frames < 20
    assert len(rows(tmp_path / "cut/predictions.csv")) == summary.frames


@pytest.mark.parametrize(
    ("frames", "size", "suffix"),
    [(1, (320, 240), "mp4"), (3, (33, 47), "mkv"), (2, (16, 10), "mp4")],
)
def test_odd_videos(predictor, tmp_path, frames, size, suffix):
    path = tmp_path / f"odd.{suffix}"
    with video_writer.open_writer(path) as writer:
        for number in range(frames):
            writer.write(np.full((size[1], size[0], 3), 90, np.uint8), number / 10)
    [summary] = session.predict_files(predictor, inputs.find([str(path)]), settings(tmp_path))
    assert not summary.error
    assert (summary.frames, summary.valid_frames, summary.faces) == (frames, 0, 0)
    table = rows(tmp_path / "odd/predictions.csv")
    assert [(row["valid"], row["face_id"], row["valence"]) for row in table] == [
        ("0", "", "")
    ] * frames


def test_a_sequence_of_pictures_is_predicted_as_a_video(predictor, drifting_face, tmp_path):
    for number, image in enumerate(drifting_face([True] * 3), 1):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), image[..., ::-1])
    recordings = inputs.find([str(tmp_path / "%03d.png")])
    [summary] = session.predict_files(predictor, recordings, settings(tmp_path / "out", "csv"))
    assert summary.valid_frames == 3
    assert [
        row["timestamp_s"] for row in rows(tmp_path / f"out/{summary.name}/predictions.csv")
    ] == [
        "0.000000",
        "0.040000",
        "0.080000",
    ]


def test_json_lines_with_posteriors(predictor, face_video, tmp_path, capsys):
    session.predict_files(
        predictor, inputs.find([str(face_video)]), settings(tmp_path, "jsonl", posteriors=True)
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    [face] = lines[0]["faces"]
    first = [line["faces"][0]["valence"] for line in lines[:6]]
    assert face["valence_smooth"] == pytest.approx(np.mean(first), abs=2e-6)
    names = [name for name in lines[0]["faces"][0] if name.startswith("p_")]
    assert names == [f"p_{name}" for name in predictor.expressions]


class Camera:
    """A camera that gives a picture each time the test allows one."""

    def __init__(self, images):
        self.images, self.count = images, 0
        self.allowed, self.released = threading.Semaphore(1), threading.Event()

    def read(self):
        self.allowed.acquire()
        self.count += 1
        return True, self.images[self.count % len(self.images)][..., ::-1]

    def release(self):
        self.released.set()


def test_ctrl_c_stops_the_camera_and_keeps_the_predictions(
    predictor, drifting_face, tmp_path, monkeypatch
):
    source = Camera(drifting_face([True] * 4))
    newest_frames = camera.newest_frames

    def interrupted(*arguments):
        for frame in newest_frames(*arguments):
            yield frame
            source.allowed.release(3)
            if frame.index >= 20:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(camera, "connect", lambda name: source)
    monkeypatch.setattr(camera, "newest_frames", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    summary = session.predict_camera(predictor, "0", settings(tmp_path))
    assert signal.getsignal(signal.SIGINT) is handler
    assert source.released.is_set()
    [folder] = tmp_path.iterdir()
    table = rows(folder / "predictions.csv")
    assert len(table) == summary.frames >= 20
    assert [int(row["frame"]) for row in table] == list(range(summary.frames))
    assert summary.dropped_frames == sum(row["valid"] == "0" for row in table) > 0
    assert (folder / "annotated.mp4").exists()
    for number, row in enumerate(table):
        window = [
            float(before["valence"])
            for before in table[: number + 1]
            if before["valid"] == "1"
            and float(before["timestamp_s"]) > float(row["timestamp_s"]) - 0.4
        ]
        if row["valid"] == "1":
            assert float(row["valence_smooth"]) == pytest.approx(np.mean(window), abs=2e-6)

"""Predicting files and a camera, and the files that this writes."""

import csv
import dataclasses
import datetime
import errno
import fractions
import json
import os
import signal
import threading
from unittest import mock

import av
import cv2
import numpy as np
import pandas
import pytest

from ast_net import config, errors, files
from ast_net.faces import video, video_writer
from ast_net.prediction import (
    annotation,
    camera,
    file_prediction,
    inputs,
    outputs,
    pipeline,
    results,
    session,
    summaries,
    window,
)


@pytest.fixture(scope="module")
def stages(shipped_model_with_head):
    return pipeline.Pipeline(shipped_model_with_head, config.Prediction())


def settings(folder, *outputs, **options):
    if outputs:
        options["outputs"] = outputs
    return config.Outputs(output_dir=str(folder), **options)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_video_gives_a_table_a_figure_and_a_video(stages, face_video, tmp_path):
    [summary] = session.predict_files(stages, inputs.find([str(face_video)]), settings(tmp_path))
    assert (summary.frames, summary.valid_frames, len(summary.faces)) == (20, 20, 1)
    folder = tmp_path / "face"
    assert {path.name for path in folder.iterdir()} == {
        "predictions.csv",
        "figure.png",
        "annotated.mp4",
        results.RECORD,
    }
    table = rows(folder / "predictions.csv")
    assert [row["frame"] for row in table] == [str(number) for number in range(20)]
    assert all(row["valid"] == "1" and -1 < float(row["valence"]) < 1 for row in table)
    for target in stages.targets:
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


def test_the_summary_has_a_row_for_each_face(stages, face_video, tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    empty = short_video(tmp_path / "empty.mp4", 2)
    out = settings(tmp_path / "out", "csv", posteriors=True)
    session.predict_files(stages, inputs.find([str(face_video), empty]), out)
    first, second = rows(tmp_path / "out/summary.csv")
    assert (first["name"], first["face_id"], first["valid_frames"]) == ("face", "0", "20")
    assert (second["name"], second["face_id"], second["valid_frames"]) == ("empty", "", "0")
    table = pandas.read_csv(tmp_path / "out/face/predictions.csv")
    for target in stages.targets:
        expected = table[f"{target}_smooth"].agg(["mean", "std", "min", "max"])
        found = [float(first[f"{target}_{name}"]) for name in ("mean", "sd", "min", "max")]
        np.testing.assert_allclose(found, expected, atol=6e-5)
        assert second[f"{target}_mean"] == ""
    most = table.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_").value_counts() / 20
    shares = {name: float(first[f"share_{name}"]) for name in stages.expressions}
    assert {name: share for name, share in shares.items() if share} == most.to_dict()
    mean = table["valence_smooth"].mean()
    assert f"face: valence {mean:.2f}, arousal" in caplog.text
    assert "face in 100 % of 20 frames" in caplog.text and "out/face/" in caplog.text
    assert "empty: no face found in 2 frames" in caplog.text
    # Without posteriors there are fewer columns; those of the other inputs stay.
    more = settings(tmp_path / "out", "csv")
    session.predict_files(stages, inputs.find([short_video(tmp_path / "a.mp4", 3)]), more)
    table = rows(tmp_path / "out/summary.csv")
    assert [row["name"] for row in table] == ["face", "empty", "a"]
    assert table[0] == first and table[2]["share_happy"] == ""


def test_one_broken_file_does_not_stop_the_others(stages, face_video, tmp_path):
    broken, empty = tmp_path / "broken.mp4", tmp_path / "empty.mp4"
    broken.write_bytes(face_video.read_bytes()[:300])
    empty.touch()
    arguments = [str(path) for path in (broken, face_video, empty, tmp_path / "nowhere.mp4")]
    summaries = session.predict_files(
        stages, inputs.find(arguments), settings(tmp_path / "out", "csv")
    )
    assert [bool(summary.error) for summary in summaries] == [True, False, True, True]
    assert "expected a video" in summaries[0].error
    assert "0 bytes" in summaries[2].error
    assert "no such file" in summaries[3].error
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["face"]


def test_a_truncated_video_is_predicted_up_to_its_end(stages, face_video, tmp_path, caplog):
    cut = tmp_path / "cut.mp4"
    content = face_video.read_bytes()
    cut.write_bytes(content[: round(len(content) * 0.6)])
    [summary] = session.predict_files(stages, inputs.find([str(cut)]), settings(tmp_path, "csv"))
    assert not summary.error
    assert 0 < summary.frames < 20
    assert len(rows(tmp_path / "cut/predictions.csv")) == summary.frames


@pytest.mark.parametrize(
    ("frames", "size", "suffix"),
    [(1, (320, 240), "mp4"), (3, (33, 47), "mkv"), (2, (16, 10), "mp4")],
)
def test_odd_videos(stages, tmp_path, frames, size, suffix):
    path = tmp_path / f"odd.{suffix}"
    with video_writer.open_writer(path) as writer:
        for number in range(frames):
            writer.write(np.full((size[1], size[0], 3), 90, np.uint8), number / 10)
    [summary] = session.predict_files(stages, inputs.find([str(path)]), settings(tmp_path))
    assert not summary.error
    assert (summary.frames, summary.valid_frames, len(summary.faces)) == (frames, 0, 0)
    table = rows(tmp_path / "odd/predictions.csv")
    assert [(row["valid"], row["face_id"], row["valence"]) for row in table] == [
        ("0", "", "")
    ] * frames


def test_a_sequence_of_pictures_is_predicted_as_a_video(stages, drifting_face, tmp_path):
    for number, image in enumerate(drifting_face([True] * 3), 1):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), image[..., ::-1])
    recordings = inputs.find([str(tmp_path / "%03d.png")])
    [summary] = session.predict_files(stages, recordings, settings(tmp_path / "out", "csv"))
    assert summary.valid_frames == 3
    assert [
        row["timestamp_s"] for row in rows(tmp_path / f"out/{summary.name}/predictions.csv")
    ] == [
        "0.000000",
        "0.040000",
        "0.080000",
    ]


def test_json_lines_with_posteriors(stages, face_video, tmp_path, capsys):
    session.predict_files(
        stages, inputs.find([str(face_video)]), settings(tmp_path, "jsonl", posteriors=True)
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    [face] = lines[0]["faces"]
    first = [line["faces"][0]["valence"] for line in lines[:6]]
    assert face["valence_smooth"] == pytest.approx(np.mean(first), abs=2e-6)
    names = [name for name in lines[0]["faces"][0] if name.startswith("p_")]
    assert names == [f"p_{name}" for name in stages.expressions]


@pytest.fixture
def predicted(stages, monkeypatch):
    """The videos that are predicted, one by one."""
    names = []
    predict = stages.predict

    def noted(recording, *arguments):
        frames = list(recording)
        names.append(len(frames))
        return predict(frames, *arguments)

    monkeypatch.setattr(stages, "predict", noted)
    return names


def short_video(path, frames):
    """A video of some grey pictures; no two lengths are alike in a test, which tells them apart."""
    path.parent.mkdir(exist_ok=True)
    video_writer.write_video(path, [np.full((64, 64, 3), 90, np.uint8)] * frames, 25)
    return str(path)


def test_finished_results_of_the_same_command_are_kept(stages, predicted, tmp_path):
    first, second = short_video(tmp_path / "a.mp4", 2), short_video(tmp_path / "b.mp4", 3)
    out = settings(tmp_path / "out", "csv")

    def run(*videos, settings=out):
        predicted.clear()
        session.predict_files(stages, inputs.find(videos), settings)
        return predicted

    assert run(first) == [2]
    before = (tmp_path / "out/a/predictions.csv").stat().st_mtime_ns
    assert run(first, second) == [3], "goes on after the first"
    assert run(first, second) == []
    assert (tmp_path / "out/a/predictions.csv").stat().st_mtime_ns == before
    table = rows(tmp_path / "out/summary.csv")
    assert [(row["name"], row["frames"], row["error"]) for row in table] == [
        ("a", "2", ""),
        ("b", "3", ""),
    ]
    assert run(first, settings=dataclasses.replace(out, overwrite=True)) == [2]
    assert run(first, settings=dataclasses.replace(out, outputs=("csv", "figure"))) == [2]
    english = dataclasses.replace(out, outputs=("csv", "seconds"))
    assert run(first, settings=english) == [2]
    german = dataclasses.replace(english, decimal_comma=True)
    assert run(first, settings=german) == [2], "the tables have decimal points"
    assert run(first, settings=german) == []
    for name in ("a/predictions.csv", "a/seconds.csv", "summary.csv"):
        header, line, *_ = (tmp_path / "out" / name).read_text("utf-8-sig").splitlines()
        assert ";" in header and "," not in header and "." not in line.replace(".mp4", "")
    (tmp_path / "out/a/seconds.csv").unlink()
    assert run(first, settings=german) == [2], "a table was deleted"
    assert (tmp_path / "out/a/seconds.csv").exists()
    (tmp_path / "out/b" / results.RECORD).write_text("{")
    with pytest.raises(errors.InputError, match="files, but no prediction.json"):
        run(second)
    short_video(tmp_path / "a.mp4", 4)
    assert run(first) == [4], "the file has changed"
    assert [row["name"] for row in rows(tmp_path / "out/summary.csv")] == ["b", "a"]
    stages.provenance["networks"] = "other weights"
    assert run(first) == [4]


def test_results_of_another_input_are_not_replaced(stages, predicted, tmp_path):
    ours, theirs = (short_video(tmp_path / f"{n}/talk.mp4", n) for n in (2, 3))
    out = settings(tmp_path / "out", "csv", "figure")
    session.predict_files(stages, inputs.find([ours]), out)
    with pytest.raises(errors.InputError) as raised:
        session.predict_files(stages, inputs.find([theirs]), out)
    for part in (str(tmp_path / "out/talk"), ours, theirs, "`output_dir`", "`overwrite`"):
        assert part in str(raised.value)
    assert len(rows(tmp_path / "out/talk/predictions.csv")) == 2
    replacing = settings(tmp_path / "out", "csv", overwrite=True)
    session.predict_files(stages, inputs.find([theirs]), replacing)
    assert len(rows(tmp_path / "out/talk/predictions.csv")) == 3
    assert not (tmp_path / "out/talk/figure.png").exists(), "it showed the other input"


def test_a_folder_of_something_else_is_not_written_to(stages, tmp_path):
    path = short_video(tmp_path / "talk.mp4", 2)
    (tmp_path / "talk").mkdir()
    session.predict_files(stages, inputs.find([path]), settings(tmp_path, "csv"))
    (tmp_path / "talk" / results.RECORD).rename(tmp_path / "talk/thesis.tex")
    with pytest.raises(errors.InputError, match="files, but no prediction.json"):
        session.predict_files(stages, inputs.find([path]), settings(tmp_path, "csv"))


def test_a_summary_of_something_else_is_not_replaced(stages, tmp_path):
    (tmp_path / "summary.csv").write_text("my,own\n1,2\n")
    recordings = inputs.find([short_video(tmp_path / "a.mp4", 2)])
    with pytest.raises(errors.InputError, match="found the columns my, own"):
        session.predict_files(stages, recordings, settings(tmp_path, "csv"))
    assert (tmp_path / "summary.csv").read_text() == "my,own\n1,2\n"
    session.predict_files(stages, recordings, settings(tmp_path, "csv", overwrite=True))
    assert [row["name"] for row in rows(tmp_path / "summary.csv")] == ["a"]


def test_any_name_of_a_video_has_its_results(stages, tmp_path):
    stems = [
        "...",
        "..",
        "summary.csv",
        "$5_to_$10",
        "=1+1",
        "Interview: Anna",
        "b\udcff",
        "é" * 120,
    ]
    videos = [short_video(tmp_path / "in" / "x.mp4", 2)]
    paths = [tmp_path / "in" / f"{stem}.mp4" for stem in stems]
    for path in paths:
        os.link(videos[0], path)
    recordings = inputs.find(map(str, paths))
    out = tmp_path / "out"
    summaries = session.predict_files(stages, recordings, settings(out, "csv", "figure"))
    assert [summary.error for summary in summaries] == [""] * len(stems)
    folders = [path.name for path in out.iterdir() if path.is_dir()]
    assert sorted(folders) == sorted(
        ["_", "__2", "summary.csv_2", "$5_to_$10", "=1+1", "Interview_ Anna", "b_", "é" * 100]
    )
    for folder in folders:
        assert {path.name for path in (out / folder).iterdir()} == {
            "predictions.csv",
            "figure.png",
            results.RECORD,
        }
    with (out / "summary.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        table = list(csv.DictReader(file))
    assert [row["input"] for row in table] == list(map(str, paths))
    assert table[4]["name"] == "'=1+1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_one_output_that_fails_does_not_take_the_others_along(
    stages, face_video, tmp_path, monkeypatch
):
    def write(writer, image, timestamp):
        if timestamp > 0.2:
            raise RuntimeError("the encoder refuses it")

    monkeypatch.setattr(video_writer.VideoWriter, "write", write)
    recordings = inputs.find([str(face_video)])
    [summary] = session.predict_files(stages, recordings, settings(tmp_path))
    assert "annotated.mp4: the output video failed (RuntimeError: the encoder" in summary.error
    assert "complete: csv, figure" in summary.error
    names = {path.name for path in (tmp_path / "face").iterdir()}
    assert names == {"predictions.csv", "figure.png", results.RECORD}
    assert len(rows(tmp_path / "face/predictions.csv")) == 20
    monkeypatch.undo()
    monkeypatch.setattr(annotation.Annotator, "draw", lambda *_: 1 / 0)
    [summary] = session.predict_files(stages, recordings, settings(tmp_path, "csv", "video"))
    assert "ZeroDivisionError" in summary.error
    monkeypatch.undo()
    [summary] = session.predict_files(stages, recordings, settings(tmp_path))
    assert not summary.error and (tmp_path / "face/annotated.mp4").exists(), "it is tried again"


def test_when_all_outputs_have_failed_the_rest_is_not_predicted(stages, face_video, tmp_path):
    [summary] = [summaries.Summary("face", str(face_video))]
    read = []

    def recording():
        for frame in video.Video(face_video).frames():
            read.append(frame)
            yield frame

    out = settings(tmp_path, "jsonl")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(BrokenPipeError):
        patch.setattr("sys.stdout", ClosedPipe())
        outputs.write(
            stages.predict(recording(), live=True),
            20,
            out,
            stages,
            summary,
            threading.Event(),
        )
    assert len(read) < 20


class ClosedPipe:
    """Standard output whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        pass

    def isatty(self):
        return False


def test_a_picture_size_that_changes(stages, drifting_face, tmp_path):
    """As in recordings of calls. Table and video have all frames; the video has the first size."""
    images = drifting_face([True] * 6)
    halves = [image if k < 3 else cv2.resize(image, (160, 120)) for k, image in enumerate(images)]
    path = tmp_path / "a.ts"
    with av.open(str(path), "w", "mpegts") as container:
        for part, offset in ((halves[:3], 0), (halves[3:], 3)):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width = part[0].shape[:2]
            encoder.pix_fmt, encoder.time_base = "yuv420p", fractions.Fraction(1, 25)
            if not offset:
                stream = container.add_stream("libx264", 25)
                stream.height, stream.width, stream.pix_fmt = *part[0].shape[:2], "yuv420p"
            packets = []
            for k, image in enumerate(part):
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = k + offset, fractions.Fraction(1, 25)
                packets += encoder.encode(picture)
            for packet in [*packets, *encoder.encode(None)]:
                packet.stream = stream
                container.mux(packet)
    [summary] = session.predict_files(stages, inputs.find([str(path)]), settings(tmp_path))
    assert (summary.error, summary.frames) == ("", 6)
    shapes = [frame.image.shape for frame in video.Video(path).frames()]
    assert shapes == [(240, 320, 3)] * 3 + [(120, 160, 3)] * 3
    shapes = [frame.image.shape for frame in video.Video(tmp_path / "a/annotated.mp4").frames()]
    assert shapes == [(240, 320, 3)] * 6
    table = rows(tmp_path / "a/predictions.csv")
    assert sorted({(row["frame"], row["timestamp_s"]) for row in table}) == [
        (str(k), f"{k / 25:.6f}") for k in range(6)
    ]
    assert {row["frame"] for row in table if row["valid"] == "1"} == set("012345")


def test_what_is_not_reached_keeps_its_row(stages, tmp_path, monkeypatch):
    videos = [short_video(tmp_path / f"{name}.mp4", 2) for name in "ab"]
    out = settings(tmp_path / "out", "csv")
    session.predict_files(stages, inputs.find(videos), out)
    summary = (tmp_path / "out/summary.csv").read_text()
    predict = file_prediction.predict

    def stopped(*arguments):
        arguments[-1].set()  # as q in the window does
        return predict(*arguments)

    monkeypatch.setattr(file_prediction, "predict", stopped)
    [only] = session.predict_files(stages, inputs.find(videos), out)
    assert only.name == "a"
    assert sorted((tmp_path / "out/summary.csv").read_text()) == sorted(summary)


def test_a_full_disk_leaves_no_empty_folder(stages, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    film = short_video(tmp_path / "a.mp4", 2)
    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        session.predict_files(stages, inputs.find([film]), settings(tmp_path / "out", "csv"))
    assert not (tmp_path / "out/a").exists()


def test_commands_at_the_same_time_share_a_summary(stages, tmp_path, monkeypatch):
    ours, theirs = (short_video(tmp_path / f"{name}.mp4", 2) for name in "ab")
    out, predict = settings(tmp_path / "out", "csv"), file_prediction.predict

    def predict_meanwhile(*arguments):
        monkeypatch.setattr(file_prediction, "predict", predict)
        session.predict_files(stages, inputs.find([theirs]), out)
        return predict(*arguments)

    monkeypatch.setattr(file_prediction, "predict", predict_meanwhile)
    session.predict_files(stages, inputs.find([ours]), out)
    assert {row["name"] for row in rows(tmp_path / "out/summary.csv")} == {"a", "b"}


class Camera:
    """A camera that gives a picture each time the test allows one, or fifty a second."""

    def __init__(self, images):
        self.images, self.count, self.always = images, 0, False
        self.allowed, self.released = threading.Semaphore(1), threading.Event()

    def read(self):
        self.allowed.acquire(timeout=0.02 if self.always else None)
        self.count += 1
        return True, self.images[self.count % len(self.images)][..., ::-1]

    def release(self):
        self.released.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_camera_and_keeps_the_predictions(
    number, stages, drifting_face, tmp_path, monkeypatch
):
    source = Camera(drifting_face([True] * 4))
    newest_frames = camera.newest_frames

    def interrupted(*arguments):
        for frame in newest_frames(*arguments):
            yield frame
            source.allowed.release(3)
            if frame.index >= 20:
                os.kill(os.getpid(), number)
                source.always = True

    monkeypatch.setattr(camera, "connect", lambda name: source)
    monkeypatch.setattr(camera, "newest_frames", interrupted)
    before = signal.signal(number, handler := mock.Mock())
    try:
        summary = session.predict_camera(stages, "0", settings(tmp_path))
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)
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


def test_cameras_that_begin_in_the_same_second_have_folders_of_their_own(
    stages, drifting_face, tmp_path, monkeypatch
):
    class Ended(Camera):
        def read(self):
            return False, None

    class Clock(datetime.datetime):
        @classmethod
        def now(cls):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(datetime, "datetime", Clock)
    monkeypatch.setattr(camera, "connect", lambda name: Ended(drifting_face([True])))
    for _ in range(3):
        session.predict_camera(stages, "0", settings(tmp_path, "csv"))
    expected = ["camera_20260102-030405" + end for end in ("", "_2", "_3")]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


def test_a_camera_leaves_no_folder_without_results(stages, tmp_path, monkeypatch):
    monkeypatch.setattr(camera, "connect", lambda name: Camera([]))
    monkeypatch.setattr(window, "has_screen", lambda: False)
    with pytest.raises(errors.InputError, match="`outputs=window` needs a screen"):
        session.predict_camera(stages, "0", settings(tmp_path, "csv", "window"))
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "broken_link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="broken_link"):
        session.predict_camera(stages, "0", settings(tmp_path / "broken_link", "csv"))

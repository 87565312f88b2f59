"""A row for every face of a frame, the same in every format; files appear whole or not at all."""

import gc
import io
import json
import sys

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.faces import detection
from ast_net.prediction import frame_table, frames

COLUMNS = frame_table.Columns(config.TARGETS)
WITH_LANDMARKS = frame_table.Columns(config.TARGETS, landmarks=True)
LANDMARKS = np.float32([[10, 20.0004], [30.5, 21], [20, 30.0626], [-0.0001, 40], [29, 1234.5678]])


def prediction(face_id, box, values, posteriors=None) -> frames.FacePrediction:
    face = None
    if box is not None:
        face = detection.Face(np.array(box, np.float32), 0.99, LANDMARKS)
    return frames.FacePrediction(
        face_id,
        face,
        np.array(values, np.float32),
        # Stands for the mean over a time step.
        np.array(values, np.float32) / 2,
        None if posteriors is None else np.array(posteriors, np.float32),
    )


SEEN = [prediction(0, (10.126, -3.5, 100, 120), (0.1, -0.00000004))]
NO_VALUES = (np.nan, np.nan)
HELD_AND_NEW = [prediction(0, None, (1 / 3, -2 / 3)), prediction(3, (0, 0, 9, 9), NO_VALUES)]
RECORDING = [
    frames.FramePrediction(0, 0.0, []),
    frames.FramePrediction(1, 1 / 30, SEEN),
    frames.FramePrediction(2, 2 / 30, HELD_AND_NEW),
    frames.FramePrediction(3, 7200.1, [prediction(0, None, NO_VALUES)]),
]
CSV = """\
frame,timestamp_s,face_id,x,y,width,height,confidence,valid,valence,arousal,\
valence_smooth,arousal_smooth
0,0.000000,,,,,,,0,,,,
1,0.033333,0,10.13,-3.50,100.00,120.00,0.9900,1,0.100000,0.000000,0.050000,0.000000
2,0.066667,0,,,,,,0,0.333333,-0.666667,0.166667,-0.333333
2,0.066667,3,0.00,0.00,9.00,9.00,0.9900,1,,,,
3,7200.100000,0,,,,,,0,,,,
"""


@pytest.fixture(params=["csv_writer", "parquet_writer"])
def writer_type(request):
    if request.param == "parquet_writer":
        pytest.importorskip("pyarrow", reason="pyarrow is optional")
    return getattr(frame_table, request.param)


def test_csv_equals_a_table_written_by_hand(tmp_path):
    path = tmp_path / "new" / "a.csv"
    with frame_table.csv_writer(path, COLUMNS) as write:
        for frame in RECORDING:
            write(frame)
    assert path.read_text() == CSV
    assert list(path.parent.iterdir()) == [path]


def test_columns_follow_the_targets_and_posteriors(tmp_path):
    seen = prediction(0, (1, 2, 3, 4), (0.5,), [0.7, 0.25, 0.05])
    columns = frame_table.Columns(("arousal",), ("happy", "sad", "contempt"))
    with frame_table.csv_writer(tmp_path / "a.csv", columns) as write:
        write(frames.FramePrediction(0, 0.0, [seen]))
        write(frames.FramePrediction(1, 0.1, [prediction(0, None, (0.5,))]))
    header, first, second = (tmp_path / "a.csv").read_text().splitlines()
    assert header.endswith("confidence,valid,arousal,arousal_smooth,p_happy,p_sad,p_contempt")
    assert first.endswith("0.9900,1,0.500000,0.250000,0.700000,0.250000,0.050000")
    assert second.endswith(",0,0.500000,0.250000,,,")


def test_landmarks_on_request(tmp_path):
    with frame_table.csv_writer(tmp_path / "a.csv", WITH_LANDMARKS) as write:
        for frame in RECORDING:
            write(frame)
    written = (tmp_path / "a.csv").read_text().splitlines()
    x_and_y = "10.000,20.000,30.500,21.000,20.000,30.063,0.000,40.000,29.000,1234.568"
    names = "left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,mouth_left_x,mouth_left_y,"
    # They follow the other columns, in frames that show the face.
    places = [names + "mouth_right_x,mouth_right_y", "," * 9, x_and_y, "," * 9, x_and_y, "," * 9]
    assert written == [f"{row},{place}" for row, place in zip(CSV.splitlines(), places)]
    stream = io.StringIO()
    frame_table.json_lines_writer(stream, WITH_LANDMARKS)(RECORDING[1])
    [face] = json.loads(stream.getvalue())["faces"]
    assert face["mouth_right_y"] == 1234.568 and list(face)[-10:] == places[0].split(",")


def test_every_frame_has_a_row():
    for frame in RECORDING:
        rows = COLUMNS.rows(frame)
        assert len(rows) == max(1, len(frame.faces))
        for row in rows:
            assert list(row) == COLUMNS.names
            assert row["frame"] == frame.index
            assert row["valid"] == (row["x"] is not None)
    with pytest.raises(ValueError, match="zip"):
        frame_table.Columns(("valence",)).rows(RECORDING[1])


def test_nan_becomes_none():
    frame = frames.FramePrediction(0, 0.0, [prediction(0, None, (np.nan, 0.5))])
    (row,) = COLUMNS.rows(frame)
    assert row["valence"] is None and row["arousal"] == 0.5
    assert row["valence_smooth"] is None and row["arousal_smooth"] == 0.25


def test_each_frame_is_a_json_line():
    stream = io.StringIO()
    write = frame_table.json_lines_writer(stream, COLUMNS)
    for count, frame in enumerate(RECORDING, start=1):
        write(frame)
        assert stream.getvalue().count("\n") == count
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["frame"], len(line["faces"])) for line in lines] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 1),
    ]
    assert lines[0] == {"frame": 0, "timestamp_s": 0.0, "faces": []}
    box = {"x": 10.13, "y": -3.5, "width": 100.0, "height": 120.0, "confidence": 0.99}
    values = {"valence": 0.1, "arousal": 0.0, "valence_smooth": 0.05, "arousal_smooth": 0.0}
    assert lines[1]["faces"] == [{"face_id": 0, **box, "valid": True, **values}]
    held = {"valid": False, "valence": 0.333333, "arousal": -0.666667}
    held |= {"valence_smooth": 0.166667, "arousal_smooth": -0.333333}
    assert lines[2]["faces"][0] == {"face_id": 0, **dict.fromkeys(box), **held}


def test_json_lines_are_flushed_and_a_closed_pipe_raises():
    class Pipe(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1
            if self.flushed == 2:
                raise BrokenPipeError

    pipe = Pipe()
    write = frame_table.json_lines_writer(pipe, COLUMNS)
    write(RECORDING[0])
    assert pipe.flushed == 1
    with pytest.raises(BrokenPipeError):
        write(RECORDING[1])


def test_parquet_has_types_nulls_and_row_groups(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    monkeypatch.setattr(frame_table, "_ROW_GROUP", 2)
    path = tmp_path / "a.parquet"
    with frame_table.parquet_writer(path, COLUMNS) as write:
        for frame in RECORDING:
            write(frame)
    table = parquet.read_table(path)
    expected = [row for frame in RECORDING for row in COLUMNS.rows(frame)]
    assert table.column_names == COLUMNS.names
    for row, expected_row in zip(table.to_pylist(), expected, strict=True):
        for name, value in expected_row.items():
            assert row[name] == (value if value is None else pytest.approx(value, abs=1e-5)), name
    types = dict(zip(table.column_names, map(str, table.schema.types)))
    assert types["frame"] == "int64" and types["timestamp_s"] == "double"
    assert types["face_id"] == "int32" and types["valid"] == "bool" and types["x"] == "float"
    assert parquet.ParquetFile(path).metadata.num_row_groups == 3
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_without_pyarrow_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    writer = frame_table.parquet_writer(tmp_path / "a.parquet", COLUMNS)
    with pytest.raises(errors.InputError, match="a.parquet.*pip install pyarrow"), writer:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_writing_keeps_the_old_file(tmp_path, writer_type, error):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(error, match="while writing"), writer_type(path, COLUMNS) as write:
        for frame in RECORDING:
            write(frame)
        raise error("while writing")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_give_a_table_without_rows(tmp_path, writer_type):
    path = tmp_path / "a"
    with writer_type(path, COLUMNS):
        pass
    if writer_type is frame_table.csv_writer:
        assert path.read_text() == CSV.splitlines(keepends=True)[0]
    else:
        from pyarrow import parquet

        assert parquet.read_table(path).num_rows == 0


def test_memory_does_not_grow(tmp_path, monkeypatch, writer_type):
    monkeypatch.setattr(frame_table, "_ROW_GROUP", 64)
    with writer_type(tmp_path / "a", COLUMNS) as write:
        counts = []
        for index in range(1280):
            write(frames.FramePrediction(index, index / 25, SEEN))
            if index % 640 == 639:
                gc.collect()
                counts.append(len(gc.get_objects()))
    assert counts[1] - counts[0] < 100


OPENFACE = """\
frame,face_id,timestamp,confidence,success,valence,arousal,valence_smooth,arousal_smooth
1,0,0.000,0.0000,0,,,,
2,0,0.033,0.9900,1,0.100000,0.000000,0.050000,0.000000
3,0,0.067,0.0000,0,0.333333,-0.666667,0.166667,-0.333333
3,3,0.067,0.9900,1,,,,
4,0,7200.100,0.0000,0,,,,
"""


def test_openface_s_columns(tmp_path):
    with frame_table.openface_writer(tmp_path / "openface.csv", COLUMNS) as write:
        for frame in RECORDING:
            write(frame)
    assert (tmp_path / "openface.csv").read_text() == OPENFACE


def test_parquet_has_units(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    path = tmp_path / "a.parquet"
    with frame_table.parquet_writer(path, WITH_LANDMARKS) as write:
        write(RECORDING[1])
    schema = parquet.read_schema(path)
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    names = ("timestamp_s", "width", "nose_y", "valence")
    assert [units[name] for name in names] == ["s", "pixel", "pixel", "1"]

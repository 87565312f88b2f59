"""Photographs: each is a recording of its own, and its values are those of a film of it."""

import csv
import json

import cv2
import numpy as np
import PIL.Image
import pytest

from ast_net import config, errors
from ast_net.faces import alignment, photographs, pictures, video_frame
from ast_net.prediction import inputs, pipeline, session


@pytest.fixture(scope="module")
def stages(shipped_model):
    return pipeline.Pipeline(shipped_model, config.Prediction(max_faces=None))


@pytest.fixture
def folder(tmp_path, drifting_face):
    """Anna, Ben (mirrored, taller, blurred), Cara (damaged), nobody, and two people."""
    anna, nobody = drifting_face([True, False])
    ben = cv2.GaussianBlur(anna[:, ::-1], (0, 0), 4)
    ben = np.pad(ben, ((30, 10), (0, 0), (0, 0)), mode="edge")
    both = np.hstack([anna, ben[:240]])
    folder = tmp_path / "people"
    folder.mkdir()
    images = {"anna.png": anna, "ben.png": ben, "nobody.bmp": nobody, "two.png": both}
    for name, image in images.items():
        pictures.write(folder / name, image)
    (folder / "cara.jpg").write_bytes(b"damaged")
    (folder / "notes.txt").touch()
    return folder


def predict(stages, path, out, *outputs, kind=None):
    settings = config.Outputs(output_dir=str(out), outputs=outputs)
    return session.predict_files(stages, inputs.find([str(path)], kind), settings, kind)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_values_are_those_of_a_film_that_shows_the_photograph(stages, folder, shipped_model):
    source = photographs.Photographs(folder)
    predicted = {frame.file: frame for frame in stages.predict_source(source)}
    assert list(predicted) == ["anna.png", "ben.png", "cara.jpg", "nobody.bmp", "two.png"]
    assert [len(frame.faces) for frame in predicted.values()] == [1, 1, 0, 0, 2]
    values = np.stack([predicted[name].faces[0].values for name in ("anna.png", "ben.png")])
    assert np.abs(np.diff(values, axis=0)).max() > 0.02, "different people"
    for name, value in zip(("anna.png", "ben.png"), values, strict=True):
        image = pictures.read(folder / name)
        # Five seconds at 2.5 frames/s, which is one frame a time step.
        film = [video_frame.Frame(k, k / 2.5, image) for k in range(13)]
        *_, last = stages.predict(film)
        # In the film the tracker moves the face a little, which matters where it is blurred.
        np.testing.assert_allclose(value, last.faces[0].values, rtol=0, atol=0.05)
        # With the first frame's face:
        landmarks = predicted[name].faces[0].face.landmarks
        crop = alignment.align_face(image, landmarks, config.Alignment())
        features = shipped_model.extractor(crop[np.newaxis]).astype(np.float32)
        expected = shipped_model.temporal.network(np.repeat(features[np.newaxis], 13, axis=1))
        np.testing.assert_allclose(value, expected[0, -1], rtol=0, atol=1e-4)


def test_one_table_with_a_row_for_each_face_and_annotated_pictures(
    stages, folder, tmp_path, caplog, capsys
):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    out = tmp_path / "out"
    [summary] = predict(stages, folder, out, "csv", "parquet", "figure", "video", "jsonl")
    assert (summary.frames, summary.valid_frames, summary.error) == (5, 3, "")
    assert summary.faces[0]["valid_frames"] == 4
    assert summary.dropped_frames == 0
    assert "`pictures=sequence`" in caplog.text and "cara.jpg: not a readable" in caplog.text
    table = rows(out / "people/predictions.csv")
    assert [(row["file"], row["face_id"], row["valid"]) for row in table] == [
        ("anna.png", "0", "1"),
        ("ben.png", "0", "1"),
        ("cara.jpg", "", "0"),
        ("nobody.bmp", "", "0"),
        ("two.png", "0", "1"),
        ("two.png", "1", "1"),
    ]
    assert "not a readable picture (7 bytes)" in table[2]["error"]
    assert [row["error"] for row in table if row["file"] != "cara.jpg"] == [""] * 5
    assert table[2]["valence"] == table[3]["valence"] == ""
    assert not {"frame", "timestamp_s", "valence_smooth"} & set(table[0])
    columns = pyarrow.parquet.read_table(out / "people/predictions.parquet").to_pydict()
    assert columns["file"] == [row["file"] for row in table]
    assert columns["valence"] == pytest.approx(
        [float(row["valence"]) if row["valence"] else None for row in table], abs=2e-6
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["file"], len(line["faces"])) for line in lines[2:]] == [
        ("cara.jpg", 0),
        ("nobody.bmp", 0),
        ("two.png", 2),
    ]
    annotated = out / "people/annotated"
    names = ["anna.png", "ben.png", "nobody.bmp", "two.png"]
    assert sorted(path.name for path in annotated.iterdir()) == names
    for name in names:
        before, after = (pictures.read(path / name) for path in (folder, annotated))
        top = slice(0, 25)  # where a film has its time
        np.testing.assert_array_equal(before[top, :60], after[top, :60])
        assert (before != after).any()
    assert not (out / "people/figure.png").exists()


def test_what_pictures_were_taken_for_is_part_of_the_results(stages, folder, tmp_path, caplog):
    for name in ("ben.png", "nobody.bmp", "two.png", "cara.jpg"):
        (folder / name).unlink()
    (folder / "anna.png").rename(folder / "1.png")
    pictures.write(folder / "2.png", pictures.read(folder / "1.png"))
    out = tmp_path / "out"
    for kind, column, annotated in (
        ("separate", "file", "annotated"),
        (None, "frame", "annotated.mp4"),
        ("separate", "file", "annotated"),
    ):
        predict(stages, folder, out, "csv", "video", kind=kind)
        assert column in rows(out / "people/predictions.csv")[0]
        assert {path.name for path in (out / "people").iterdir()} == {
            "predictions.csv",
            annotated,
            "prediction.json",
        }
    before = (out / "people/predictions.csv").stat().st_mtime_ns
    predict(stages, folder, out, "csv", "video", kind="separate")
    assert (out / "people/predictions.csv").stat().st_mtime_ns == before, "kept"
    assert "`pictures=separate`" in caplog.text


def test_a_single_photograph_upright(stages, folder, tmp_path):
    turned = PIL.Image.open(folder / "ben.png").transpose(PIL.Image.Transpose.ROTATE_90)
    exif = PIL.Image.Exif()
    exif[0x112] = 6  # Turn it by 90 degrees clockwise.
    turned.save(tmp_path / "ben.jpg", exif=exif, quality=98)
    for path in (folder / "ben.png", tmp_path / "ben.jpg"):
        [summary] = predict(stages, path, tmp_path / path.suffix, "csv")
        record = tmp_path / path.suffix / path.stem / config.RECORD
        [of_faces] = json.loads(record.read_text(), parse_constant=pytest.fail)["summary"]["faces"]
        assert of_faces["valence_sd"] is None, "JSON has no NaN"
        assert (summary.frames, summary.valid_frames) == (1, 1)
    straight, upright = (rows(tmp_path / kind / "ben/predictions.csv") for kind in (".png", ".jpg"))
    assert [row["file"] for row in (*straight, *upright)] == ["ben.png", "ben.jpg"]
    for column, tolerance in (("x", 3), ("y", 3), ("valence", 0.05), ("arousal", 0.05)):
        difference = float(straight[0][column]) - float(upright[0][column])
        assert abs(difference) < tolerance, column


def test_photographs_that_all_are_damaged_are_an_error(stages, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"damaged")
    [one] = predict(stages, tmp_path / "a.jpg", tmp_path / "one", "csv")
    assert "a.jpg: not a readable picture (7 bytes)" in one.error
    [all_of_them] = predict(stages, tmp_path / "*.jpg", tmp_path / "all", "csv", kind="separate")
    assert "none of its pictures can be read" in all_of_them.error
    assert not (tmp_path / "all" / all_of_them.name).exists()


def test_photographs_have_nothing_that_shows_time(stages, folder, tmp_path):
    [summary] = predict(stages, folder / "anna.png", tmp_path, "figure", "window")
    assert "figure and window: only for films" in summary.error
    assert "`outputs=csv,parquet,video,jsonl`" in summary.error


def test_large_photographs_are_read_one_after_the_other(stages, folder, monkeypatch):
    """However many there are, a bounded number is in memory."""
    monkeypatch.setattr(pipeline, "_KEPT_BYTES", 1)
    source = photographs.Photographs(folder)
    source.files *= 40
    source.frame_count *= 40
    decoded = []
    read = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *args: decoded.append(1) or read(*args))
    predictions = stages.predict_source(source, keep_images=True)
    next(predictions)
    predictions.close()
    assert len(decoded) < 40


def test_unknown_kinds_of_pictures_are_refused():
    with pytest.raises(errors.InputError, match="`pictures` must be"):
        config.Inputs(pictures="film")
    with pytest.raises(errors.InputError, match="`pictures` is for `video`"):
        config.Inputs(camera="0", pictures="separate")

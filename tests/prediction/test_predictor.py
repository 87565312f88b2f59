"""Predicting from Python: the verb's numbers, cameras, one's own loop, threads, errors."""

import concurrent.futures
import gc
import itertools
import math

import cv2
import numpy as np
import pandas
import pytest

import ast_net
from ast_net import config
from ast_net.faces import video, video_frame, video_writer
from ast_net.prediction import camera, inputs, pipeline, prediction_model, session


@pytest.fixture(scope="module")
def predictor(shipped_model_with_head):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_model, "load", lambda *_: shipped_model_with_head)
        return ast_net.Predictor(posteriors=True, landmarks=True, hold_seconds=0.1)


@pytest.fixture(scope="module")
def stages(shipped_model_with_head):
    """What the command predicts with."""
    return pipeline.Pipeline(shipped_model_with_head, config.Prediction(hold_seconds=0.1))


@pytest.fixture(scope="module")
def pictures(drifting_face):
    """Pairs of time and picture; the face goes away, for longer than it is held."""
    images = drifting_face([True] * 4 + [False] * 4)
    return [(number / 25, image) for number, image in enumerate(images)]


def numbers(frames):
    """Returns time, number, values and smooth of each frame's faces."""
    return [
        (frame.time, face.face_id, *face.values.values(), *face.smooth.values())
        for frame in frames
        for face in frame.faces
    ]


def test_the_table_is_the_verbs(predictor, stages, face_video, tmp_path):
    outputs = config.Outputs(
        output_dir=str(tmp_path), outputs=("csv",), posteriors=True, landmarks=True
    )
    session.predict_files(stages, inputs.find([str(face_video)]), outputs)
    written = pandas.read_csv(tmp_path / "face/predictions.csv")
    table = predictor.predict(face_video)
    assert len(table) == 20
    pandas.testing.assert_frame_equal(table, written, check_dtype=False)
    assert list(table)[-1] == "mouth_right_y" and table["left_eye_x"].is_monotonic_increasing


def test_columns_have_types_with_and_without_faces(predictor, face_video, tmp_path, drifting_face):
    path = tmp_path / "empty.mp4"
    video_writer.write_video(path, drifting_face([False] * 2), 25)
    for table in (predictor.predict(face_video), predictor.predict(path)):
        types = {name: str(kind) for name, kind in table.dtypes.items()}
        others = [types.pop(name) for name in ("frame", "face_id", "valid")]
        assert others == ["int64", "Int64", "bool"]
        assert set(types.values()) == {"float64"}
        assert {"valence", "arousal_smooth", "p_surprise"} <= types.keys()
    assert table["face_id"].isna().all() and table["valence"].isna().all()


def test_photographs_have_a_row_each(predictor, pictures, tmp_path):
    for name, (_, image) in zip(("anna.png", "ben.png"), pictures[3:5]):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    table = predictor.predict(tmp_path, pictures="separate")
    assert table["file"].tolist() == ["anna.png", "ben.png"]
    assert table["valid"].tolist() == [True, False]
    assert "timestamp_s" not in table and str(table["face_id"].dtype) == "Int64"


def test_steps_are_the_live_pipeline(predictor, stages, pictures):
    frames = [video_frame.Frame(k, time, image) for k, (time, image) in enumerate(pictures)]
    expected = [
        (frame.timestamp, face.face_id, *face.values.tolist(), *face.smooth.tolist())
        for frame in stages.predict(frames, live=True)
        for face in frame.faces
    ]
    predictor.reset()
    stepped = [predictor.step(image, time) for time, image in pictures]
    np.testing.assert_allclose(numbers(stepped), expected, atol=1e-6)
    streamed = list(predictor.stream(pictures))
    np.testing.assert_allclose(numbers(streamed), expected, atol=1e-6)
    assert [frame.index for frame in stepped] == list(range(len(pictures)))
    np.testing.assert_array_equal(streamed[3].image, pictures[3][1])


def test_a_face_has_a_place_and_named_numbers(predictor, pictures):
    frames = list(predictor.stream(pictures))
    [face] = frames[0].faces
    assert face.valid and face.confidence > 0.9
    x, y, width, height = face.box
    left_eye, right_eye = face.landmarks[:2]
    assert x < left_eye[0] < right_eye[0] < x + width and y < left_eye[1] < y + height
    assert (face.valence, face.arousal) == (face.values["valence"], face.values["arousal"])
    assert math.isclose(sum(face.posteriors.values()), 1, abs_tol=1e-5)
    # Held for a tenth of a second, without a place; then there is nobody.
    [held] = frames[4].faces
    assert (held.valid, held.box, held.landmarks, held.posteriors) == (False, None, None, {})
    assert held.values == frames[3].faces[0].values and math.isnan(held.confidence)
    assert [len(frame.faces) for frame in frames] == [1] * 6 + [0] * 2
    forgotten = itertools.islice(predictor.stream(pictures[2:], hold_seconds=0.0), 3)
    assert [len(frame.faces) for frame in forgotten] == [1, 1, 0]


def test_a_file_is_streamed_with_its_own_times(predictor, face_video):
    streamed = itertools.islice(predictor.stream(face_video), 3)
    decoded = itertools.islice(video.Video(face_video).frames(), 3)
    images = [(frame.timestamp, frame.image) for frame in decoded]
    np.testing.assert_allclose(numbers(streamed), numbers(predictor.stream(images)), atol=1e-6)
    fifth = predictor.stream(face_video, every=5)
    assert [frame.index for frame in fifth] == [0, 5, 10, 15]


class Camera:
    """Gives a picture whenever it is asked, in BGR."""

    released = 0

    def __init__(self, image):
        self.image = image[..., ::-1]

    def read(self):
        return True, self.image

    def release(self):
        type(self).released += 1


def test_a_camera_is_switched_off_when_the_stream_is_closed_or_forgotten(
    predictor, pictures, monkeypatch
):
    monkeypatch.setattr(Camera, "released", 0)
    asked = []
    monkeypatch.setattr(
        camera, "connect", lambda name: asked.append(name) or Camera(pictures[0][1])
    )
    stream = predictor.stream(0)
    frame = next(frame for frame in stream if frame.image is not None)
    np.testing.assert_array_equal(frame.image, pictures[0][1])
    assert (asked, len(frame.faces), Camera.released) == (["0"], 1, 0)
    stream.close()
    assert Camera.released == 1
    forgotten = predictor.stream("rtsp://camera")
    next(forgotten)
    del forgotten
    gc.collect()
    assert (asked, Camera.released) == (["0", "rtsp://camera"], 2)
    with pytest.raises(ZeroDivisionError):
        for _ in predictor.stream(1):
            raise ZeroDivisionError
    gc.collect()
    assert Camera.released == 3


def test_threads_share_a_predictor_and_steps_do_not(predictor, face_video, pictures):
    table, alone = predictor.predict(face_video), numbers(predictor.stream(pictures))

    def steps(own):
        return numbers([own.step(image, time) for time, image in pictures])

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        predicted = threads.submit(predictor.predict, face_video)
        live = [threads.submit(lambda: numbers(predictor.stream(pictures))) for _ in range(2)]
        live += [threads.submit(steps, predictor.another()) for _ in range(2)]
    pandas.testing.assert_frame_equal(predicted.result(), table, atol=2e-6)
    for done in live:
        np.testing.assert_allclose(done.result(), alone, atol=2e-6)


@pytest.mark.parametrize(
    ("image", "time", "message"),
    [
        (np.zeros((4, 5, 3)), 1.0, r"frame 1: found a picture of float64 \[4, 5, 3\], expected"),
        (np.zeros((4, 5), np.uint8), 1.0, r"uint8 \[4, 5\], expected uint8 RGB"),
        (None, 1.0, "object"),
        (np.zeros((4, 5, 3), np.uint8), 0.0, "the time 0.0 s after 0.0 s, expected a later"),
        (np.zeros((4, 5, 3), np.uint8), math.nan, "the time nan s"),
    ],
)
def test_a_wrong_step_is_left_out(predictor, pictures, image, time, message):
    predictor.reset()
    first, second = pictures[:2]
    predictor.step(first[1], first[0])
    with pytest.raises(ast_net.InputError, match=message):
        predictor.step(image, time)
    frame = predictor.step(second[1], second[0])
    assert (frame.index, len(frame.faces)) == (1, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_face": 2}, "`max_face` is not a setting; did you mean `max_faces`?"),
        ({"outputs": "csv"}, "`outputs` is not a setting; did you mean "),
        ({"max_faces": 1.5}, "`max_faces`: found 1.5, expected a whole number"),
        ({"max_faces": True}, "`max_faces`: found True, expected a whole number"),
        ({"max_faces": 0}, "`max_faces` must be at least 1, found 0"),
        ({"hold_seconds": 3.0}, "`hold_seconds` must be at most `identity_seconds`"),
        ({"pictures": "seperate"}, "`pictures` must be one of sequence, separate, found seperate"),
        ({"inference": "fast"}, "`inference` must be one of stream, clip, found fast"),
    ],
)
def test_wrong_settings_have_a_message(predictor, settings, message):
    with pytest.raises(ast_net.InputError) as raised:
        predictor.predict("talk.mp4", **settings)
    assert message in str(raised.value)


def test_wrong_paths_have_a_message(predictor, tmp_path):
    with pytest.raises(ast_net.InputError, match="no such file"):
        predictor.predict(tmp_path / "talk.mp4")
    with pytest.raises(ast_net.InputError, match="no such model; train first"):
        ast_net.Predictor(tmp_path)

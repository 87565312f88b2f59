"""Which requests the exported functions refuse, in a session that does not check shapes itself."""

import cv2
import numpy as np
import pytest
import tensorflow as tf


class Session:
    """Answers requests like TensorFlow Serving's session; Session.run would check shapes first."""

    def __init__(self, folder):
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._session = tf.compat.v1.Session()
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self._signatures = loaded.signature_def
        self._session._extend_graph()

    def __call__(self, signature, inputs):
        definition = self._signatures[signature]
        feeds = {self._tensor(definition.inputs[k].name): np.asarray(v) for k, v in inputs.items()}
        fetches = [self._tensor(tensor.name) for tensor in definition.outputs.values()]
        outputs = self._session._call_tf_sessionrun(None, feeds, fetches, [], None)
        return dict(zip(definition.outputs, outputs, strict=True))

    def _tensor(self, name):
        return self._graph.get_tensor_by_name(name)._as_tf_output()


@pytest.fixture(scope="module")
def session(exported):
    return Session(exported)


def floats(*shape):
    return np.full(shape, 0.5, np.float32)


def pixels(*shape):
    return np.full(shape, 128, np.uint8)


def picture(kind, height=224, width=224, channels=3):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return cv2.imencode(kind, noise)[1].tobytes()


def strings(*values):
    return np.array([values], object)


def states(**changed):
    sizes = {"lstm_1_h": 6, "lstm_1_c": 6, "lstm_2_h": 5, "lstm_2_c": 5}
    zeros = {name: np.zeros((2, size), np.float32) for name, size in sizes.items()}
    return {"features": floats(2, 512), **zeros, **changed}


def step_jpeg(jpeg, **changed):
    inputs = states(**changed)
    del inputs["features"]
    return {"jpeg": jpeg, **inputs}


JPEG, PNG = picture(".jpg"), picture(".png")
SHAPE, TYPE, VALUES = (
    "is not compatible with expected shape",
    "to be .* but .* is provided",
    "no NaN",
)
CLIPS = "expected 1 to 65536 frames"
FACES, PICTURES = "expected 1 to 2048 faces", "expected 1 to 2048 pictures"
ONE_NAN = np.where(np.arange(512) == 300, np.nan, floats(1, 1, 512)).astype(np.float32)

MALFORMED = [
    ("serving_default", {"features": floats(2, 7, 1)}, SHAPE),
    ("serving_default", {"features": floats(2, 7, 511)}, SHAPE),
    ("serving_default", {"features": floats(2, 7, 4096)}, SHAPE),
    ("serving_default", {"features": floats(2, 7, 0)}, SHAPE),
    ("serving_default", {"features": floats(7, 512)}, SHAPE),
    ("serving_default", {"features": floats(1, 2, 7, 512)}, SHAPE),
    ("serving_default", {"features": np.float32(1)}, SHAPE),
    ("serving_default", {"features": floats(2, 7, 512).astype(np.float64)}, TYPE),
    ("serving_default", {"features": pixels(2, 7, 512)}, TYPE),
    ("serving_default", {"features": strings("one")}, TYPE),
    ("serving_default", {"features": floats(0, 7, 512)}, CLIPS),
    ("serving_default", {"features": floats(2, 0, 512)}, CLIPS),
    ("serving_default", {"features": floats(0, 0, 512)}, CLIPS),
    ("serving_default", {"features": np.zeros((65537, 1, 512), np.float32)}, CLIPS),
    ("serving_default", {"features": ONE_NAN}, VALUES),
    ("serving_default", {"features": floats(1, 3, 512) * np.inf}, VALUES),
    ("serving_default", {"features": floats(1, 3, 512) * -1e6}, VALUES),
    ("step", states(features=floats(2, 1)), SHAPE),
    ("step", states(features=floats(2, 1, 512)), SHAPE),
    ("step", states(features=floats(512)), SHAPE),
    ("step", states(features=floats(0, 512)), CLIPS),
    ("step", states(features=floats(3, 512)), "lstm_.*: expected as many rows as there are faces"),
    ("step", states(features=ONE_NAN[[0, 0], 0]), VALUES),
    ("step", states(features=floats(2, 512).astype(np.int32)), TYPE),
    ("step", states(lstm_1_c=floats(2, 1)), SHAPE),
    ("step", states(lstm_2_h=floats(2, 6)), SHAPE),
    ("step", states(lstm_1_h=floats(6)), SHAPE),
    ("step", states(lstm_2_c=floats(1, 5)), r"lstm_2_c: .* found\] \[1\] \[and\] \[2\]"),
    ("step", states(lstm_2_c=floats(2, 5) * -np.inf), "lstm_2_c: expected .*16777216, no NaN"),
    ("step", states(lstm_2_h=floats(2, 5) * np.nan), "lstm_2_h: expected .* -1 to 1, no NaN"),
    ("step", states(lstm_1_c=floats(2, 6) * np.nan), "lstm_1_c: .* no NaN"),
    ("step", states(lstm_1_c=floats(2, 6) * 2**25 + 2), "lstm_1_c: .* -16777216 to 16777216"),
    ("step", states(lstm_1_h=floats(2, 6) * -2.01), "lstm_1_h: .* -1 to 1"),
    ("step_jpeg", step_jpeg(strings(JPEG, JPEG)[0], lstm_2_h=floats(2, 5) * 4), "lstm_2_h: "),
    ("step_jpeg", step_jpeg(strings(JPEG, JPEG)), SHAPE),
    ("step_jpeg", step_jpeg(strings(JPEG, PNG[:2000])[0]), "PNG"),
    ("step_jpeg", step_jpeg(strings(JPEG)[0]), "lstm_.*: expected as many rows as there are faces"),
    ("step_jpeg", step_jpeg(np.zeros(0, object)), PICTURES),
    ("step_jpeg", step_jpeg(strings(JPEG, JPEG)[0], lstm_1_c=floats(2, 5)), SHAPE),
    ("timing", {"target": np.zeros(0, object)}, "expected 1 to 65536 targets"),
    ("timing", {"target": strings(b"valence")}, SHAPE),
    ("timing", {"target": floats(2)}, TYPE),
    ("timing", {"target": strings(b"valence", b"\xff")[0]}, "expected valence or arousal.*row.*1"),
    ("faces", {"faces": pixels(1, 2, 224, 224, 1)}, SHAPE),
    ("faces", {"faces": pixels(1, 1, 448, 112, 3)}, SHAPE),
    ("faces", {"faces": pixels(2, 224, 224, 3)}, SHAPE),
    ("faces", {"faces": pixels(1, 1, 1, 224, 224, 3)}, SHAPE),
    ("faces", {"faces": floats(1, 1, 224, 224, 3)}, TYPE),
    ("faces", {"faces": pixels(0, 1, 224, 224, 3)}, FACES),
    ("faces", {"faces": pixels(1, 0, 224, 224, 3)}, FACES),
    ("faces", {"faces": np.zeros((1, 2049, 224, 224, 3), np.uint8)}, FACES),
    ("jpeg", {"jpeg": strings(JPEG)[0]}, SHAPE),
    ("jpeg", {"jpeg": strings(JPEG, JPEG, JPEG[:2000])}, "Invalid JPEG data|truncated"),
    ("jpeg", {"jpeg": strings(JPEG, JPEG[:30])}, "Invalid JPEG data"),
    ("jpeg", {"jpeg": strings(JPEG, JPEG[:-1000])}, "Invalid JPEG data"),
    ("jpeg", {"jpeg": strings(JPEG, picture(".webp"))}, r"picture.*1.*is not a JPEG"),
    ("jpeg", {"jpeg": strings(picture(".bmp"))}, "is not a JPEG"),
    (
        "jpeg",
        {"jpeg": strings(b"/9j/4AAQ")},
        "is not a JPEG or PNG file; its length in bytes is.*8",
    ),
    ("jpeg", {"jpeg": strings(JPEG, JPEG, picture(".jpg", 480, 640))}, r"picture.*2.*480 640"),
    ("jpeg", {"jpeg": strings(picture(".jpg", 224, 225))}, r"expected a face.*224 225"),
    ("jpeg", {"jpeg": strings(picture(".jpg", 112, 448, 1))}, r"112 448"),
    ("jpeg", {"jpeg": strings(JPEG, picture(".png", 225, 224))}, r"picture.*1.*225 224"),
    ("jpeg", {"jpeg": strings(JPEG, PNG[:-1000])}, "PNG"),
    ("jpeg", {"jpeg": strings(PNG[:20])}, "is not a JPEG or PNG file.*20"),
    ("jpeg", {"jpeg": strings(PNG[:16] + b"\xff" * 8 + PNG[24:])}, r"expected a face.*-1 -1"),
    ("jpeg", {"jpeg": strings(*[b""] * 20, PNG[:20])}, r"picture.*20.*is not a JPEG"),
    ("jpeg", {"jpeg": np.zeros((0, 1), object)}, PICTURES),
    ("jpeg", {"jpeg": np.full((3, 683), b"", object)}, PICTURES),
    ("jpeg", {"jpeg": pixels(1, 1)}, TYPE),
    ("emotion", {"faces": pixels(1, 2, 224, 224, 3)}, SHAPE),
    ("emotion", {"faces": pixels(1, 225, 225, 3)}, SHAPE),
    ("emotion", {"faces": pixels(1, 224, 224, 1)}, SHAPE),
    ("emotion", {"faces": pixels(0, 224, 224, 3)}, FACES),
    ("emotion", {"faces": floats(1, 224, 224, 3)}, TYPE),
]


@pytest.mark.parametrize(("signature", "inputs", "message"), MALFORMED)
def test_malformed_requests_are_refused(session, signature, inputs, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){message}"):
        session(signature, inputs)


def test_the_largest_states_are_accepted(session):
    """float32 rounds a tanh to 1, and an LSTM whose gates are open counts its steps in c."""
    largest = {"lstm_1_h": floats(2, 6) * -2, "lstm_2_c": floats(2, 5) * 2**25}
    answer = session("step", states(**largest))
    assert np.isfinite(answer["valence"]).all()
    again = states(**{name: answer[name] for name in states() if name != "features"})
    assert np.isfinite(session("step", again)["valence"]).all()


def test_it_still_works_after_malformed_requests(session, small_model, features):
    answer = session("serving_default", {"features": features})
    expected = small_model.temporal.network(features).numpy()
    np.testing.assert_allclose(answer["valence"], expected[..., 0], rtol=0, atol=1e-5)


def test_a_grey_picture_is_converted_to_rgb(session):
    grey = picture(".jpg", channels=1)
    decoded = cv2.imdecode(np.frombuffer(grey, np.uint8), cv2.IMREAD_COLOR)
    from_jpeg = session("jpeg", {"jpeg": strings(grey)})
    from_pixels = session("faces", {"faces": decoded[np.newaxis, np.newaxis]})
    np.testing.assert_allclose(from_jpeg["valence"], from_pixels["valence"], rtol=0, atol=1e-6)


def test_timing_returns_the_times_of_the_model(session):
    timing = session("timing", {"target": strings(b"arousal", b"valence", b"arousal")[0]})
    assert {name: values.tolist() for name, values in timing.items()} == {
        "time_step": [0.4, 0.4, 0.4],
        "reaction_delay": [1.5, 2.0, 1.5],
    }


def test_step_jpeg_equals_step_with_features(session, small_model, faces):
    """With a PNG picture, an empty string, and states that are not zeros."""
    face = small_model.cnn(faces[1, :1]).numpy().astype(np.float16).astype(np.float32)
    rows = np.concatenate([face, np.zeros_like(face)])
    inputs = states(features=rows, lstm_1_h=floats(2, 6), lstm_2_c=floats(2, 5))
    expected = session("step", inputs)
    png = cv2.imencode(".png", faces[1, 0][..., ::-1])[1].tobytes()
    del inputs["features"]
    answer = session("step_jpeg", {"jpeg": strings(png, b"")[0], **inputs})
    assert set(answer) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(answer[name], value, rtol=0, atol=1e-5)


def test_requests_without_any_face(session):
    answers = [
        session("serving_default", {"features": floats(1, 2, 512) * 0}),
        session("faces", {"faces": pixels(1, 2, 224, 224, 3) * 0}),
        session("jpeg", {"jpeg": strings(b"", b"")}),
    ]
    for answer in answers:
        np.testing.assert_array_equal(answer["valence"], answers[0]["valence"])


def test_more_faces_than_one_batch_of_the_cnn(session, faces):
    many = np.tile(faces[1], (13, 1, 1, 1))
    black = [0, 5, *range(16, 32), 33]  # A whole batch, and some between others.
    many[black] = 0
    posteriors = session("emotion", {"faces": many})["posteriors"]
    expected = np.tile(session("emotion", {"faces": faces[1]})["posteriors"], (13, 1))
    expected[black] = 0
    np.testing.assert_allclose(posteriors, expected, rtol=0, atol=1e-5)

"""The pipeline against the same steps run one after the other."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from ast_net import config, errors
from ast_net.faces import alignment, face_track, video, video_frame
from ast_net.prediction import camera, pipeline
from ast_net.temporal import streaming


@pytest.fixture(scope="module")
def stages(shipped_model):
    return pipeline.Pipeline(shipped_model, config.Prediction(batch_faces=8))


def frames_of(images, rate=25.0):
    return [video_frame.Frame(number, number / rate, image) for number, image in enumerate(images)]


def values(predicted):
    """Returns the values of each frame's first face, [T, 2]; NaN where there is none."""
    nothing = np.full(2, np.nan, np.float32)
    return np.stack([frame.faces[0].values if frame.faces else nothing for frame in predicted])


@pytest.fixture(scope="module")
def expected(face_video, shipped_model):
    """Predicts face_video step by step, each step on the whole video."""
    source = video.Video(face_video)
    track = face_track.track_video(source, config.Tracking(), shipped_model.detector)
    crops = [face.image for face in alignment.aligned_faces(source, track, config.Alignment())]
    features = shipped_model.extractor(np.stack(crops)).astype(np.float32)
    predictor = streaming.StreamingPredictor(shipped_model.temporal.network, 0.4)
    return predictor.predict(features, track.timestamps)


@pytest.mark.parametrize("live", [False, True])
def test_equals_the_steps_run_one_after_the_other(stages, face_video, expected, live):
    predicted = list(stages.predict(video.Video(face_video).frames(), live=live))
    assert [frame.index for frame in predicted] == list(range(20))
    assert [frame.timestamp for frame in predicted] == pytest.approx(np.arange(20) / 25)
    assert all(frame.faces[0].valid and frame.image is None for frame in predicted)
    np.testing.assert_allclose(values(predicted), expected, atol=1e-4)


def test_every_fifth_frame(shipped_model, face_video):
    """Frames 0, 5, 10, 15 and a time step of 0.4 s: each continues the one two frames before."""
    source = video.Video(face_video)
    stages = pipeline.Pipeline(shipped_model, config.Prediction(every=5))
    predicted = list(stages.predict_source(source))
    assert [frame.index for frame in predicted] == [0, 5, 10, 15]
    assert [frame.timestamp for frame in predicted] == pytest.approx([0, 0.2, 0.4, 0.6])
    chosen = list(source.frames())[::5]
    by_hand = pipeline.Pipeline(shipped_model, config.Prediction()).predict(chosen)
    np.testing.assert_allclose(values(predicted), values(by_hand), atol=1e-6)
    assert stages.frame_count(source) == 4


def test_frames_further_apart_than_a_time_step_are_refused(shipped_model, face_video):
    source = video.Video(face_video)
    ten = pipeline.Pipeline(shipped_model, config.Prediction(every=10))
    assert [frame.index for frame in ten.chosen_frames(source)] == [0, 10]
    eleven = pipeline.Pipeline(shipped_model, config.Prediction(every=11))
    with pytest.raises(errors.InputError, match="`every=11`.*0.44 s apart.*0.4 s; give `every=10`"):
        eleven.chosen_frames(source)


def test_posteriors_and_images_on_request(shipped_model_with_head, drifting_face):
    stages = pipeline.Pipeline(shipped_model_with_head, config.Prediction(batch_faces=3))
    images = drifting_face([True, True, True, False])
    predicted = list(stages.predict(frames_of(images), keep_images=True))
    for frame, image in zip(predicted, images, strict=True):
        np.testing.assert_array_equal(frame.image, image)
    posteriors = np.stack(
        [frame.faces[0].posteriors for frame in predicted if frame.faces[0].valid]
    )
    assert posteriors.shape == (3, 8)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1, atol=1e-5)
    assert predicted[3].faces[0].posteriors is None


def test_dropped_frames_have_no_face(stages, drifting_face):
    recording = frames_of(drifting_face([True] * 6))
    recording[3] = recording[3]._replace(image=camera.DROPPED)
    predicted = list(stages.predict(recording, keep_images=True, live=True))
    assert [frame.dropped for frame in predicted] == [False] * 3 + [True] + [False] * 2
    assert [frame.faces[0].valid for frame in predicted] == [True] * 3 + [False] + [True] * 2
    assert predicted[3].image is None


def test_damaged_frames_have_no_face_but_keep_their_picture(stages, drifting_face):
    recording = [
        video_frame.Frame(index, index / 25, image, damaged=index == 3)
        for index, image in enumerate(drifting_face([True] * 6))
    ]
    predictions = list(stages.predict(recording, keep_images=True))
    valid = [any(face.valid for face in frame.faces) for frame in predictions]
    assert valid == [True, True, True, False, True, True]
    assert all(frame.image is not None and not frame.dropped for frame in predictions)


def test_the_time_step_is_that_of_the_model_at_any_rate(stages, shipped_model, drifting_face):
    images = drifting_face([True]) * 12
    slow = list(stages.predict(frames_of(images, 2.5)))
    features = shipped_model.extractor(
        np.stack([crop_of(shipped_model, image) for image in images])
    ).astype(np.float32)
    # At 2.5 frames/s a frame is one time step, so that all frames are one sequence.
    expected = shipped_model.temporal.network(features[np.newaxis])[0]
    np.testing.assert_allclose(values(slow), expected, atol=0.01)


def crop_of(shipped_model, image):
    face = shipped_model.detector.detect(image)[0]
    return alignment.align_face(image, face.landmarks, config.Alignment())


def test_holds_a_bounded_number_of_frames(stages, drifting_face):
    decoded = []
    images = itertools.cycle(drifting_face([True] * 4))
    recording = (
        decoded.append(number) or video_frame.Frame(number, number / 25, next(images))
        for number in itertools.count()
    )
    predictions = stages.predict(recording)
    for _ in range(40):
        next(predictions)
    predictions.close()
    assert len(decoded) < 120


def test_large_images_that_are_kept_make_small_batches(shipped_model, drifting_face, monkeypatch):
    (image,) = drifting_face([True])
    monkeypatch.setattr(pipeline, "_KEPT_BYTES", 3 * image.nbytes)
    stages = pipeline.Pipeline(shipped_model, config.Prediction(batch_faces=100))
    decoded = []
    recording = (
        decoded.append(number) or video_frame.Frame(number, number / 25, image)
        for number in range(200)
    )
    predictions = stages.predict(recording, keep_images=True)
    next(predictions)
    predictions.close()
    assert len(decoded) < 60


def test_an_error_in_the_middle_comes_after_the_predictions_before_it(stages, drifting_face):
    def breaking():
        yield from frames_of(drifting_face([True] * 20))
        raise OSError("the disk is gone")

    predicted = []
    with pytest.raises(OSError, match="the disk is gone"):
        for frame in stages.predict(breaking()):
            predicted.append(frame)
    assert len(predicted) == 16, "two whole batches"


def test_full_memory_in_the_cnn_names_the_setting(shipped_model, drifting_face):
    def raise_full(_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    extractor = dataclasses.replace(shipped_model.extractor, run=raise_full)
    model = dataclasses.replace(shipped_model, extractor=extractor)
    stages = pipeline.Pipeline(model, config.Prediction())
    with pytest.raises(errors.InputError, match=r"\(OOM\): give a smaller `batch_faces`"):
        list(stages.predict(frames_of(drifting_face([True]))))


def test_two_faces_side_by_side_are_predicted_as_each_alone(shipped_model, drifting_face):
    left = drifting_face([True] * 30)
    right = [image[:, ::-1].copy() for image in reversed(left)]
    both = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    one_face = pipeline.Pipeline(shipped_model, config.Prediction())
    all_faces = pipeline.Pipeline(shipped_model, config.Prediction(max_faces=None))
    alone = [values(list(one_face.predict(frames_of(images)))) for images in (left, right)]
    predicted = list(all_faces.predict(frames_of(both)))
    assert {len(frame.faces) for frame in predicted} == {2}
    right_is_first = predicted[0].faces[0].face.box[0] > 320
    for face_id, expected in enumerate(alone[::-1] if right_is_first else alone):
        together = np.stack([frame.faces[face_id].values for frame in predicted])
        assert [frame.faces[face_id].face_id for frame in predicted] == [face_id] * 30
        np.testing.assert_allclose(together, expected, atol=0.02)


def another_person(image):
    """The same picture in other colours, mirrored, with dark lips and cheeks."""
    other = (255 * (image[:, ::-1] / 255.0) ** [0.4, 0.6, 0.8]).astype(np.uint8)
    other[110:] //= 3
    return other


@pytest.mark.parametrize(("max_faces", "live"), [(1, True), (None, False)])
def test_after_a_cut_a_person_is_predicted_as_alone(shipped_model, drifting_face, max_faces, live):
    images = drifting_face([True] * 6)
    other = [another_person(image) for image in images]
    stages = pipeline.Pipeline(shipped_model, config.Prediction(max_faces=max_faces))
    alone = list(stages.predict(frames_of(other), live=live))
    predicted = list(stages.predict(frames_of(images + other), live=live))
    assert [face.face_id for frame in predicted for face in frame.faces if face.valid] == (
        [0] * 6 + [1] * 6
    )
    for frame, expected in zip(predicted[6:], alone, strict=True):
        # The first face is still repeated.
        *_, face = frame.faces
        np.testing.assert_array_equal(face.face.box, expected.faces[0].face.box)
        np.testing.assert_allclose(face.values, expected.faces[0].values, atol=1e-4)
        np.testing.assert_allclose(face.smooth, expected.faces[0].smooth, atol=1e-4)

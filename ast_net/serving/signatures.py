"""The functions of a SavedModel: named tensors to named tensors; malformed input is refused.

The graphs consist of TensorFlow's own operations alone, none of them cuDNN's.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from ast_net.cnn import expression_head
from ast_net.serving import encoded_faces, input_checks, served_model, temporal_graphs
from ast_net.temporal import temporal_model

# Of all rows of a request together, so that none takes all memory. A face has 150 kB.
MAX_FRAMES, MAX_FACES = 65_536, 2_048

Tensors = dict[str, tf.Tensor]


def build(model: served_model.ServedModel) -> dict[str, Callable]:
    """Builds the functions by their names, each with its inputs' names, shapes and types fixed.

    B and N are free. A frame without a face is a row of zeros in features, a picture that is all
    black, or an empty string; predictions and states stay what they were.

    - serving_default: features [B, N, F] float32 -> each target by its name, [B, N].
    - step: features [B, F] and the states lstm_k_h, lstm_k_c [B, units] -> each target [B], and new
      states.
    - faces: faces [B, N, 224, 224, 3] uint8 RGB -> each target [B, N].
    - jpeg: jpeg [B, N], each string a JPEG file of 224x224 pixels, or PNG, which loses nothing ->
      each target [B, N].
    - step_jpeg: as step, but of jpeg [B].
    - stride: frame_rate [B] float32, frames a second -> stride [B] int32, how many frames of such a
      recording are from one to the next that a state sees. That many states take turns.
    - emotion: faces [B, 224, 224, 3] uint8 RGB -> posteriors [B, 7], zeros without a face, and the
      names of their columns, expressions [B, 7].

    Those that take pictures need model.cnn, and emotion needs model.head as well. A function raises
    tf.errors.InvalidArgumentError for what is empty, too large, not finite, or not such a picture.
    """
    spec = model.temporal.spec
    clips, step = temporal_graphs.clips(model.temporal), temporal_graphs.step(model.temporal)
    states = {
        tensor.name: (tuple(tensor.shape), tf.float32)
        for tensor in step.inputs
        if tensor.name != "features"
    }
    features = (None, spec.feature_size), tf.float32
    result = {
        "serving_default": _traced(_clips(clips), features=((None, *features[0]), tf.float32)),
        "step": _traced(_step_features(step), features=features, **states),
        "stride": _traced(_stride(spec), frame_rate=((None,), tf.float32)),
    }
    if model.cnn is None:
        return result
    faces = (None, *encoded_faces.FACE), tf.uint8
    of_faces = _faces(clips, model.cnn)
    result["faces"] = _traced(of_faces, faces=((None, *faces[0]), tf.uint8))
    result["jpeg"] = _traced(_jpeg(of_faces), jpeg=((None, None), tf.string))
    result["step_jpeg"] = _traced(_step_jpeg(step, model.cnn), jpeg=((None,), tf.string), **states)
    if model.head is not None:
        result["emotion"] = _traced(_emotion(model.cnn, model.head), faces=faces)
    return result


def _traced(function: Callable[..., Tensors], **inputs: tuple[tuple, tf.DType]) -> Callable:
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}

    def checked(**tensors: tf.Tensor) -> Tensors:
        return function(
            **{name: input_checks.fitting(name, tensors[name], specs[name].shape) for name in specs}
        )

    return tf.function(checked, autograph=False).get_concrete_function(**specs)


def _clips(clips: keras.Model) -> Callable[..., Tensors]:
    def of_clips(features):
        features = input_checks.finite(input_checks.bounded(features, 2, MAX_FRAMES, "frames"))
        return clips({"features": features})

    return of_clips


def _step(step: keras.Model, features: tf.Tensor, states: Tensors) -> Tensors:
    """Each target, and the new states by the names that they go in with."""
    rows, checked = tf.shape(features)[0], {}
    for name, state in states.items():
        count = tf.shape(state)[0]
        message = f"{name}: expected as many rows as there are faces, found"
        state = input_checks.require(count == rows, state, message, count, "and", rows)
        finite = tf.reduce_all(tf.math.is_finite(state))
        checked[name] = input_checks.require(finite, state, f"{name}: found NaN or infinity")
    answer = step({"features": features, **checked})
    return {name.removeprefix(temporal_graphs.NEXT): value for name, value in answer.items()}


def _step_features(step: keras.Model) -> Callable[..., Tensors]:
    def step_features(features, **states):
        features = input_checks.finite(input_checks.bounded(features, 1, MAX_FRAMES, "rows"))
        return _step(step, features, states)

    return step_features


def _step_jpeg(step: keras.Model, cnn: keras.Model) -> Callable[..., Tensors]:
    def step_jpeg(jpeg, **states):
        faces = encoded_faces.decoded(input_checks.bounded(jpeg, 1, MAX_FACES, "pictures"))
        features, _ = encoded_faces.fc6(cnn, faces)
        return _step(step, features, states)

    return step_jpeg


def _stride(spec: temporal_model.ModelSpec) -> Callable[..., Tensors]:
    def stride(frame_rate):
        rate = input_checks.bounded(frame_rate, 1, MAX_FRAMES, "rates")
        fine = tf.reduce_all((rate > 0) & (rate < 1000))
        rate = tf.cast(
            input_checks.require(fine, rate, "frame_rate: expected 0 to 1000, found", rate),
            tf.float64,
        )
        # As ModelSpec.stride_at.
        frames = tf.cast(tf.round(spec.stride * rate / spec.frame_rate), tf.int32)
        return {"stride": tf.maximum(frames, 1)}

    return stride


def _faces(clips: keras.Model, cnn: keras.Model) -> Callable[..., Tensors]:
    def predict(faces):
        faces = input_checks.bounded(faces, 2, MAX_FACES, "faces")
        features, _ = encoded_faces.fc6(cnn, tf.reshape(faces, (-1, *encoded_faces.FACE)))
        shape = tf.concat([tf.shape(faces)[:2], tf.shape(features)[1:]], axis=0)
        return clips({"features": tf.reshape(features, shape)})

    return predict


def _jpeg(predict: Callable[..., Tensors]) -> Callable[..., Tensors]:
    def decode_and_predict(jpeg):
        jpeg = input_checks.bounded(jpeg, 2, MAX_FACES, "pictures")
        faces = encoded_faces.decoded(tf.reshape(jpeg, (-1,)))
        return predict(tf.reshape(faces, tf.concat([tf.shape(jpeg), encoded_faces.FACE], axis=0)))

    return decode_and_predict


def _emotion(cnn: keras.Model, head: keras.Model) -> Callable[..., Tensors]:
    def emotion(faces):
        features, shown = encoded_faces.fc6(cnn, input_checks.bounded(faces, 1, MAX_FACES, "faces"))
        posteriors = tf.nn.softmax(head(features))
        # With a row for each face, as servers that put requests together want it.
        names = tf.tile([expression_head.EXPRESSIONS], (tf.shape(faces)[0], 1))
        return {
            "posteriors": tf.where(shown[:, tf.newaxis], posteriors, 0.0),
            "expressions": names,
        }

    return emotion


def specifications(function: Callable) -> dict[str, tf.TensorSpec]:
    """Returns the inputs that a function of `build` takes, by name."""
    positional, named = function.structured_input_signature  # type: ignore[attr-defined]
    return {spec.name: spec for spec in (*positional, *named.values())}

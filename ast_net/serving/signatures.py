"""What a server offers: functions from named tensors to named tensors, which refuse what is malformed.

The graphs consist of TensorFlow's own operations alone, none of them cuDNN's.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from ast_net.cnn import expression_head
from ast_net.serving import encoded_faces, input_checks, served_model
from ast_net.temporal import stacked_lstm as lstm
from ast_net.temporal import temporal_model

# Of all rows of a request together, so that none takes all memory. A face has 150 kB.
MAX_FRAMES, MAX_FACES = 65_536, 2_048

Tensors = dict[str, tf.Tensor]


def build(networks: served_model.Networks) -> dict[str, Callable]:
    """The functions by their names, each with its inputs' names, shapes and types fixed.

    B and N are free. A frame without a face is a row of zeros in features, a picture that is all black,
    or an empty string; predictions and states stay what they were.

    - serving_default: features [B, N, F] float32 -> each target by its name, [B, N].
    - step: features [B, F] and the states lstm_k_h, lstm_k_c [B, units] -> each target [B], and new states.
    - faces: faces [B, N, 224, 224, 3] uint8 RGB -> each target [B, N].
    - jpeg: jpeg [B, N], each string a JPEG file of 224x224 pixels, or PNG, which loses nothing -> each target [B, N].
    - step_jpeg: as step, but of jpeg [B].
    - stride: frame_rate [B] float32, frames a second -> stride [B] int32, how many frames of such a recording are
      from one to the next that a state sees. That many states take turns.
    - emotion: faces [B, 224, 224, 3] uint8 RGB -> posteriors [B, 7], zeros without a face, and the names of
      their columns, expressions [B, 7].

    What takes pictures needs networks.cnn, and emotion networks.head, too. A function raises
    tf.errors.InvalidArgumentError for what is empty, too large, not finite, or not such a picture.
    """
    features = networks.stacked_lstm.input.shape[-1]
    step, states = _step(networks)
    found = {
        "serving_default": _traced(_clips(networks), features=((None, None, features), tf.float32)),
        "step": _traced(_of_features(step), features=((None, features), tf.float32), **states),
        "stride": _traced(_stride(networks.origin), frame_rate=((None,), tf.float32)),
    }
    if networks.cnn is not None:
        of_faces, faces = (
            _faces(networks, networks.cnn),
            ((None, None, *encoded_faces.FACE), tf.uint8),
        )
        found["faces"] = _traced(of_faces, faces=faces)
        found["jpeg"] = _traced(_jpeg(of_faces), jpeg=((None, None), tf.string))
        step_jpeg = _step_jpeg(step, networks.cnn)
        found["step_jpeg"] = _traced(step_jpeg, jpeg=((None,), tf.string), **states)
    if networks.cnn is not None and networks.head is not None:
        emotion = _emotion(networks.cnn, networks.head)
        found["emotion"] = _traced(emotion, faces=((None, *encoded_faces.FACE), tf.uint8))
    return found


def _traced(function: Callable[..., Tensors], **inputs: tuple[tuple, tf.DType]) -> Callable:
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}

    def checked(**tensors: tf.Tensor) -> Tensors:
        return function(
            **{name: input_checks.fitting(name, tensors[name], specs[name].shape) for name in specs}
        )

    return tf.function(checked, autograph=False).get_concrete_function(**specs)


def _clips(networks: served_model.Networks) -> Callable[..., Tensors]:
    def clips(features):
        features = input_checks.finite(input_checks.bounded(features, 2, MAX_FRAMES, "frames"))
        return _by_target(networks, networks.stacked_lstm(features))

    return clips


def _step(networks: served_model.Networks) -> tuple[Callable[..., Tensors], dict[str, tuple]]:
    """Features [B, F] and states by their names -> each target, and new states; and the states' shapes and type."""
    stateful = lstm.build_stateful(networks.stacked_lstm, frames=1)

    def step(features, states):
        rows, fitting = tf.shape(features)[0], {}
        for name, state in states.items():
            found = tf.shape(state)[0]
            message = f"{name}: expected as many rows as there are faces, found"
            state = input_checks.require(found == rows, state, message, found, "and", rows)
            finite = tf.reduce_all(tf.math.is_finite(state))
            fitting[name] = input_checks.require(finite, state, f"{name}: found NaN or infinity")
        outputs = stateful({"features": features[:, tf.newaxis], **fitting})
        predictions = _by_target(networks, outputs["predictions"][:, 0])
        return {**predictions, **{name: outputs[name] for name in states}}

    return step, {
        f"{layer.name}_{part}": ((None, layer.units), tf.float32)
        for layer in lstm.lstm_layers(networks.stacked_lstm)
        for part in "hc"
    }


def _of_features(step: Callable[..., Tensors]) -> Callable[..., Tensors]:
    def step_features(features, **states):
        return step(
            input_checks.finite(input_checks.bounded(features, 1, MAX_FRAMES, "rows")), states
        )

    return step_features


def _step_jpeg(step: Callable[..., Tensors], cnn: keras.Model) -> Callable[..., Tensors]:
    def step_jpeg(jpeg, **states):
        faces = encoded_faces.decoded(input_checks.bounded(jpeg, 1, MAX_FACES, "pictures"))
        features, _ = encoded_faces.fc6(cnn, faces)
        return step(features, states)

    return step_jpeg


def _stride(origin: temporal_model.Origin) -> Callable[..., Tensors]:
    def stride(frame_rate):
        rate = input_checks.bounded(frame_rate, 1, MAX_FRAMES, "rates")
        fine = tf.reduce_all((rate > 0) & (rate < 1000))
        rate = tf.cast(
            input_checks.require(fine, rate, "frame_rate: expected 0 to 1000, found", rate),
            tf.float64,
        )
        # As Origin.stride_at.
        frames = tf.cast(tf.round(origin.stride * rate / origin.frame_rate), tf.int32)
        return {"stride": tf.maximum(frames, 1)}

    return stride


def _faces(networks: served_model.Networks, cnn: keras.Model) -> Callable[..., Tensors]:
    def predict(faces):
        faces = input_checks.bounded(faces, 2, MAX_FACES, "faces")
        features, _ = encoded_faces.fc6(cnn, tf.reshape(faces, (-1, *encoded_faces.FACE)))
        shape = tf.concat([tf.shape(faces)[:2], tf.shape(features)[1:]], axis=0)
        return _by_target(networks, networks.stacked_lstm(tf.reshape(features, shape)))

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


def _by_target(networks: served_model.Networks, predictions: tf.Tensor) -> Tensors:
    """[..., D] -> D of [...]."""
    return dict(zip(networks.origin.targets, tf.unstack(predictions, axis=-1), strict=True))


def specifications(function: Callable) -> dict[str, tf.TensorSpec]:
    """The inputs that a function of `build` takes, by name."""
    positional, named = function.structured_input_signature  # type: ignore[attr-defined]
    return {spec.name: spec for spec in (*positional, *named.values())}

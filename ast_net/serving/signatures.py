"""What a server offers: functions from named tensors to named tensors, which refuse what is malformed.

The graphs consist of TensorFlow's own operations alone, none of them cuDNN's.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ast_net.cnn import expression
from ast_net.serving import learned
from ast_net.temporal import stacked_lstm as lstm

# Of all rows of a request together, so that none takes all memory. A face has 150 kB.
MAX_FRAMES, MAX_FACES = 65_536, 2_048
# Faces that pass through the CNN at once: its memory does not grow with the request.
_FACES_AT_ONCE = 16
_FACE = (224, 224, 3)
# Features are kept as float16 for training and prediction.
_MAX_FEATURE = float(np.finfo(np.float16).max)

Tensors = dict[str, tf.Tensor]


def build(networks: learned.Networks) -> dict[str, Callable]:
    """The functions by their names, each with its inputs' names, shapes and types fixed.

    B and N are free. A frame without a face is a row of zeros in features, a picture that is all black,
    or an empty string; predictions and states stay what they were.

    - serving_default: features [B, N, F] float32 -> each target by its name, [B, N].
    - step: features [B, F] and the states lstm_k_h, lstm_k_c [B, units] -> each target [B], and new states.
    - faces: faces [B, N, 224, 224, 3] uint8 RGB -> each target [B, N].
    - jpeg: jpeg [B, N], each string an encoded face of 224x224 pixels -> each target [B, N].
    - emotion: faces [B, 224, 224, 3] uint8 RGB -> posteriors [B, 7], zeros without a face, and the names of
      their columns, expressions [B, 7].

    The last three need networks.cnn, the last one networks.head, too. A function raises
    tf.errors.InvalidArgumentError for what is empty, too large, not finite, or not such a picture.
    """
    features = networks.stacked_lstm.input.shape[-1]
    found = {
        "serving_default": _traced(_clips(networks), features=((None, None, features), tf.float32)),
        "step": _step(networks),
    }
    if networks.cnn is not None:
        of_faces, faces = _faces(networks, networks.cnn), ((None, None, *_FACE), tf.uint8)
        found["faces"] = _traced(of_faces, faces=faces)
        found["jpeg"] = _traced(_jpeg(of_faces), jpeg=((None, None), tf.string))
    if networks.cnn is not None and networks.head is not None:
        emotion = _emotion(networks.cnn, networks.head)
        found["emotion"] = _traced(emotion, faces=((None, *_FACE), tf.uint8))
    return found


def _traced(function: Callable[..., Tensors], **inputs: tuple[tuple, tf.DType]) -> Callable:
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}

    def checked(**tensors: tf.Tensor) -> Tensors:
        return function(
            **{name: _fitting(name, tensors[name], specs[name].shape) for name in specs}
        )

    return tf.function(checked, autograph=False).get_concrete_function(**specs)


def _fitting(name: str, values: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Refuses values of another shape.

    Sessions, as servers run them, do not look at a signature's shapes: a state of one cell, or a face of
    448x112 pixels, would be computed with. What is known beforehand is forgotten first, since an optimiser
    may remove a check that can only succeed.
    """
    anything = tf.compat.v1.placeholder_with_default(values, shape=None, name=name)
    return tf.ensure_shape(anything, shape)


def _clips(networks: learned.Networks) -> Callable[..., Tensors]:
    def clips(features):
        features = _checked_features(_bounded(features, 2, MAX_FRAMES, "frames"))
        return _by_target(networks, networks.stacked_lstm(features))

    return clips


def _step(networks: learned.Networks) -> Callable:
    stateful = lstm.build_stateful(networks.stacked_lstm, frames=1)
    feature_size = networks.stacked_lstm.input.shape[-1]
    sizes = {
        f"{layer.name}_{part}": layer.units
        for layer in lstm.lstm_layers(networks.stacked_lstm)
        for part in "hc"
    }

    def step(features, **states):
        rows = tf.shape(features)[0]
        features = _checked_features(_bounded(features, 1, MAX_FRAMES, "rows"))
        for name, state in states.items():
            found = tf.shape(state)[0]
            message = f"{name}: expected as many rows as features have, found"
            state = _require(found == rows, state, message, found, "and", rows)
            finite = tf.reduce_all(tf.math.is_finite(state))
            states[name] = _require(finite, state, f"{name}: found NaN or infinity")
        outputs = stateful({"features": features[:, tf.newaxis], **states})
        predictions = _by_target(networks, outputs["predictions"][:, 0])
        return {**predictions, **{name: outputs[name] for name in states}}

    states = {name: ((None, size), tf.float32) for name, size in sizes.items()}
    return _traced(step, features=((None, feature_size), tf.float32), **states)


def _faces(networks: learned.Networks, cnn: keras.Model) -> Callable[..., Tensors]:
    def predict(faces):
        faces = _bounded(faces, 2, MAX_FACES, "faces")
        features, _ = _fc6(cnn, tf.reshape(faces, (-1, *_FACE)))
        shape = tf.concat([tf.shape(faces)[:2], tf.shape(features)[1:]], axis=0)
        return _by_target(networks, networks.stacked_lstm(tf.reshape(features, shape)))

    return predict


def _jpeg(predict: Callable[..., Tensors]) -> Callable[..., Tensors]:
    def decode_and_predict(jpeg):
        jpeg = _bounded(jpeg, 2, MAX_FACES, "pictures")
        strings = tf.reshape(jpeg, (-1,))
        places = tf.range(tf.size(strings))
        decoded = tf.TensorSpec(_FACE, tf.uint8)
        faces = tf.map_fn(_decode, (places, strings), fn_output_signature=decoded)
        return predict(tf.reshape(faces, tf.concat([tf.shape(jpeg), _FACE], axis=0)))

    return decode_and_predict


def _emotion(cnn: keras.Model, head: keras.Model) -> Callable[..., Tensors]:
    def emotion(faces):
        features, shown = _fc6(cnn, _bounded(faces, 1, MAX_FACES, "faces"))
        posteriors = tf.nn.softmax(head(features))
        # With a row for each face, as servers that put requests together want it.
        names = tf.tile([expression.EXPRESSIONS], (tf.shape(faces)[0], 1))
        return {
            "posteriors": tf.where(shown[:, tf.newaxis], posteriors, 0.0),
            "expressions": names,
        }

    return emotion


def _fc6(cnn: keras.Model, faces: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Faces [n, 224, 224, 3] -> their features [n, F], zeros for a black picture, and which are not black [n]."""
    shown = tf.reduce_any(faces != 0, axis=(1, 2, 3))
    places = tf.where(shown)
    seen = tf.gather_nd(faces, places)
    count, size = tf.shape(seen)[0], cnn.output.shape[-1]

    def some(first, features):
        part = tf.cast(cnn(seen[first : first + _FACES_AT_ONCE]), tf.float32)
        rounded = tf.cast(tf.cast(tf.minimum(part, _MAX_FEATURE), tf.float16), tf.float32)
        return first + _FACES_AT_ONCE, tf.concat([features, rounded], axis=0)

    _, features = tf.while_loop(
        lambda first, _: first < count,
        some,
        (tf.constant(0), tf.zeros((0, size))),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, size))),
        parallel_iterations=1,
    )
    return tf.scatter_nd(places, features, (tf.size(shown, tf.int64), size)), shown


def _decode(indexed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    place, data = indexed
    return tf.cond(
        tf.equal(tf.strings.length(data), 0),
        lambda: tf.zeros(_FACE, tf.uint8),
        lambda: _decode_face(place, data),
    )


def _decode_face(place: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    length = tf.strings.length(data)
    data = _require(
        tf.io.is_jpeg(data), data, "picture", place, "is no JPEG; its length in bytes is", length
    )
    # Of the header alone: what is announced as huge is never decoded.
    found = tf.io.extract_jpeg_shape(data)
    fits = tf.reduce_any(tf.reduce_all(found == [_FACE, (*_FACE[:2], 1)], axis=1))
    message = "expected a face of 224x224 pixels, RGB or grey, found height, width and channels"
    data = _require(fits, data, "picture", place, message, found)
    face = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(face, _FACE)


def _checked_features(features: tf.Tensor) -> tf.Tensor:
    # NaN is not less than anything.
    fine = tf.reduce_all(tf.abs(features) <= _MAX_FEATURE)
    return _require(
        fine, features, f"features: expected numbers within {_MAX_FEATURE:.0f} of 0, no NaN"
    )


def _bounded(values: tf.Tensor, axes: int, limit: int, what: str) -> tf.Tensor:
    """Refuses what is empty or too large over its first axes."""
    count = tf.reduce_prod(tf.shape(values, tf.int64)[:axes])
    message = f"expected 1 to {limit} {what} in a request, found an array of shape"
    return _require((count > 0) & (count <= limit), values, message, tf.shape(values))


def _require(condition: tf.Tensor, values: tf.Tensor, *message) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(condition, list(message), summarize=10)]):
        return tf.identity(values)


def _by_target(networks: learned.Networks, predictions: tf.Tensor) -> Tensors:
    """[..., D] -> D of [...]."""
    return dict(zip(networks.origin.targets, tf.unstack(predictions, axis=-1), strict=True))


def specifications(function: Callable) -> dict[str, tf.TensorSpec]:
    """The inputs that a function of `build` takes, by name."""
    positional, named = function.structured_input_signature  # type: ignore[attr-defined]
    return {spec.name: spec for spec in (*positional, *named.values())}

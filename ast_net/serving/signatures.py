"""The functions of a SavedModel: named tensors to named tensors; malformed input is refused.

The graphs consist of TensorFlow's own operations alone, none of them cuDNN's.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from ast_net.serving import encoded_faces, input_checks, served_model, temporal_graphs

# Type of an input, how many there may be in all rows of a request together, so that none takes all
# memory (a face has 150 kB), and what they are called.
_INPUTS = {
    "features": (tf.float32, 65_536, "frames"),
    "target": (tf.string, 65_536, "targets"),
    "faces": (tf.uint8, 2_048, "faces"),
    "jpeg": (tf.string, 2_048, "pictures"),
}

Tensors = dict[str, tf.Tensor]
Functions = dict[str, tf.types.experimental.ConcreteFunction]


def build(model: served_model.ServedModel) -> Functions:
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
    - timing: target [B], each string the name of a target -> time_step and reaction_delay [B]
      float64, seconds: a frame's states go on from those of the frame nearest to one time_step
      before it; its prediction is the rating that would be made reaction_delay later.
    - emotion: faces [B, 224, 224, 3] uint8 RGB -> posteriors [B, K], zeros without a face, and the
      names of their columns, expressions [B, K].

    Those that take pictures need model.cnn, and emotion needs model.head as well. A function raises
    tf.errors.InvalidArgumentError for what is empty, too large, not finite, or not such a picture.
    """
    functions, face = _Functions(model), encoded_faces.FACE
    size, states = model.temporal.spec.feature_size, functions.states
    result = {
        "serving_default": _traced(functions.clips, "features", (None, None, size)),
        "step": _traced(functions.step, "features", (None, size), states),
        "timing": _traced(functions.timing, "target", (None,)),
    }
    if model.cnn is not None:
        result["faces"] = _traced(functions.faces, "faces", (None, None, *face))
        result["jpeg"] = _traced(functions.jpeg, "jpeg", (None, None))
        result["step_jpeg"] = _traced(functions.step_jpeg, "jpeg", (None,), states)
    if model.head is not None:
        result["emotion"] = _traced(functions.emotion, "faces", (None, *face))
    return result


def _traced(
    function: Callable[..., Tensors], name: str, shape: tuple, states: Iterable = ()
) -> tf.types.experimental.ConcreteFunction:
    """Fixes a function's inputs, and checks them: that of a name in `_INPUTS`, and states."""
    dtype, limit, what = _INPUTS[name]
    specs = {state.name: tf.TensorSpec(state.shape, tf.float32, state.name) for state in states}
    specs[name] = tf.TensorSpec(shape, dtype, name)

    def checked(**tensors: tf.Tensor) -> Tensors:
        fitting = {key: input_checks.fitting(key, tensors[key], specs[key].shape) for key in specs}
        fitting[name] = input_checks.bounded(fitting[name], shape.count(None), limit, what)
        return function(**fitting)

    return tf.function(checked, autograph=False).get_concrete_function(**specs)


class _Functions:
    """What the signatures compute of inputs whose shapes and sizes have been checked."""

    def __init__(self, model: served_model.ServedModel) -> None:
        self._model = model
        self._clips = temporal_graphs.clips(model.temporal)
        self._step = temporal_graphs.step(model.temporal)
        self.states = [tensor for tensor in self._step.inputs if tensor.name != "features"]

    def clips(self, features: tf.Tensor) -> Tensors:
        return self._clips({"features": input_checks.finite(features)})

    def faces(self, faces: tf.Tensor) -> Tensors:
        features, _ = encoded_faces.fc6(self._model.cnn, faces)
        return self._clips({"features": features})

    def jpeg(self, jpeg: tf.Tensor) -> Tensors:
        return self.faces(encoded_faces.decoded(jpeg))

    def step(self, features: tf.Tensor, **states: tf.Tensor) -> Tensors:
        return self._next(input_checks.finite(features), states)

    def step_jpeg(self, jpeg: tf.Tensor, **states: tf.Tensor) -> Tensors:
        features, _ = encoded_faces.fc6(self._model.cnn, encoded_faces.decoded(jpeg))
        return self._next(features, states)

    def _next(self, features: tf.Tensor, states: Tensors) -> Tensors:
        """Predicts each target, and the new states by the names that they go in with."""
        rows, checked = tf.shape(features)[0], {}
        for name, state in states.items():
            count = tf.shape(state)[0]
            message = f"{name}: expected as many rows as there are faces, found"
            state = input_checks.require(count == rows, state, message, count, "and", rows)
            finite = tf.reduce_all(tf.math.is_finite(state))
            checked[name] = input_checks.require(finite, state, f"{name}: found NaN or infinity")
        answer = self._step({"features": features, **checked})
        return {name.removeprefix(temporal_graphs.NEXT): value for name, value in answer.items()}

    def timing(self, target: tf.Tensor) -> Tensors:
        spec = self._model.temporal.spec
        # [B, D]
        same = tf.equal(target[:, tf.newaxis], tf.constant(spec.targets))
        known = tf.reduce_any(same, axis=1)
        # What was found may be anything, and no text.
        message = f"target: expected {' or '.join(spec.targets)}, found another one in row"
        row = tf.argmin(tf.cast(known, tf.int32))
        same = input_checks.require(tf.reduce_all(known), same, message, row)
        delays = tf.constant(spec.reaction_delay, tf.float64)
        return {
            "time_step": tf.fill(tf.shape(target), tf.constant(spec.time_step, tf.float64)),
            "reaction_delay": tf.gather(delays, tf.argmax(same, axis=1)),
        }

    def emotion(self, faces: tf.Tensor) -> Tensors:
        assert self._model.head is not None
        features, shown = encoded_faces.fc6(self._model.cnn, faces)
        posteriors = tf.where(shown[:, tf.newaxis], tf.nn.softmax(self._model.head(features)), 0.0)
        # With a row for each face, as servers that put requests together want it.
        names = tf.tile([self._model.head.expressions], (tf.shape(faces)[0], 1))
        return {"posteriors": posteriors, "expressions": names}

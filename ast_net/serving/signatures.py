"""Builds the functions of a SavedModel, from named tensors to named tensors.

They refuse malformed input. Their graphs have only operations of TensorFlow itself, none of cuDNN.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from ast_net.serving import encoded_faces, input_checks, served_model, temporal_graphs

# For each input its type, the largest number of items in a request, so that a request cannot use up
# the server's memory (a face has 150 kB), and what the items are called in messages.
_INPUTS = {
    "features": (tf.float32, 65_536, "frames"),
    "target": (tf.string, 65_536, "targets"),
    "faces": (tf.uint8, 2_048, "faces"),
    "jpeg": (tf.string, 2_048, "pictures"),
}

Tensors = dict[str, tf.Tensor]
Functions = dict[str, tf.types.experimental.ConcreteFunction]


def build(model: served_model.ServedModel) -> Functions:
    """Builds the functions by name, with fixed names, types and shapes of their inputs.

    B and N may be any number. A frame without a face is a row of zeros in features, a black
    picture, or an empty string; it leaves the states and the prediction unchanged.

    - serving_default: features [B, N, F] float32 -> each target by its name, [B, N].
    - step: features [B, F] and the states lstm_k_h, lstm_k_c [B, units] -> each target [B], and the
      new states by the same names.
    - faces: faces [B, N, 224, 224, 3] uint8 RGB -> each target [B, N].
    - jpeg: jpeg [B, N] strings, JPEG or (lossless) PNG files of 224x224 pixels -> each target
      [B, N].
    - step_jpeg: like step, with jpeg [B] instead of features.
    - timing: target [B] strings, names of targets -> time_step and reaction_delay [B] float64,
      seconds. A frame continues the states of the frame nearest to one time_step before it. Its
      prediction is the rating that would be made reaction_delay later.
    - emotion: faces [B, 224, 224, 3] uint8 RGB -> posteriors [B, K], zeros without a face, and
      expressions [B, K], the names of their columns.

    Functions that take pictures need model.cnn, and emotion needs model.head, too. The functions
    raise tf.errors.InvalidArgumentError for inputs that are empty, too large or not finite, or of
    another type or shape, and for pictures that are damaged or of another size.
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
    """Traces a function whose inputs are one of `_INPUTS` and LSTM states, and checks them."""
    dtype, limit, items = _INPUTS[name]
    specs = {state.name: tf.TensorSpec(state.shape, tf.float32, state.name) for state in states}
    specs[name] = tf.TensorSpec(shape, dtype, name)

    def checked(**tensors: tf.Tensor) -> Tensors:
        inputs = {
            key: input_checks.require_shape(key, tensors[key], specs[key].shape) for key in specs
        }
        # The free axes (None) count the items of the request.
        inputs[name] = input_checks.require_count(inputs[name], shape.count(None), limit, items)
        return function(**inputs)

    return tf.function(checked, autograph=False).get_concrete_function(**specs)


class _Functions:
    """Computes the signatures; shapes and sizes of the inputs have been checked before."""

    def __init__(self, model: served_model.ServedModel) -> None:
        self._model = model
        self._clips = temporal_graphs.clips(model.temporal)
        self._step = temporal_graphs.step(model.temporal)
        self.states = [tensor for tensor in self._step.inputs if tensor.name != "features"]

    def clips(self, features: tf.Tensor) -> Tensors:
        return self._clips({"features": input_checks.require_features(features)})

    def faces(self, faces: tf.Tensor) -> Tensors:
        features, _ = encoded_faces.fc6(self._model.cnn, faces)
        return self._clips({"features": features})

    def jpeg(self, jpeg: tf.Tensor) -> Tensors:
        features, _ = encoded_faces.fc6_of_files(self._model.cnn, jpeg)
        return self._clips({"features": features})

    def step(self, features: tf.Tensor, **states: tf.Tensor) -> Tensors:
        return self._next(input_checks.require_features(features), states)

    def step_jpeg(self, jpeg: tf.Tensor, **states: tf.Tensor) -> Tensors:
        features, _ = encoded_faces.fc6_of_files(self._model.cnn, jpeg)
        return self._next(features, states)

    def _next(self, features: tf.Tensor, states: Tensors) -> Tensors:
        """Predicts each target, and returns the new states by their input names."""
        rows, checked = tf.shape(features)[0], {}
        for name, state in states.items():
            count = tf.shape(state)[0]
            message = f"{name}: expected as many rows as there are faces, found"
            state = input_checks.require(count == rows, state, message, count, "and", rows)
            checked[name] = input_checks.require_state(name, state)
        answer = self._step({"features": features, **checked})
        return {name.removeprefix(temporal_graphs.NEXT): value for name, value in answer.items()}

    def timing(self, target: tf.Tensor) -> Tensors:
        spec = self._model.temporal.spec
        # Which of the D targets each row names, [B, D].
        matches = tf.equal(target[:, tf.newaxis], tf.constant(spec.targets))
        is_target = tf.reduce_any(matches, axis=1)
        # The message gives the row, not the string, which may be arbitrary bytes.
        message = f"target: expected {' or '.join(spec.targets)}, found another one in row"
        row = tf.argmin(tf.cast(is_target, tf.int32))
        matches = input_checks.require(tf.reduce_all(is_target), matches, message, row)
        delays = tf.constant(spec.reaction_delay, tf.float64)
        return {
            "time_step": tf.fill(tf.shape(target), tf.constant(spec.time_step, tf.float64)),
            "reaction_delay": tf.gather(delays, tf.argmax(matches, axis=1)),
        }

    def emotion(self, faces: tf.Tensor) -> Tensors:
        assert self._model.head is not None
        features, has_face = encoded_faces.fc6(self._model.cnn, faces)
        probabilities = tf.nn.softmax(self._model.head(features))
        posteriors = tf.where(has_face[:, tf.newaxis], probabilities, 0.0)
        # The names have a row for each face, as servers that batch requests split outputs by rows.
        names = tf.tile([self._model.head.expressions], (tf.shape(faces)[0], 1))
        return {"posteriors": posteriors, "expressions": names}

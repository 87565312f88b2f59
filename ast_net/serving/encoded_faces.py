"""Computes the features of the faces in a request, encoded or not."""

import keras
import tensorflow as tf

from ast_net.serving import input_checks

FACE = (224, 224, 3)
# Faces that pass through the CNN at once: its memory does not grow with the request.
_FACES_AT_ONCE = 16
# A PNG file begins with this, the length and type of its header, its width and height (RFC 2083).
_PNG = b"\x89PNG\r\n\x1a\n"


def fc6(cnn: keras.Model, faces: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the features of faces [..., 224, 224, 3].

    Returns:
      The features [..., F], zeros for a black picture, and which pictures are not black [...].
    """
    shown = tf.reduce_any(faces != 0, axis=(-3, -2, -1))
    places = tf.where(shown)
    seen = tf.gather_nd(faces, places)
    count, size = tf.shape(seen)[0], cnn.output.shape[-1]

    def some(first, features):
        part = tf.cast(cnn(seen[first : first + _FACES_AT_ONCE]), tf.float32)
        return first + _FACES_AT_ONCE, tf.concat([features, part], axis=0)

    _, features = tf.while_loop(
        lambda first, _: first < count,
        some,
        (tf.constant(0), tf.zeros((0, size))),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, size))),
        parallel_iterations=1,
    )
    # As features are kept for training and prediction.
    features = tf.cast(tf.minimum(features, input_checks.MAX_FEATURE), tf.float16)
    features = tf.cast(features, tf.float32)
    shape = tf.concat([tf.shape(shown, tf.int64), [size]], axis=0)
    return tf.scatter_nd(places, features, shape), shown


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes strings [...], each a JPEG or PNG file of 224x224 pixels, to [..., 224, 224, 3].

    An empty string gives a black picture.
    """
    indexed = tf.range(tf.size(encoded)), tf.reshape(encoded, (-1,))
    faces = tf.map_fn(_decode, indexed, fn_output_signature=tf.TensorSpec(FACE, tf.uint8))
    return tf.reshape(faces, (*tf.unstack(tf.shape(encoded)), *FACE))


def _decode(indexed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    place, data = indexed
    length = tf.strings.length(data)
    # 24 bytes reach to the end of the height.
    is_png = tf.equal(tf.strings.substr(data, 0, 8), _PNG) & (length >= 24)
    cases = [
        (tf.equal(length, 0), lambda: tf.zeros(FACE, tf.uint8)),
        (is_png, lambda: _decode_png(place, data)),
    ]
    face = tf.case(cases, default=lambda: _decode_jpeg(place, data))
    return tf.ensure_shape(face, FACE)


def _decode_png(place: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    width_height = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)
    data = _checked(place, data, width_height[::-1])
    return tf.io.decode_png(data, channels=3)


def _decode_jpeg(place: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    length = tf.strings.length(data)
    message = "is not a JPEG or PNG file; its length in bytes is"
    data = input_checks.require(tf.io.is_jpeg(data), data, "picture", place, message, length)
    data = _checked(place, data, tf.io.extract_jpeg_shape(data)[:2])
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def _checked(place: tf.Tensor, data: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Refuses pictures of another size by their headers: huge ones are never decoded."""
    fits = tf.reduce_all(tf.equal(size, FACE[:2]))
    message = "expected a face of 224x224 pixels, found height and width"
    return input_checks.require(fits, data, "picture", place, message, size)

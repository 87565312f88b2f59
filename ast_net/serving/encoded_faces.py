"""Decodes the faces of a request, and computes their features."""

import keras
import tensorflow as tf

from ast_net.serving import input_checks

FACE = (224, 224, 3)
# Faces in one call of the CNN, so that memory does not grow with the request.
_BATCH_SIZE = 16
# A PNG file begins with this signature, then the length and type of its header (8 bytes), then its
# width and height (4 bytes each; RFC 2083).
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 24


def fc6(cnn: keras.Model, faces: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the features of faces [..., 224, 224, 3].

    Returns:
      The features [..., F], zeros for black pictures, and which pictures are not black [...].
    """
    has_face = tf.reduce_any(faces != 0, axis=(-3, -2, -1))
    # Only pictures with a face pass through the CNN; `indices` puts their features back in place.
    indices = tf.where(has_face)
    pictures = tf.gather_nd(faces, indices)
    count, size = tf.shape(pictures)[0], cnn.output.shape[-1]

    def add_batch(first, features):
        batch = tf.cast(cnn(pictures[first : first + _BATCH_SIZE]), tf.float32)
        return first + _BATCH_SIZE, tf.concat([features, batch], axis=0)

    _, features = tf.while_loop(
        lambda first, _: first < count,
        add_batch,
        (tf.constant(0), tf.zeros((0, size))),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, size))),
        parallel_iterations=1,
    )
    # Training and prediction round features to float16, too.
    features = tf.cast(tf.minimum(features, input_checks.MAX_FEATURE), tf.float16)
    features = tf.cast(features, tf.float32)
    shape = tf.concat([tf.shape(has_face, tf.int64), [size]], axis=0)
    return tf.scatter_nd(indices, features, shape), has_face


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes strings [...], JPEG or PNG files of 224x224 pixels, to uint8 [..., 224, 224, 3].

    An empty string becomes a black picture.
    """
    indexed = tf.range(tf.size(encoded)), tf.reshape(encoded, (-1,))
    faces = tf.map_fn(_decode, indexed, fn_output_signature=tf.TensorSpec(FACE, tf.uint8))
    return tf.reshape(faces, (*tf.unstack(tf.shape(encoded)), *FACE))


def _decode(indexed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    index, data = indexed
    length = tf.strings.length(data)
    has_signature = tf.equal(tf.strings.substr(data, 0, 8), _PNG_SIGNATURE)
    is_png = has_signature & (length >= _PNG_HEADER_BYTES)
    cases = [
        (tf.equal(length, 0), lambda: tf.zeros(FACE, tf.uint8)),
        (is_png, lambda: _decode_png(index, data)),
    ]
    face = tf.case(cases, default=lambda: _decode_jpeg(index, data))
    return tf.ensure_shape(face, FACE)


def _decode_png(index: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    width_height = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)
    data = _require_size(index, data, width_height[::-1])
    return tf.io.decode_png(data, channels=3)


def _decode_jpeg(index: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    length = tf.strings.length(data)
    message = "is not a JPEG or PNG file; its length in bytes is"
    data = input_checks.require(tf.io.is_jpeg(data), data, "picture", index, message, length)
    data = _require_size(index, data, tf.io.extract_jpeg_shape(data)[:2])
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def _require_size(index: tf.Tensor, data: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Refuses pictures of another size by their headers, so that huge ones are never decoded."""
    fits = tf.reduce_all(tf.equal(size, FACE[:2]))
    message = "expected a face of 224x224 pixels, found height and width"
    return input_checks.require(fits, data, "picture", index, message, size)

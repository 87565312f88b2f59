"""Decodes the faces of a request, and computes their features."""

from collections.abc import Callable

import keras
import tensorflow as tf

from ast_net.serving import input_checks

FACE = (224, 224, 3)
# Faces that are decoded and pass through the CNN at a time, so that a request of many takes little
# more memory than what was sent.
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
    flat = tf.reshape(faces, (-1, *FACE))
    return _fc6(cnn, tf.shape(faces)[:-3], lambda indices: tf.gather(flat, indices))


def fc6_of_files(cnn: keras.Model, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Does the same for strings [...]: JPEG or PNG files of 224x224 pixels, or empty for black."""
    flat = tf.reshape(encoded, (-1,))

    def load(indices: tf.Tensor) -> tf.Tensor:
        indexed = indices, tf.gather(flat, indices)
        return tf.map_fn(_decode, indexed, fn_output_signature=tf.TensorSpec(FACE, tf.uint8))

    return _fc6(cnn, tf.shape(encoded), load)


def _fc6(
    cnn: keras.Model, shape: tf.Tensor, load: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the features of faces batch by batch.

    Args:
      cnn: faces -> fc6.
      shape: the shape of the request, without that of a face.
      load: returns the faces [n, 224, 224, 3] with these numbers [n] in the flattened request.
    """
    count, size = tf.reduce_prod(shape), cnn.output.shape[-1]

    def add_batch(first, features, has_face):
        faces = load(tf.range(first, tf.minimum(first + _BATCH_SIZE, count)))
        seen = tf.reduce_any(faces != 0, axis=(1, 2, 3))
        # Only pictures with a face pass through the CNN; their features are put back in place.
        rows = tf.cast(cnn(tf.boolean_mask(faces, seen)), tf.float32)
        batch = tf.scatter_nd(tf.where(seen), rows, (tf.shape(faces, tf.int64)[0], size))
        features, has_face = tf.concat([features, batch], 0), tf.concat([has_face, seen], 0)
        return first + _BATCH_SIZE, features, has_face

    _, features, has_face = tf.while_loop(
        lambda first, *_: first < count,
        add_batch,
        (tf.constant(0), tf.zeros((0, size)), tf.zeros((0,), tf.bool)),
        shape_invariants=(
            tf.TensorShape(()),
            tf.TensorShape((None, size)),
            tf.TensorShape((None,)),
        ),
        parallel_iterations=1,
    )
    # Training and prediction round features to float16, too.
    features = tf.cast(tf.minimum(features, input_checks.MAX_FEATURE), tf.float16)
    features = tf.cast(features, tf.float32)
    return tf.reshape(features, tf.concat([shape, [size]], 0)), tf.reshape(has_face, shape)


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

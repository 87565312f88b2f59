"""A small residual network with VGG-16's interface, for machines without VGG-Face's weights."""

import keras
import tensorflow as tf

FEATURES = 512
PICTURE_SIZE = 48
# Filters of the stages after the stem: each is a convolution and a residual block of two more.
STAGES = (64, 128, 256)
STEM = 32


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Computes Keras's layer by TensorFlow's fused kernel.

    Keras composes it of elementary operations, each a pass over memory: a training step of
    `compact` on two cores takes 1.4 times as long, and 2.2 times in bfloat16.
    """

    def call(self, inputs, training=None, mask=None):
        training = bool(training) and self.trainable
        if training and self.synchronized:
            return self._over_all_devices(inputs)
        statistics = () if training else (self.moving_mean.value, self.moving_variance.value)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma.value,
            self.beta.value,
            *statistics,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self._remember(mean, variance)
        return outputs

    def _over_all_devices(self, inputs):
        """Computes the same where each device has an equal part of the batch."""
        replica, axes = tf.distribute.get_replica_context(), (0, 1, 2)
        values = tf.cast(inputs, tf.float32)
        mean = replica.all_reduce("mean", tf.reduce_mean(values, axes))
        variance = replica.all_reduce("mean", tf.reduce_mean(tf.square(values - mean), axes))
        count = tf.cast(tf.size(values[..., 0]) * replica.num_replicas_in_sync, tf.float32)
        # The fused kernel remembers the unbiased variance, too.
        self._remember(mean, variance * count / (count - 1))
        weights = (self.beta.value, self.gamma.value)
        outputs = tf.nn.batch_normalization(values, mean, variance, *weights, self.epsilon)
        return tf.cast(outputs, inputs.dtype)

    def _remember(self, mean, variance):
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * of_batch)


def build_compact(
    seed: int | None = 0, dtype_policy: str = "float32", folded: bool = False
) -> keras.Model:
    """Builds [B, 224, 224, 3] uint8 RGB -> [B, 512] after its ReLU; 3.1 M parameters.

    It sees the middle 192 pixels of a face as 48x48 grey values, each the mean of 4x4 pixels: the
    size and the framing of FER2013.

    Args:
      seed: of the random weights; None for zeros, which take less time, to read others from a file.
      dtype_policy: of the convolutions, such as mixed_bfloat16.
      folded: as of `build_trunk`.
    """
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    hidden = keras.layers.Cropping2D((224 - 4 * PICTURE_SIZE) // 2, dtype="uint8")(faces)
    # The mean of four rows, then of four columns: a quarter of the time of AveragePooling2D.
    rows = keras.ops.reshape(
        keras.ops.cast(hidden, "float32"), (-1, PICTURE_SIZE, 4, 12 * PICTURE_SIZE)
    )
    columns = keras.ops.reshape(
        keras.ops.mean(rows, axis=2), (-1, PICTURE_SIZE, PICTURE_SIZE, 4, 3)
    )
    pictures = keras.ops.image.rgb_to_grayscale(keras.ops.mean(columns, axis=3)) / 255
    return keras.Model(faces, build_trunk(seed, dtype_policy, folded)(pictures), name="compact")


def build_trunk(
    seed: int | None = 0, dtype_policy: str = "float32", folded: bool = False
) -> keras.Model:
    """Builds the part that has weights: grey values in [0, 1], [B, 48, 48, 1] -> [B, 512].

    Pictures are brought to mean 0 and variance 1, so that their light and contrast do not matter.

    Args:
      seed, dtype_policy: as of `build_compact`.
      folded: biases in place of the batch normalisations; see `fold`.
    """
    initializer: keras.Initializer | str = "zeros"
    if seed is not None:
        initializer = keras.initializers.HeNormal(keras.random.SeedGenerator(seed))
    options = {"use_bias": folded, "kernel_initializer": initializer, "dtype": dtype_policy}
    # Where several devices share a batch, they normalise by the statistics of all of it.
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    norm_options = {"dtype": dtype_policy, "synchronized": several}

    def convolution(hidden, filters, name):
        layer = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{name}", **options)
        hidden = layer(hidden)
        if not folded:
            hidden = FusedBatchNormalization(name=f"norm{name}", **norm_options)(hidden)
        return keras.layers.ReLU(dtype=dtype_policy, name=f"relu{name}")(hidden)

    pictures = keras.Input((PICTURE_SIZE, PICTURE_SIZE, 1), name="pictures")
    hidden = keras.layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, dtype="float32", name="standardise"
    )(pictures)
    for number in (1, 2):
        hidden = convolution(hidden, STEM, f"1_{number}")
    hidden = keras.layers.MaxPooling2D(dtype=dtype_policy, name="pool1")(hidden)
    for stage, filters in enumerate(STAGES, start=2):
        hidden = convolution(hidden, filters, f"{stage}_1")
        residual = convolution(convolution(hidden, filters, f"{stage}_2"), filters, f"{stage}_3")
        hidden = keras.layers.Add(dtype=dtype_policy, name=f"add{stage}")([hidden, residual])
        hidden = keras.layers.MaxPooling2D(dtype=dtype_policy, name=f"pool{stage}")(hidden)
    hidden = keras.layers.Flatten(dtype=dtype_policy)(hidden)
    fc6 = keras.layers.Dense(FEATURES, name="fc6", **options)(hidden)
    if not folded:
        fc6 = keras.layers.BatchNormalization(name="norm6", **norm_options)(fc6)
    fc6 = keras.layers.ReLU(dtype=dtype_policy, name="relu6")(fc6)
    return keras.Model(pictures, fc6, name="trunk")


def fold(model: keras.Model, dtype_policy: str) -> keras.Model:
    """Builds the network for inference, batch normalisations folded into the weights before them.

    Otherwise bfloat16 rounds once more at each of them, and their kernels run by themselves.

    Args:
      model: of `build_compact`, with its weights.
      dtype_policy: such as bfloat16; weights are folded in float32 and rounded once.
    """
    folded = build_compact(None, dtype_policy, folded=True)
    normalised, trunk = model.get_layer("trunk"), folded.get_layer("trunk")
    for layer in (layer for layer in trunk.layers if layer.weights):
        norm = normalised.get_layer(layer.name.replace("conv", "norm").replace("fc", "norm"))
        scale = norm.gamma / keras.ops.sqrt(norm.moving_variance + norm.epsilon)
        layer.kernel.assign(normalised.get_layer(layer.name).kernel * scale)
        layer.bias.assign(norm.beta - norm.moving_mean * scale)
    return folded

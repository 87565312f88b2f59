"""A small VGG-style network with VGG-16's interface, for machines without VGG-Face's weights."""

import keras

BLOCKS = ((32, 2), (64, 2), (128, 2), (256, 2))
FEATURES = 512


def build_compact(seed: int = 0) -> keras.Model:
    """[B, 224, 224, 3] uint8 RGB -> [B, 512] after its ReLU; 2.4 M parameters.

    It sees the middle 192 pixels of a face as 48x48 grey values, each the mean of 4x4 pixels (FER2013's
    size), brought to mean 0 and variance 1, so that light and contrast of the picture do not matter.

    Args:
      seed: of the random weights, which stay what they are until trained ones are read into the model.
    """
    seeds = keras.random.SeedGenerator(seed)
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    hidden = keras.layers.Rescaling(1 / 255, dtype="float32")(faces)
    hidden = keras.layers.AveragePooling2D(4, dtype="float32")(hidden)
    hidden = keras.layers.Cropping2D(4, dtype="float32")(hidden)
    hidden = keras.ops.image.rgb_to_grayscale(hidden)
    hidden = keras.layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, dtype="float32", name="standardise"
    )(hidden)
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            hidden = keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer=keras.initializers.HeNormal(seeds),
                name=f"conv{block}_{number}",
            )(hidden)
            hidden = keras.layers.BatchNormalization(name=f"norm{block}_{number}")(hidden)
            hidden = keras.layers.ReLU(name=f"relu{block}_{number}")(hidden)
        hidden = keras.layers.MaxPooling2D(name=f"pool{block}")(hidden)
    fc6 = keras.layers.Dense(
        FEATURES,
        activation="relu",
        kernel_initializer=keras.initializers.HeNormal(seeds),
        name="fc6",
    )(keras.layers.Flatten()(hidden))
    return keras.Model(faces, fc6, name="compact")

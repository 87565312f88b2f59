"""VGG-16 up to fc6 (section 3.2; Simonyan and Zisserman, ICLR 2015, configuration D)."""

import keras

# Mean colour of VGG-Face's training pictures, in RGB order (Parkhi et al., BMVC 2015).
MEAN_RGB = (129.1863, 104.7624, 93.5940)
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def build_vgg16(
    dtype_policy: str = "float32", kernel_initializer: str = "glorot_uniform"
) -> keras.Model:
    """[B, 224, 224, 3] uint8 RGB -> fc6 [B, 4096] after its ReLU; 117,479,232 parameters.

    The mean is subtracted inside, in float32 whatever the policy: bfloat16 holds no more than 8 bits.
    The weights are random until some are read into it (`cnn.vgg_face`); where that comes next, "zeros"
    saves the time and memory of drawing them.
    """
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    hidden = keras.layers.Rescaling(
        1.0, offset=[-mean for mean in MEAN_RGB], dtype="float32", name="subtract_mean"
    )(faces)
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            hidden = keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=kernel_initializer,
                dtype=dtype_policy,
                name=f"conv{block}_{number}",
            )(hidden)
        hidden = keras.layers.MaxPooling2D(dtype=dtype_policy, name=f"pool{block}")(hidden)
    flat = keras.layers.Flatten(dtype=dtype_policy)(hidden)
    fc6 = keras.layers.Dense(
        4096,
        activation="relu",
        kernel_initializer=kernel_initializer,
        dtype=dtype_policy,
        name="fc6",
    )(flat)
    return keras.Model(faces, fc6, name="vgg16")

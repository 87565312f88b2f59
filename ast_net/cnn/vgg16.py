"""VGG-16 up to fc6 (section 3.2; Simonyan and Zisserman, ICLR 2015, configuration D)."""

import keras

# Mean colour of VGG-Face's training pictures, in RGB order (Parkhi et al., BMVC 2015).
MEAN_RGB = (129.1863, 104.7624, 93.5940)
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
FEATURES = 4096


class Fc6(keras.layers.Layer):
    """Applies a dense layer to a map [B, H, W, C], with a kernel [W * C, F] for each of its rows.

    As one matrix the kernel has 411 MB, and reading, writing or training it needs that once more.
    """

    def __init__(self, units: int, draw: bool = True, **options):
        super().__init__(**options)
        self.units, self.draw = units, draw

    def build(self, input_shape):
        _, rows, columns, channels = input_shape
        # Together they are as one matrix with a variance of 1 / (H * W * C). An initializer draws
        # the same numbers every time, so each kernel needs one of its own.
        shape, kernels = (columns * channels, self.units), []
        for row in range(rows):
            uniform = keras.initializers.VarianceScaling(1 / rows, "fan_in", "uniform")
            initializer = uniform if self.draw else "zeros"
            kernels.append(self.add_weight(shape, initializer, name=f"kernel_{row}"))
        self.kernels = kernels
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def call(self, inputs):
        outputs = self.bias
        for row, kernel in enumerate(self.kernels):
            flat = keras.ops.reshape(inputs[:, row], (-1, kernel.shape[0]))
            outputs = outputs + keras.ops.matmul(flat, kernel)
        return keras.ops.relu(outputs)


def build_vgg16(dtype_policy: str = "float32", draw_weights: bool = True) -> keras.Model:
    """Builds [B, 224, 224, 3] uint8 RGB -> fc6 [B, 4096] after its ReLU; 117,479,232 parameters.

    The mean is subtracted inside, in float32 whatever the policy: bfloat16 holds only 8 bits.

    Args:
      dtype_policy: of the layers that have weights, such as mixed_bfloat16.
      draw_weights: whether they are random until some are read into it (`cnn.vgg_face`), or zero.
    """
    faces = keras.Input((224, 224, 3), dtype="uint8", name="faces")
    offset = [-mean for mean in MEAN_RGB]
    hidden = keras.layers.Rescaling(1.0, offset, dtype="float32", name="subtract_mean")(faces)
    options = {"padding": "same", "activation": "relu", "dtype": dtype_policy}
    options["kernel_initializer"] = "glorot_uniform" if draw_weights else "zeros"
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            layer = keras.layers.Conv2D(filters, 3, name=f"conv{block}_{number}", **options)
            hidden = layer(hidden)
        hidden = keras.layers.MaxPooling2D(dtype=dtype_policy, name=f"pool{block}")(hidden)
    fc6 = Fc6(FEATURES, draw_weights, dtype=dtype_policy, name="fc6")(hidden)
    return keras.Model(faces, fc6, name="vgg16")

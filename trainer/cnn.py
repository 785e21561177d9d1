"""A small CNN that learns from the pixels together with the decoder."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainer.batch_norm import BatchNorm
from trainer.noise import Noise


class ConvolutionalEncoder(keras.layers.Layer):
    """Convolutions of 3x3, each followed by batch normalisation, ReLU and 2x2 max pooling."""

    def __init__(self, channels: Sequence[int], pixels: int) -> None:
        """Make the layer and its weights.

        Args:
            channels: of each convolution.
            pixels: the side to which images are scaled first.
        """
        super().__init__()
        self.side = pixels
        self.convolutions = []
        self.norms = []
        depth = 3
        for number, width in enumerate(channels):
            layer = keras.layers.Conv2D(
                width, 3, padding="same", use_bias=False, name=f"convolution_{number}"
            )
            layer.build((None, None, None, depth))
            norm = BatchNorm(name=f"norm_{number}")
            norm.build((None, None, None, width))
            self.convolutions.append(layer)
            self.norms.append(norm)
            depth = width
        self.channels = depth
        self.built = True

    def call(self, pixels: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Encode images.

        Args:
            pixels: uint8 [B, height, width, 3], RGB.
            noise: the batch's; in training, its own statistics normalise it.

        Returns:
            float32 [B, rows, columns, channels], an eighth of `pixels` for three convolutions.
        """
        rows, columns = (_shrinking(size, self.side) for size in pixels.shape[1:3])
        values = tf.einsum("sh,bhwc,tw->bstc", rows, tf.cast(pixels, tf.float32), columns)
        values = values / 127.5 - 1.0
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = convolution(values)
            mask = noise.mask_rows(values)
            values = tf.nn.relu(norm(values, training=noise.training, mask=mask))
            values = tf.nn.max_pool2d(values, 2, 2, "VALID")
        return values


def _shrinking(size: int, side: int) -> tf.Tensor:
    """Return what scales a row of pixels, float32 [side, size], linear with antialiasing.

    A product has a counterpart in every engine, which TensorFlow's own operation has not.
    """
    with tf.init_scope():
        scaled = tf.image.resize(tf.eye(size)[..., None], [side, size], antialias=True)
        weights = scaled[..., 0].numpy()
    return tf.constant(weights)

"""What all decoders share: the image's projections, the words' vectors, the words' logits."""

import keras
import tensorflow as tf

from trainer.batch_norm import BatchNorm
from trainer.configuration import Configuration
from trainer.decoders import Memory
from trainer.decoders.attention import SoftAttention
from trainer.decoders.layout import Layout
from trainer.noise import Noise


class WordDecoder(keras.layers.Layer):
    """The two ends of a decoder; a subclass has what is between them."""

    def __init__(
        self, configuration: Configuration, vocabulary_size: int, channels: int, *, pooled: bool
    ) -> None:
        """Draw the weights of the decoder's entrance.

        Args:
            configuration: the run's.
            vocabulary_size: V.
            channels: C, of the features.
            pooled: whether the decoder reads the mean of an image's grid.
        """
        super().__init__()
        self.configuration = c = configuration
        self._vocabulary_size, self._channels = vocabulary_size, channels
        # Features of different encoders differ in scale by orders of magnitude.
        self.norm = keras.layers.LayerNormalization(center=False, scale=False, name="norm")
        if pooled:
            self.image = self._projection("image", "tanh")
        self.embedding = keras.layers.Embedding(vocabulary_size, c.embedding, name="embedding")
        self.embedding.build()

    def _add_values(self) -> None:
        """Draw the weights that make values of an image's grid."""
        self.values = self._projection("values", "relu")

    def _add_attention(self) -> None:
        """Draw the weights of additive attention over the values."""
        c = self.configuration
        self.attention = SoftAttention(c.attention_units, c.units, c.attention == "adaptive")

    def _add_words(self, depth: int) -> None:
        """Draw the weights of the decoder's exit, which reads [R, depth]."""
        c = self.configuration
        if c.hidden:
            self.hidden = dense(c.hidden, depth, "hidden", activation="tanh")
            depth = c.hidden
        if c.tie:
            shape = (self._vocabulary_size,)
            self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")
        else:
            self.words = dense(self._vocabulary_size, depth, "words")
        self.built = True

    def word_weights(self) -> list[tuple[keras.Variable, int]]:
        """See `trainer.decoders.Decoder`."""
        embeddings = (self.embedding.embeddings, 0)
        if self.configuration.tie:
            return [embeddings, (self.bias, 0)]
        return [embeddings, (self.words.kernel, 1), (self.words.bias, 0)]

    def _projection(self, name: str, activation: str) -> "Projection":
        batch = self.configuration.normalization == "batch"
        return Projection(self.configuration.units, self._channels, name, activation, batch)

    def prepare(self, features: tf.Tensor, noise: Noise) -> Memory:
        """See `trainer.decoders.Decoder`."""
        grid = flatten(features)
        memory = {"image": self._see_whole(grid, noise)}
        if self.configuration.attention != "none":
            memory["values"] = self._see_grid(grid, noise)
            memory["keys"] = self.attention.keys(memory["values"])
        return memory

    def _see_whole(self, grid: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Project the mean of a grid, [B, P, C] -> [B, units]."""
        pooled = self.norm(tf.reduce_mean(grid, axis=1))
        rate = self.configuration.feature_dropout
        return self.image(noise.dropout(pooled, rate), noise=noise)

    def _see_grid(self, grid: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Project each position of a grid, [B, P, C] -> [B, P, units]."""
        rate = self.configuration.feature_dropout
        values = self.values(noise.dropout(self.norm(grid), rate), noise=noise)
        return noise.dropout(values, rate)

    def _logits(self, output: tf.Tensor, layout: Layout) -> tf.Tensor:
        """Turn what a decoder has to say into words, [R, depth] -> [R, V]."""
        c = self.configuration
        output = layout.drop(output, c.dropout)
        if c.hidden:
            output = layout.drop(self.hidden(output), c.dropout)
        if c.tie:
            return tf.matmul(output, self.embedding.embeddings, transpose_b=True) + self.bias
        return self.words(output)


class Projection(keras.layers.Dense):
    """A dense layer, with batch normalisation before its activation where that is wanted.

    (Ioffe and Szegedy, 2015, arXiv:1502.03167.) The moving statistics are weights like others:
    checkpointed, averaged and exported with them.
    """

    def __init__(
        self, units: int, depth: int, name: str, activation: str, batch_normalization: bool
    ) -> None:
        """Make the layer and its weights."""
        super().__init__(units, activation=activation, name=name)
        self.batch_norm = None
        if batch_normalization:
            self.batch_norm = BatchNorm(name=f"{name}_norm")
            self.batch_norm.build((None, units))
        self.build((None, depth))

    def call(self, inputs: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Project [B, ..., depth] to [B, ..., units]; in training by the batch's statistics."""
        if self.batch_norm is None:
            return super().call(inputs)
        linear = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.kernel) + self.bias
        mask = noise.mask_rows(inputs)
        mask = None if mask is None else tf.reshape(mask, [-1])
        normed = self.activation(self.batch_norm(linear, training=noise.training, mask=mask))
        return tf.reshape(normed, tf.concat([tf.shape(inputs)[:-1], [self.units]], axis=0))


def dense(units: int, depth: int, name: str, activation: str | None = None) -> keras.layers.Dense:
    """Make a dense layer with its weights, so that a model is whole once it is constructed."""
    layer = keras.layers.Dense(units, activation=activation, name=name)
    layer.build((None, depth))
    return layer


def layer_norm(depth: int, name: str) -> keras.layers.LayerNormalization:
    """Make a layer normalisation (Ba et al., 2016, arXiv:1607.06450) with its weights."""
    layer = keras.layers.LayerNormalization(name=name)
    layer.build((None, depth))
    return layer


def flatten(features: tf.Tensor) -> tf.Tensor:
    """Put a grid's positions in a row, [B, rows, columns, C] or [B, C] -> float32 [B, P, C]."""
    features = tf.cast(features, tf.float32)
    # Of a batch of unknown size, the number of positions would be unknown as well.
    positions = features.shape[1:-1].num_elements() or -1
    return tf.reshape(features, [tf.shape(features)[0], positions, features.shape[-1]])

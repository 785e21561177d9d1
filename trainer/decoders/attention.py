"""Attention over the positions of an image's feature grid."""

import keras
import tensorflow as tf


class SoftAttention(keras.layers.Layer):
    """Additive attention (Bahdanau et al., 2015; Xu et al., 2015, the "soft" one).

    Queries come in groups that share an image, captions or beams, so the keys are neither
    computed nor stored more than once per image.
    """

    def __init__(self, units: int, depth: int) -> None:
        """Make the layer and its weights.

        Args:
            units: in which queries and keys are compared.
            depth: of the queries and of the values.
        """
        super().__init__()
        self.key = keras.layers.Dense(units, name="key")
        self.query = keras.layers.Dense(units, use_bias=False, name="query")
        self.score = keras.layers.Dense(1, use_bias=False, name="score")
        self.key.build((None, depth))
        self.query.build((None, depth))
        self.score.build((None, units))
        self.built = True

    def keys(self, values: tf.Tensor) -> tf.Tensor:
        """Make the keys of a batch of grids, [B, P, depth] -> [B, P, units]."""
        return self.key(values)

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Average the values, weighted by what each query looks for.

        Args:
            queries: float32 [B, Q, depth].
            keys: float32 [B, P, units], from `keys`.
            values: float32 [B, P, depth].

        Returns:
            Averages float32 [B, Q, depth], and the weights float32 [B, Q, P], which sum to 1.
        """
        mixed = tf.tanh(self.query(queries)[:, :, None] + keys[:, None])
        weights = tf.nn.softmax(self.score(mixed)[..., 0], axis=-1)
        return tf.matmul(weights, values), weights

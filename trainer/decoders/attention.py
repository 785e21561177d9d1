"""Attention over the positions of an image's feature grid."""

from typing import NamedTuple

import keras
import tensorflow as tf


class Weights(NamedTuple):
    """How much a query looks at what; together they sum to 1."""

    grid: tf.Tensor  # float32 [..., P]
    sentinel: tf.Tensor | None  # float32 [..., 1], of what the decoder knows without looking


class SoftAttention(keras.layers.Layer):
    """Additive attention (Bahdanau et al., 2015; Xu et al., 2015, the "soft" one).

    Queries come in groups that share an image, captions or beams, so the keys are neither
    computed nor stored more than once per image.

    Where it is adaptive (Lu et al., 2017, arXiv:1612.01887), a query may also look at a sentinel,
    what the language model knows by itself: words such as "of" need no image.
    """

    def __init__(self, units: int, depth: int, adaptive: bool = False) -> None:
        """Make the layer and its weights.

        Args:
            units: in which queries and keys are compared.
            depth: of the queries, of the values and of the sentinels.
            adaptive: whether there are sentinels.
        """
        super().__init__()
        self.key = keras.layers.Dense(units, name="key")
        self.query = keras.layers.Dense(units, use_bias=False, name="query")
        self.score = keras.layers.Dense(1, use_bias=False, name="score")
        self.key.build((None, depth))
        self.query.build((None, depth))
        self.score.build((None, units))
        if adaptive:
            self.sentinel = keras.layers.Dense(units, name="sentinel")
            self.sentinel.build((None, depth))
        self.built = True

    def keys(self, values: tf.Tensor) -> tf.Tensor:
        """Make the keys of a batch of grids, [B, P, depth] -> [B, P, units]."""
        return self.key(values)

    def weigh(
        self, queries: tf.Tensor, keys: tf.Tensor, sentinels: tf.Tensor | None = None
    ) -> Weights:
        """Say where queries look.

        Args:
            queries: float32 [..., depth].
            keys: float32 [..., P, units], from `keys`.
            sentinels: float32 [..., depth] where the attention is adaptive.
        """
        query = self.query(queries)
        scores = self.score(tf.tanh(query[..., None, :] + keys))[..., 0]
        if sentinels is None:
            return Weights(tf.nn.softmax(scores, axis=-1), None)
        own = self.score(tf.tanh(query + self.sentinel(sentinels)))
        weights = tf.nn.softmax(tf.concat([scores, own], axis=-1), axis=-1)
        return Weights(weights[..., :-1], weights[..., -1:])

    def call(
        self,
        queries: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        sentinels: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Average the values, weighted by what each query looks for.

        Args:
            queries: float32 [B, Q, depth].
            keys: float32 [B, P, units], from `keys`.
            values: float32 [B, P, depth].
            sentinels: float32 [B, Q, depth] where the attention is adaptive.

        Returns:
            Averages float32 [B, Q, depth], the sentinel's share in them included, and the weights
            float32 [B, Q, P] of the grid, which sum to 1 less the sentinel's.
        """
        weights = self.weigh(queries, keys[:, None], sentinels)
        context = tf.matmul(weights.grid, values)
        if sentinels is not None:
            context += weights.sentinel * sentinels
        return context, weights.grid

"""The transformer decoder (Vaswani et al., 2017, arXiv:1706.03762), normalised before each part.

A block looks back over the caption (self-attention), then over the image's grid
(cross-attention), then thinks (feed-forward); each part adds to what it was given (pre-norm:
Xiong et al., 2020, arXiv:2002.04745). Without a grid to look at, the image's vector is added to
every word's.

In training whole captions go through at once; only the products of queries and keys see padding
(with XLA all do). In search a caption's keys and values are kept in its state and grow by one
position a word, and those of the image are made once for all its beams.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from trainer.configuration import Configuration
from trainer.decoders import Memory, Step
from trainer.decoders.base import WordDecoder, dense, flatten, layer_norm
from trainer.decoders.layout import Beams, Layout, Packed
from trainer.noise import Noise
from trainer.packing import Packing

Cache = tuple[tf.Tensor, tf.Tensor]  # Keys and values.
# A block's number and queries, keys, values [R, units] to what they found [R, units].
LookBack = Callable[[int, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class TransformerDecoder(WordDecoder):
    """A `trainer.decoders.Decoder` of transformer blocks."""

    def __init__(self, configuration: Configuration, vocabulary_size: int, channels: int) -> None:
        """Draw the weights; see `trainer.decoders.build`."""
        c = configuration
        attends = c.attention != "none"
        super().__init__(configuration, vocabulary_size, channels, pooled=not attends)
        self._attends = attends
        if attends:
            self._add_values()
        if c.embedding != c.units:
            self.widen = dense(c.units, c.embedding, "widen")
        self.blocks = [_Block(c.units, c.feed_forward, self._attends) for _ in range(c.layers)]
        self.last_norm = layer_norm(c.units, "last_norm")
        self._add_words(c.units)

    def prepare(self, features: tf.Tensor, noise: Noise) -> Memory:
        """See `trainer.decoders.Decoder`; each block's keys and values, float32 [B, P, units]."""
        grid = flatten(features)
        if not self._attends:
            return {"image": self._see_whole(grid, noise)}
        values = self._see_grid(grid, noise)
        memory = {}
        for n, block in enumerate(self.blocks):
            memory[f"keys_{n:02}"], memory[f"values_{n:02}"] = tf.split(
                block.memory(values), 2, axis=-1
            )
        return memory

    def initial_state(self, memory: Memory) -> list[Cache]:
        """See `trainer.decoders.Decoder`; each block's cache, float32 [B, 0, units] twice."""
        images = tf.shape(tf.nest.flatten(memory)[0])[0]
        # A product, so that a graph does not know that what grows has no positions at first.
        nothing = tf.zeros([images, images * 0, self.configuration.units])
        return [(nothing, nothing) for _ in self.blocks]

    def step(self, tokens: tf.Tensor, state: list[Cache], memory: Memory) -> Step:
        """See `trainer.decoders.Decoder`."""
        layout = Beams(tokens)
        caches: list[Cache] = []

        def look_back(
            level: int, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor
        ) -> tf.Tensor:
            cache = (
                tf.concat([state[level][0], tf.expand_dims(layout.group(keys), 2)], axis=2),
                tf.concat([state[level][1], tf.expand_dims(layout.group(values), 2)], axis=2),
            )
            caches.append(cache)
            found, _ = self._attend(tf.expand_dims(layout.group(queries), 2), *cache)
            return layout.ungroup(tf.squeeze(found, 2))

        place = tf.shape(state[0][0])[2]
        logits, weights = self._read(tf.reshape(tokens, [-1]), place, memory, layout, look_back)
        return Step(layout.group(logits), caches, weights)

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise
    ) -> tf.Tensor:
        """See `trainer.decoders.Decoder`."""
        layout = Packed(packing, noise, self.configuration.variational_dropout)
        # What follows a word is hidden from it, and so is padding, which follows all words.
        hidden = tf.constant(np.triu(np.full([packing.steps] * 2, -1e9, np.float32), 1))

        def look_back(
            level: int, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor
        ) -> tf.Tensor:
            del level
            q, k, v = (packing.unpack(each) for each in (queries, keys, values))
            return packing.repack(self._attend(q, k, v, hidden)[0])

        places = packing.place
        return self._read(packing.pack(tokens), places, memory, layout, look_back)[0]

    def _read(
        self,
        tokens: tf.Tensor,
        places: tf.Tensor,
        memory: Memory,
        layout: Layout,
        look_back: LookBack,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Read tokens [R]; give their successors' logits [R, V] and attention [B, Q, P].

        The attention is the last block's, the mean of its heads.
        """
        c = self.configuration
        words = self.embedding(tokens) * c.embedding**0.5
        if c.embedding != c.units:
            words = self.widen(words)
        stream = words + tf.cast(_positions(places, c.units), words.dtype)
        if not self._attends:
            stream += layout.spread(memory["image"])
        stream = layout.drop(stream, c.dropout)
        weights = None
        for n, block in enumerate(self.blocks):
            queries, keys, values = tf.split(block.back(block.norms[0](stream)), 3, axis=-1)
            found = block.back_out(look_back(n, queries, keys, values))
            stream += layout.drop(found, c.dropout)
            if self._attends:
                queries = layout.group(block.query(block.norms[1](stream)))
                grid = memory[f"keys_{n:02}"], memory[f"values_{n:02}"]
                found, weights = self._attend(queries, *grid)
                stream += layout.drop(block.grid_out(layout.ungroup(found)), c.dropout)
            stream += layout.drop(block.down(block.up(block.norms[-1](stream))), c.dropout)
        return self._logits(self.last_norm(stream), layout), weights

    def _attend(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, hidden: float | tf.Tensor = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Look from queries [..., Q, units] at values [..., S, units], several heads at once.

        Args:
            queries: of any leading dimensions.
            keys: of the same.
            values: of the same.
            hidden: added to the scores [Q, S].

        Returns:
            What they found, [..., Q, units], and the weights' mean over the heads, [..., Q, S].
        """
        q, k, v = (self._split(each) for each in (queries, keys, values))
        scores = tf.matmul(q, k, transpose_b=True) * (q.shape[-1] ** -0.5)
        scores += tf.cast(hidden, scores.dtype)
        weights = tf.nn.softmax(scores, axis=-1)
        # Not unstacked: OpenVINO fails on that where shapes are dynamic.
        heads = tf.split(tf.matmul(weights, v), self.configuration.heads, axis=-3)
        return tf.squeeze(tf.concat(heads, axis=-1), -3), tf.reduce_mean(weights, axis=-3)

    def _split(self, values: tf.Tensor) -> tf.Tensor:
        """Give each head its part, [..., S, units] -> [..., heads, S, units / heads]."""
        return tf.stack(tf.split(values, self.configuration.heads, axis=-1), axis=-3)


class _Block(keras.layers.Layer):
    """The weights of one block."""

    def __init__(self, units: int, feed_forward: int, attends: bool) -> None:
        super().__init__()
        self.norms = [layer_norm(units, f"norm_{n}") for n in range(3 if attends else 2)]
        self.back = dense(3 * units, units, "back")
        self.back_out = dense(units, units, "back_out")
        if attends:
            self.query = dense(units, units, "query")
            self.memory = dense(2 * units, units, "memory")
            self.grid_out = dense(units, units, "grid_out")
        self.up = dense(feed_forward, units, "up", activation="relu")
        self.down = dense(units, feed_forward, "down")
        self.built = True


def _positions(places: tf.Tensor, units: int) -> tf.Tensor:
    """Return the sinusoids that tell words' places, int32 [...] -> float32 [..., units]."""
    rates = 10000.0 ** (-2.0 * np.arange((units + 1) // 2) / units)
    places = tf.expand_dims(tf.cast(places, tf.float32), -1)
    angles = places * tf.constant(rates, tf.float32)
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)[..., :units]

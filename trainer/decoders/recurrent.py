"""The recurrent decoder: LSTM or GRU layers, with or without attention, three ways of injection.

How the image enters the language model (Tanti et al., 2018, arXiv:1703.09137):

    init   it sets the first layer's initial state
    par    it is part of every step's input
    merge  it joins after the recurrent layers

Attention asks with the first layer's output and hands what it saw to the layers above and to the
words. The first layer's recurrence never depends on it, so in training everything but the scans
is one multiply for all steps. With two layers this is the top-down decoder (Anderson et al.,
2018, arXiv:1707.07998) without the feedback into its lower layer.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from trainer.configuration import Configuration
from trainer.decoders import Memory, Step
from trainer.decoders.attention import SoftAttention
from trainer.decoders.recurrence import CELLS, State
from trainer.noise import Noise
from trainer.packing import Packing


class _Layout(NamedTuple):
    """How rows of tokens are laid out: packed captions in training, beams in search."""

    run: Callable[[int, tf.Tensor], tf.Tensor]  # One layer: [rows, D] -> [rows, units].
    group: Callable[[tf.Tensor], tf.Tensor]  # Rows by image: [rows, D] -> [B, Q, D].
    ungroup: Callable[[tf.Tensor], tf.Tensor]  # The inverse.
    spread: Callable[[tf.Tensor], tf.Tensor]  # Its image's vector to each row: [B, D] -> [rows, D].


class RecurrentDecoder(keras.layers.Layer):
    """A `trainer.decoders.Decoder` of LSTM or GRU layers."""

    def __init__(self, configuration: Configuration, vocabulary_size: int, channels: int) -> None:
        super().__init__()
        self.configuration = c = configuration
        attends = c.attention != "none"
        # Features of different encoders differ in scale by orders of magnitude.
        self.norm = keras.layers.LayerNormalization(center=False, scale=False, name="norm")
        self.image = _dense(c.units, channels, "image", activation="tanh")
        self.embedding = keras.layers.Embedding(vocabulary_size, c.embedding, name="embedding")
        self.embedding.build()
        depth = c.embedding + (c.units if c.inject == "par" else 0)
        self.recurrences = []
        for _ in range(c.layers):
            self.recurrences.append(CELLS[c.decoder](c.units, depth))
            depth = c.units * (2 if attends else 1)
        if c.inject == "init":
            self.starts = [
                _dense(c.units, c.units, f"start_{n}", activation="tanh")
                for n in range(self.recurrences[0].states)
            ]
        if attends:
            self.values = _dense(c.units, channels, "values", activation="relu")
            self.attention = SoftAttention(c.attention_units, c.units)
        depth += c.units if c.inject == "merge" else 0
        if c.hidden:
            self.hidden = _dense(c.hidden, depth, "hidden", activation="tanh")
            depth = c.hidden
        if c.tie:
            self.bias = self.add_weight(shape=(vocabulary_size,), initializer="zeros", name="bias")
        else:
            self.words = _dense(vocabulary_size, depth, "words")
        self.built = True

    def prepare(self, features: tf.Tensor, noise: Noise) -> Memory:
        """See `trainer.decoders.Decoder`."""
        c = self.configuration
        features = tf.cast(features, tf.float32)
        grid = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
        pooled = self.norm(tf.reduce_mean(grid, axis=1))
        memory = {"image": self.image(noise.dropout(pooled, c.feature_dropout))}
        if c.attention != "none":
            values = self.values(noise.dropout(self.norm(grid), c.feature_dropout))
            memory["values"] = noise.dropout(values, c.feature_dropout)
            memory["keys"] = self.attention.keys(memory["values"])
        return memory

    def initial_state(self, memory: Memory) -> list[State]:
        """See `trainer.decoders.Decoder`; [layer][state] float32 [B, units]."""
        zeros = tf.zeros_like(memory["image"])
        states = [[zeros] * layer.states for layer in self.recurrences]
        if self.configuration.inject == "init":
            states[0] = [start(memory["image"]) for start in self.starts]
        return states

    def step(self, tokens: tf.Tensor, state: list[State], memory: Memory) -> Step:
        """See `trainer.decoders.Decoder`."""
        images, beams = tf.unstack(tf.shape(tokens))
        states: list[State] = []

        def ungroup(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, [-1, values.shape[-1]])

        def group(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, [images, beams, values.shape[-1]])

        def spread(values: tf.Tensor) -> tf.Tensor:
            return tf.repeat(values, beams, axis=0)

        def run(level: int, inputs: tf.Tensor) -> tf.Tensor:
            layer = self.recurrences[level]
            before = [ungroup(each) for each in state[level]]
            after = layer.advance(layer.project(inputs), before)
            states.append([group(each) for each in after])
            return after[0]

        layout = _Layout(run, group, ungroup, spread)
        logits, weights = self._logits(tf.reshape(tokens, [-1]), memory, layout, Noise())
        return Step(group(logits), states, weights)

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise
    ) -> tf.Tensor:
        """See `trainer.decoders.Decoder`."""
        states = self.initial_state(memory)

        def run(level: int, inputs: tf.Tensor) -> tf.Tensor:
            start = [tf.gather(each, packing.owner) for each in states[level]]
            return self.recurrences[level].scan(inputs, start, packing)

        layout = _Layout(run, packing.per_image, packing.per_token, packing.spread)
        return self._logits(packing.pack(tokens), memory, layout, noise)[0]

    def _logits(
        self, tokens: tf.Tensor, memory: Memory, layout: _Layout, noise: Noise
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Read tokens [rows]; give their successors' logits [rows, V] and attention [B, Q, P]."""
        c = self.configuration
        image = layout.spread(memory["image"]) if c.inject != "init" else None
        inputs = noise.dropout(self.embedding(tokens), c.dropout)
        if c.inject == "par":
            inputs = tf.concat([inputs, image], axis=1)
        output = layout.run(0, inputs)
        seen: list[tf.Tensor] = []
        weights = None
        if c.attention != "none":
            context, weights = self.attention(
                layout.group(output), memory["keys"], memory["values"]
            )
            seen.append(layout.ungroup(context))
        for level in range(1, c.layers):
            below = noise.dropout(tf.concat([output, *seen], axis=1), c.dropout)
            above = layout.run(level, below)
            output = output + above if c.residual else above
        if c.inject == "merge":
            seen.append(image)
        output = noise.dropout(tf.concat([output, *seen], axis=1), c.dropout)
        if c.hidden:
            output = noise.dropout(self.hidden(output), c.dropout)
        if c.tie:
            logits = tf.matmul(output, self.embedding.embeddings, transpose_b=True) + self.bias
            return logits, weights
        return self.words(output), weights


def _dense(units: int, depth: int, name: str, activation: str | None = None) -> keras.layers.Dense:
    """Make a dense layer with its weights, so that a model is whole once it is constructed."""
    layer = keras.layers.Dense(units, activation=activation, name=name)
    layer.build((None, depth))
    return layer

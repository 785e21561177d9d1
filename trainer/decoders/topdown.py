"""The top-down decoder: attention between two LSTMs (Anderson et al., 2018, arXiv:1707.07998).

    h1 = attention LSTM(word, mean of the image, previous h2)
    c  = what h1 finds when it looks at the grid
    h2 = language LSTM(c, h1);  words are read from h2

Each step depends on what the last one saw, so attention runs within the loop. Outside it are the
image's keys, and the input products of all words in one multiply and of each image once; inside it
all gates of a layer are one multiply, over the captions that still run.
"""

from collections.abc import Callable

import tensorflow as tf

from trainer.configuration import Configuration
from trainer.decoders import Memory, Step
from trainer.decoders.base import WordDecoder, dense, layer_norm
from trainer.decoders.layout import Beams, Layout, Packed
from trainer.decoders.recurrence import LSTM, State, lstm
from trainer.noise import Noise
from trainer.packing import Packing

# Queries and sentinels (or None), [R, units] each, to what they saw [R, units] and a report.
Look = Callable[[tf.Tensor, tf.Tensor | None], tuple[tf.Tensor, tf.Tensor]]
Masks = tuple[tf.Tensor | None, tf.Tensor | None]


class TopDownDecoder(WordDecoder):
    """A `trainer.decoders.Decoder` of an attention LSTM and a language LSTM."""

    def __init__(self, configuration: Configuration, vocabulary_size: int, channels: int) -> None:
        """Draw the weights; see `trainer.decoders.build`."""
        super().__init__(configuration, vocabulary_size, channels, pooled=True)
        c = configuration
        entrance = c.embedding + 2 * c.units
        self.looking = LSTM(c.units, entrance)
        self.speaking = LSTM(c.units, 2 * c.units)
        if c.inject == "init":
            self.starts = [
                dense(c.units, c.units, f"start_{n}", activation="tanh") for n in range(2)
            ]
        self._add_values()
        self._add_attention()
        if c.attention == "adaptive":
            self.gate = dense(c.units, entrance + c.units, "gate")
        if c.normalization == "layer":
            self.norm_below = layer_norm(c.embedding, "norm_below")
            self.norms = [layer_norm(c.units, f"norm_{n}") for n in range(2)]
        self._add_words(c.units)

    def initial_state(self, memory: Memory) -> list[State]:
        """See `trainer.decoders.Decoder`; [layer][output, memory] float32 [B, units]."""
        zeros = tf.zeros_like(memory["image"])
        states = [[zeros, zeros], [zeros, zeros]]
        if self.configuration.inject == "init":
            states[0] = [start(memory["image"]) for start in self.starts]
        return states

    def step(self, tokens: tf.Tensor, state: list[State], memory: Memory) -> Step:
        """See `trainer.decoders.Decoder`."""
        layout = Beams(tokens)

        def look(queries: tf.Tensor, sentinels: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
            grouped = None if sentinels is None else layout.group(sentinels)
            context, weights = self.attention(
                layout.group(queries), memory["keys"], memory["values"], grouped
            )
            return layout.ungroup(context), weights

        rows = tf.nest.map_structure(layout.ungroup, state)
        cell = _Cell(self, look)
        projected = self._project(tf.reshape(tokens, [-1]), memory, layout)
        rows, weights = cell.advance(projected, rows, None, (None, None))
        logits = self._logits(self._normed(1, rows[1][0]), layout)
        return Step(layout.group(logits), tf.nest.map_structure(layout.group, rows), weights)

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise
    ) -> tf.Tensor:
        """See `trainer.decoders.Decoder`."""
        c = self.configuration
        layout = Packed(packing, noise, c.variational_dropout)
        projected = self._project(packing.pack(tokens), memory, layout)
        masks = [layout.captions_mask(c.units, c.recurrent_dropout) for _ in range(2)]
        dropped = layout.mask(2 * c.units, c.dropout)
        state = tf.nest.map_structure(
            lambda values: tf.gather(values, packing.owner), self.initial_state(memory)
        )
        keys = tf.gather(memory["keys"], packing.owner)

        def look(queries: tf.Tensor, sentinels: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
            weights = self.attention.weigh(queries, keys, sentinels)
            # Grouped, so that an image's values are read once for all its captions.
            context = tf.matmul(packing.captions_per_image(weights.grid), memory["values"])
            context = packing.per_caption(context, tf.shape(queries)[0])
            if sentinels is not None:
                context += weights.sentinel * sentinels
            return context, weights.grid

        cell = _Cell(self, look)
        parts = tf.split(projected, packing.active, num=packing.steps)
        drops: list[tf.Tensor | None] = [None] * packing.steps
        if dropped is not None:
            drops = tf.split(dropped, packing.active, num=packing.steps)
        outputs = []
        for step, (part, drop) in enumerate(zip(parts, drops, strict=True)):
            rows = packing.active[step]
            # Each step takes its rows of the last one's: gradients then add up in small pieces.
            state = [[values[:rows] for values in layer] for layer in state]
            masks = [None if mask is None else mask[:rows] for mask in masks]
            keys = keys[:rows]
            state, _ = cell.advance(part, state, drop, (masks[0], masks[1]))
            outputs.append(state[1][0])
        return self._logits(self._normed(1, tf.concat(outputs, axis=0)), layout)

    def _project(self, tokens: tf.Tensor, memory: Memory, layout: Layout) -> tf.Tensor:
        """Multiply the words [R] and their images with the first layer's kernel."""
        c = self.configuration
        words = self.embedding(tokens)
        if c.normalization == "layer":
            words = self.norm_below(words)
        kernel, bias = self.entrance()
        word_kernel, image_kernel = kernel[: c.embedding], kernel[c.embedding :][: c.units]
        image = tf.matmul(memory["image"], image_kernel) + bias
        return tf.matmul(layout.drop(words, c.dropout), word_kernel) + layout.spread(image)

    def entrance(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first layer's kernel and bias, with the sentinel's gate as a fifth one.

        Its rows are those of the word, the image, the last h2 and the last h1.
        """
        cell = self.looking.layer.cell
        kernel, bias = tf.concat([cell.kernel, cell.recurrent_kernel], axis=0), cell.bias
        if self.configuration.attention != "adaptive":
            return kernel, tf.convert_to_tensor(bias)
        return (
            tf.concat([kernel, self.gate.kernel], axis=1),
            tf.concat([bias, self.gate.bias], axis=0),
        )

    def _normed(self, level: int, output: tf.Tensor) -> tf.Tensor:
        """Normalise a layer's output on its way up."""
        return self.norms[level](output) if self.configuration.normalization == "layer" else output


class _Cell:
    """One step of both layers."""

    def __init__(self, decoder: TopDownDecoder, look: Look) -> None:
        self._look, self._normed = look, decoder._normed
        c = decoder.configuration
        self._gates = 4 * c.units
        self._adaptive = c.attention == "adaptive"
        speaking = decoder.speaking.layer.cell
        self._looking_kernel = decoder.entrance()[0][c.embedding + c.units :]
        self._speaking_kernel = tf.concat([speaking.kernel, speaking.recurrent_kernel], axis=0)
        self._speaking_bias = speaking.bias

    def advance(
        self, projected: tf.Tensor, state: list[State], drop: tf.Tensor | None, masks: Masks
    ) -> tuple[list[State], tf.Tensor]:
        """Take one step.

        Args:
            projected: input products of words and images, [R, 4 or 5 * units].
            state: [layer][output, memory] float32 [R, units].
            drop: what the language LSTM's input is multiplied with, [R, 2 * units]; None for ones.
            masks: recurrent dropout of both layers, [R, units] each.

        Returns:
            The next state, and what the attention reports.
        """
        (first, carry), (second, memory) = state
        first = first if masks[0] is None else first * masks[0]
        second = second if masks[1] is None else second * masks[1]
        gates = projected + tf.matmul(tf.concat([second, first], axis=1), self._looking_kernel)
        first, carry = lstm(gates[:, : self._gates], carry)
        sentinels = None
        if self._adaptive:
            sentinels = tf.sigmoid(gates[:, self._gates :]) * tf.tanh(carry)
        asking = self._normed(0, first)
        context, report = self._look(asking, sentinels)
        below = tf.concat([context, asking], axis=1)
        below = below if drop is None else below * drop
        gates = tf.matmul(tf.concat([below, second], axis=1), self._speaking_kernel)
        return [[first, carry], lstm(gates + self._speaking_bias, memory)], report

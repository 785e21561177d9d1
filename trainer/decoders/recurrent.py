"""The recurrent decoder: LSTM or GRU layers, with or without attention, three ways of injection.

How the image enters the language model (Tanti et al., 2018, arXiv:1703.09137):

    init   it sets the first layer's initial state
    par    it is part of every step's input
    merge  it joins after the recurrent layers

Attention asks with the first layer's output and hands what it saw to the layers above and to the
words. The first layer's recurrence never depends on it, so in training everything but the scans
is one multiply for all steps. `trainer.decoders.topdown` has the feedback that is missing here.
"""

from collections.abc import Callable

import tensorflow as tf

from trainer.configuration import Configuration
from trainer.decoders import Memory, Step
from trainer.decoders.base import WordDecoder, dense, layer_norm
from trainer.decoders.layout import Beams, Layout, Packed
from trainer.decoders.recurrence import CELLS, State, Trace
from trainer.noise import Noise
from trainer.packing import Packing

Run = Callable[[int, tf.Tensor], Trace]  # One layer: its number and [R, D].


class RecurrentDecoder(WordDecoder):
    """A `trainer.decoders.Decoder` of LSTM or GRU layers."""

    def __init__(self, configuration: Configuration, vocabulary_size: int, channels: int) -> None:
        """Draw the weights; see `trainer.decoders.build`."""
        super().__init__(configuration, vocabulary_size, channels, pooled=True)
        c = configuration
        attends = c.attention != "none"
        depth = c.embedding + (c.units if c.inject == "par" else 0)
        entrance = depth
        self.recurrences = []
        for _ in range(c.layers):
            self.recurrences.append(CELLS[c.decoder](c.units, depth))
            depth = c.units * (2 if attends else 1)
        if c.inject == "init":
            self.starts = [
                dense(c.units, c.units, f"start_{n}", activation="tanh")
                for n in range(self.recurrences[0].states)
            ]
        if attends:
            self._add_values()
            self._add_attention()
        if c.attention == "adaptive":
            self.gate = dense(c.units, entrance + c.units, "gate", activation="sigmoid")
        if c.normalization == "layer":
            above = [layer_norm(depth, f"norm_below_{n}") for n in range(1, c.layers)]
            self.norms_below = [layer_norm(c.embedding, "norm_below_0"), *above]
            self.norms = [layer_norm(c.units, f"norm_{n}") for n in range(c.layers)]
        self._add_words(depth + (c.units if c.inject == "merge" else 0))

    def initial_state(self, memory: Memory) -> list[State]:
        """See `trainer.decoders.Decoder`; [layer][state] float32 [B, units]."""
        zeros = tf.zeros_like(memory["image"])
        states = [[zeros] * layer.states for layer in self.recurrences]
        if self.configuration.inject == "init":
            states[0] = [start(memory["image"]) for start in self.starts]
        return states

    def step(self, tokens: tf.Tensor, state: list[State], memory: Memory) -> Step:
        """See `trainer.decoders.Decoder`."""
        layout = Beams(tokens)
        states: list[State] = []

        def run(level: int, inputs: tf.Tensor) -> Trace:
            layer = self.recurrences[level]
            before = [layout.ungroup(each) for each in state[level]]
            after = layer.advance(layer.project(inputs), before)
            states.append([layout.group(each) for each in after])
            return Trace(after[0], after[-1], before[0])

        logits, weights = self._read(tf.reshape(tokens, [-1]), memory, layout, run)
        return Step(layout.group(logits), states, weights)

    def teacher_forced(
        self, memory: Memory, tokens: tf.Tensor, packing: Packing, noise: Noise
    ) -> tf.Tensor:
        """See `trainer.decoders.Decoder`."""
        c = self.configuration
        layout = Packed(packing, noise, c.variational_dropout)
        states = self.initial_state(memory)

        def run(level: int, inputs: tf.Tensor) -> Trace:
            start = [tf.gather(each, packing.owner) for each in states[level]]
            mask = None
            if c.recurrent_dropout:
                mask = layout.captions_mask(c.units, c.recurrent_dropout)
            if level == 0 and c.attention == "adaptive":
                return self.recurrences[level].trace(inputs, start, packing, mask)
            output = self.recurrences[level].scan(inputs, start, packing, mask)
            return Trace(output, output, output)  # Nobody reads but the output.

        return self._read(packing.pack(tokens), memory, layout, run)[0]

    def _read(
        self, tokens: tf.Tensor, memory: Memory, layout: Layout, run: Run
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Read tokens [R]; give their successors' logits [R, V] and attention [B, Q, P]."""
        c = self.configuration
        normed = c.normalization == "layer"
        image = layout.spread(memory["image"]) if c.inject != "init" else None
        inputs = self.embedding(tokens)
        inputs = layout.drop(self.norms_below[0](inputs) if normed else inputs, c.dropout)
        if c.inject == "par":
            inputs = tf.concat([inputs, image], axis=1)
        trace = run(0, inputs)
        output = self.norms[0](trace.output) if normed else trace.output
        seen: list[tf.Tensor] = []
        weights = None
        if c.attention != "none":
            sentinels = None
            if c.attention == "adaptive":
                gates = self.gate(tf.concat([inputs, trace.previous], axis=1))
                sentinels = layout.group(gates * tf.tanh(trace.cell))
            context, weights = self.attention(
                layout.group(output), memory["keys"], memory["values"], sentinels
            )
            seen.append(layout.ungroup(context))
        for level in range(1, c.layers):
            below = tf.concat([output, *seen], axis=1)
            below = layout.drop(self.norms_below[level](below) if normed else below, c.dropout)
            above = run(level, below).output
            above = self.norms[level](above) if normed else above
            output = output + above if c.residual else above
        if c.inject == "merge":
            seen.append(image)
        return self._logits(tf.concat([output, *seen], axis=1), layout), weights

"""LSTM and GRU layers over packed captions.

On a CPU one multiply makes the input products of all steps, and the loop over the steps does the
recurrent product only, for the captions that still run. On a GPU the same weights go through
Keras's layer, which is cuDNN's kernel: its conditions (default activations, no recurrent dropout,
right padding) hold by construction, and what does not meet them takes the loop, as XLA does.
"""

import abc
from typing import NamedTuple

import keras
import tensorflow as tf

from trainer.packing import Packing

State = list[tf.Tensor]


class Trace(NamedTuple):
    """What a layer did at each row, float32 [rows, units]."""

    output: tf.Tensor
    cell: tf.Tensor  # its memory after the row: of a GRU, the output
    previous: tf.Tensor  # its output before the row


class Recurrence(keras.layers.Layer):
    """One recurrent layer; subclasses say how a cell advances.

    `projected` below is a batch of input products, [rows, gates * units].
    """

    states: int

    def __init__(self, layer: keras.layers.Layer, depth: int) -> None:
        super().__init__()
        self.layer = layer
        self.layer.build((None, None, depth))

    @abc.abstractmethod
    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Multiply inputs [rows, D] with the input kernel."""

    @abc.abstractmethod
    def advance(self, projected: tf.Tensor, state: State, mask: tf.Tensor | None = None) -> State:
        """Take one step; state[0] is the layer's output, each [rows, units].

        A mask [rows, units], which is recurrent dropout, multiplies the output on its way back
        into the layer.
        """

    def scan(
        self, inputs: tf.Tensor, state: State, packing: Packing, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Run over whole captions.

        Args:
            inputs: float32 [M, D], packed.
            state: what each caption starts from, float32 [N, units] in `packing.order`.
            packing: the batch's layout.
            mask: recurrent dropout, float32 [N, units] in that order; None for none.

        Returns:
            float32 [M, units], packed.
        """
        # XLA cannot compile cuDNN's kernels.
        if mask is None and packing.compact and tf.config.list_logical_devices("GPU"):
            return self.scan_padded(inputs, state, packing)
        return self.trace(inputs, state, packing, mask).output

    def scan_padded(self, inputs: tf.Tensor, state: State, packing: Packing) -> tf.Tensor:
        """Do what scan does through Keras's layer, padding included."""
        rows = tf.math.invert_permutation(packing.order)
        start = [tf.gather(each, rows) for each in state]
        padded = packing.unpack(inputs)
        return packing.repack(self.layer(padded, initial_state=start))

    def trace(
        self, inputs: tf.Tensor, state: State, packing: Packing, mask: tf.Tensor | None = None
    ) -> Trace:
        """Do what scan does step by step, and tell what was inside, packed."""
        outputs, cells, previous = [], [], []
        parts = tf.split(self.project(inputs), packing.active, num=packing.steps)
        for step, projected in enumerate(parts):
            rows = packing.active[step]
            state = [each[:rows] for each in state]
            previous.append(state[0])
            state = self.advance(projected, state, None if mask is None else mask[:rows])
            outputs.append(state[0])
            cells.append(state[-1])
        return Trace(*(tf.concat(each, axis=0) for each in (outputs, cells, previous)))


class LSTM(Recurrence):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), as Keras orders its gates."""

    states = 2

    def __init__(self, units: int, depth: int) -> None:
        super().__init__(keras.layers.LSTM(units, return_sequences=True), depth)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        cell = self.layer.cell
        return tf.matmul(inputs, cell.kernel) + cell.bias

    def advance(self, projected: tf.Tensor, state: State, mask: tf.Tensor | None = None) -> State:
        hidden = state[0] if mask is None else state[0] * mask
        return lstm(projected + tf.matmul(hidden, self.layer.cell.recurrent_kernel), state[1])


class GRU(Recurrence):
    """Gated recurrent unit (Cho et al., 2014) with the reset after the product, as cuDNN has it."""

    states = 1

    def __init__(self, units: int, depth: int) -> None:
        super().__init__(keras.layers.GRU(units, return_sequences=True, reset_after=True), depth)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        cell = self.layer.cell
        return tf.matmul(inputs, cell.kernel) + cell.bias[0]

    def advance(self, projected: tf.Tensor, state: State, mask: tf.Tensor | None = None) -> State:
        hidden = state[0]
        cell = self.layer.cell
        masked = hidden if mask is None else hidden * mask
        inner = tf.matmul(masked, cell.recurrent_kernel) + cell.bias[1]
        xz, xr, xh = tf.split(projected, 3, axis=1)
        hz, hr, hh = tf.split(inner, 3, axis=1)
        update = tf.sigmoid(xz + hz)
        proposed = tf.tanh(xh + tf.sigmoid(xr + hr) * hh)
        return [update * hidden + (1 - update) * proposed]


def lstm(gates: tf.Tensor, carry: tf.Tensor) -> State:
    """Apply an LSTM's gates [rows, 4 * units] to its memory; returns output and memory."""
    i, f, c, o = tf.split(gates, 4, axis=1)
    carry = tf.sigmoid(f) * carry + tf.sigmoid(i) * tf.tanh(c)
    return [tf.sigmoid(o) * tf.tanh(carry), carry]


CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}

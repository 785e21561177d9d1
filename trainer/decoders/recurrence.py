"""LSTM and GRU layers over packed captions.

On a CPU one multiply makes the input products of all steps, and the loop over the steps does the
recurrent product only, for the captions that still run. On a GPU the same weights go through
Keras's layer, which is cuDNN's kernel: its conditions (default activations, no recurrent dropout,
right padding) hold by construction.
"""

import abc

import keras
import tensorflow as tf

from trainer.packing import Packing

State = list[tf.Tensor]


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
    def advance(self, projected: tf.Tensor, state: State) -> State:
        """Take one step; state[0] is the layer's output, each [rows, units]."""

    def scan(self, inputs: tf.Tensor, state: State, packing: Packing) -> tf.Tensor:
        """Run over whole captions.

        Args:
            inputs: float32 [M, D], packed.
            state: what each caption starts from, float32 [N, units] in `packing.order`.
            packing: the batch's layout.

        Returns:
            float32 [M, units], packed.
        """
        if tf.config.list_logical_devices("GPU"):
            return self.scan_padded(inputs, state, packing)
        outputs = []
        parts = tf.split(self.project(inputs), packing.active, num=packing.steps)
        for step, projected in enumerate(parts):
            state = self.advance(projected, [each[: packing.active[step]] for each in state])
            outputs.append(state[0])
        return tf.concat(outputs, axis=0)

    def scan_padded(self, inputs: tf.Tensor, state: State, packing: Packing) -> tf.Tensor:
        """Do what scan does through Keras's layer, padding included."""
        rows = tf.math.invert_permutation(packing.order)
        start = [tf.gather(each, rows) for each in state]
        padded = packing.unpack(inputs)
        return packing.repack(self.layer(padded, initial_state=start))


class LSTM(Recurrence):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), as Keras orders its gates."""

    states = 2

    def __init__(self, units: int, depth: int) -> None:
        super().__init__(keras.layers.LSTM(units, return_sequences=True), depth)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        cell = self.layer.cell
        return tf.matmul(inputs, cell.kernel) + cell.bias

    def advance(self, projected: tf.Tensor, state: State) -> State:
        hidden, carry = state
        gates = projected + tf.matmul(hidden, self.layer.cell.recurrent_kernel)
        i, f, c, o = tf.split(gates, 4, axis=1)
        carry = tf.sigmoid(f) * carry + tf.sigmoid(i) * tf.tanh(c)
        return [tf.sigmoid(o) * tf.tanh(carry), carry]


class GRU(Recurrence):
    """Gated recurrent unit (Cho et al., 2014) with the reset after the product, as cuDNN has it."""

    states = 1

    def __init__(self, units: int, depth: int) -> None:
        super().__init__(keras.layers.GRU(units, return_sequences=True, reset_after=True), depth)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        cell = self.layer.cell
        return tf.matmul(inputs, cell.kernel) + cell.bias[0]

    def advance(self, projected: tf.Tensor, state: State) -> State:
        hidden = state[0]
        cell = self.layer.cell
        inner = tf.matmul(hidden, cell.recurrent_kernel) + cell.bias[1]
        xz, xr, xh = tf.split(projected, 3, axis=1)
        hz, hr, hh = tf.split(inner, 3, axis=1)
        update = tf.sigmoid(xz + hz)
        proposed = tf.tanh(xh + tf.sigmoid(xr + hr) * hh)
        return [update * hidden + (1 - update) * proposed]


CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}

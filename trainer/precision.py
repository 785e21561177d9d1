"""Training in half precision: fast on GPUs that have tensor cores, with the same weights.

Only the training's own passes compute in 16 bits, as Keras's mixed policies do (Micikevicius et
al., 2018, arXiv:1710.03740), up to the logits: weights, their updates and losses stay float32, and
so do evaluation and the exported captioner.
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

# No public name leads to it. Cells' weights are used outside of their layers' calls.
from keras.src.backend.common.variables import AutocastScope, get_autocast_scope

FLOAT32 = "float32"
FLOAT16 = "mixed_float16"


@contextlib.contextmanager
def computing(model: keras.Model, precision: str) -> Iterator[None]:
    """Let a model's layers compute in another precision while a graph is traced.

    Args:
        model: whose weights are float32.
        precision: the flag's value.
    """
    if precision == FLOAT32:
        yield
        return
    layers = list(model._flatten_layers())
    before = [layer.dtype_policy for layer in layers]
    policy = keras.DTypePolicy(precision)
    try:
        for layer in layers:
            layer.dtype_policy = policy
        with AutocastScope(policy.compute_dtype):
            yield
    finally:
        for layer, each in zip(layers, before, strict=True):
            layer.dtype_policy = each


def current() -> str:
    """Return the dtype of what layers compute where this is called."""
    scope = get_autocast_scope()
    return scope.dtype if scope and scope.dtype else FLOAT32


class LossScale:
    """Keeps the gradients of float16 from vanishing: the loss is scaled up, the gradients down.

    The scale halves where gradients overflow, and that step is left out; after STEADY steps
    without it doubles (Micikevicius et al., section 3.2). In other precisions nothing happens.
    """

    STEADY = 2000

    def __init__(self, precision: str) -> None:
        """Start; `precision` is the flag's value."""
        self._active = precision == FLOAT16
        once = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self._scale = tf.Variable(2.0**15, trainable=False, aggregation=once)
        self._steady = tf.Variable(0, trainable=False, aggregation=once)

    @property
    def variables(self) -> list[tf.Variable]:
        """What one step hands to the next."""
        return [self._scale, self._steady] if self._active else []

    def up(self, loss: tf.Tensor) -> tf.Tensor:
        """Scale a loss."""
        return loss * self._scale if self._active else loss

    def down(self, gradients: Sequence[tf.Tensor]) -> tuple[Sequence[tf.Tensor], tf.Tensor | float]:
        """Undo it for a step's gradients.

        Returns:
            The gradients, and 1 where they can be used; otherwise zeros, and 0.
        """
        if not self._active:
            return gradients, 1.0
        scale, steady = tf.convert_to_tensor(self._scale), self._steady + 1
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in gradients])
        grown = steady >= self.STEADY
        wider = tf.where(grown, scale * 2, scale)
        self._scale.assign(tf.where(finite, wider, tf.maximum(scale / 2, 1.0)))
        self._steady.assign(tf.where(finite & ~grown, steady, 0))
        usable = [tf.where(finite, each / scale, 0.0) for each in gradients]
        return usable, tf.cast(finite, tf.float32)

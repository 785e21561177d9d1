"""Batch normalisation (Ioffe and Szegedy, 2015, arXiv:1502.03167) by the batch of all replicas."""

from typing import Any

import keras
import tensorflow as tf


class BatchNorm(keras.layers.BatchNormalization):
    """Keras's layer, whose mask also says that several replicas share a batch.

    Without a mask it is Keras's, which knows its own replica's rows alone. Keras's `synchronized`
    would count the rows that only fill a replica, and loses digits on one device too, because it
    subtracts the squares of means.
    """

    # No public name leads to it: everything else of the layer stays Keras's.
    def _moments(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> Any:
        """Return mean and variance over the rows of all replicas, float32 [C] each.

        Args:
            inputs: float32 [..., C].
            mask: bool [...], false at what does not count; None for the own rows, all of them.
        """
        if mask is None:
            return super()._moments(inputs, None)
        context = tf.distribute.get_replica_context()

        def total(*values: tf.Tensor) -> list[tf.Tensor]:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))

        counts = tf.cast(mask, inputs.dtype)[..., None]
        axes = list(range(len(inputs.shape) - 1))
        added, count = total(tf.reduce_sum(inputs * counts, axes), tf.reduce_sum(counts))
        mean = added / count
        apart = tf.math.squared_difference(inputs, tf.stop_gradient(mean)) * counts
        (spread,) = total(tf.reduce_sum(apart, axes))
        return mean, spread / count

"""Dropout that a seed decides, so that a resumed run draws what the killed one would have."""

from collections.abc import Sequence

import tensorflow as tf

from trainer import precision


class Noise:
    """Draws a batch's dropout masks, and knows which of its images are real.

    Without a seed there is no dropout.

    The n-th mask depends on the seed and n alone: there is no generator whose state would have
    to be saved.
    """

    def __init__(
        self,
        seed: tf.Tensor | None = None,
        scale: float = 1.0,
        real: tf.Tensor | None = None,
    ) -> None:
        """Start a batch.

        Args:
            seed: int32 [2], different for each batch; None at inference.
            scale: what every rate is multiplied with.
            real: bool [B], false at images that only fill a replica, where batch statistics are
                those of all replicas; None where the batch is normalised by itself.
        """
        self._seed, self._scale, self._real = seed, scale, real
        self._drawn = 0

    @property
    def training(self) -> bool:
        """Whether there is dropout at all."""
        return self._seed is not None

    def seed(self) -> tf.Tensor:
        """Return a seed that nothing else in this batch has, int32 [2]; only in training."""
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._drawn)

    def mask_rows(self, values: tf.Tensor) -> tf.Tensor | None:
        """Return what of [B, ..., C] is of real images, bool [B, ...]; None where all is."""
        if self._real is None:
            return None
        shape = tf.shape(values)[:-1]
        real = tf.reshape(self._real, [-1] + [1] * (len(values.shape) - 2))
        return tf.broadcast_to(real, shape)

    def uniform(self, shape: tf.Tensor) -> tf.Tensor:
        """Draw float32 [*shape] from 0 to 1; only in training."""
        return tf.random.stateless_uniform(shape, self.seed())

    def chosen(self, shape: tf.Tensor, share: float | tf.Tensor) -> tf.Tensor:
        """Draw bool [*shape], each true with the probability `share`; only in training."""
        return self.uniform(shape) < share

    def dropout(self, values: tf.Tensor, rate: float) -> tf.Tensor:
        """Set a share of the elements to zero and scale the others up."""
        rate *= self._scale
        if self._seed is None:
            return values
        seed = self.seed()
        if rate == 0.0:
            return values
        return tf.nn.experimental.stateless_dropout(values, rate, seed=seed)

    def mask(self, shape: Sequence[int | tf.Tensor], rate: float) -> tf.Tensor | None:
        """Draw what dropout multiplies values with, for use at several places; None for ones."""
        if self._seed is None or rate == 0.0:
            self._drawn += 1
            return None
        return self.dropout(tf.ones(shape, precision.current()), rate)

"""Dividing a training split into folds by a hash of the images' keys."""

import dataclasses
from collections.abc import Iterable

import tensorflow as tf

from transforms.files import encoded


@dataclasses.dataclass(frozen=True)
class Fold:
    """One of the parts that take turns in being held out.

    An image is in the fold that the hash of its key gives, whatever else is in the data set, and
    all of its captions and views with it.

    Attributes:
        number: which, from 0.
        count: how many there are.
        seed: another one divides otherwise.
    """

    number: int
    count: int
    seed: int

    def held_out(self, key: tf.Tensor) -> tf.Tensor:
        """Whether an image is in this fold, by its key; strings [...] -> bool [...]."""
        # SipHash, which TensorFlow promises not to change.
        place = tf.strings.to_hash_bucket_strong(key, self.count, [self.seed, self.count])
        return place == self.number

    def trained_on(self, key: tf.Tensor) -> tf.Tensor:
        """Whether an image is in one of the other folds."""
        return ~self.held_out(key)


def divide(count: int, seed: int) -> list[Fold]:
    """Return the folds of a division."""
    return [Fold(number, count, seed) for number in range(count)]


def sizes(folds: Iterable[Fold], keys: Iterable[str]) -> list[int]:
    """Return how many of the keys each fold holds out."""
    stored = tf.constant([encoded(key) for key in keys], tf.string)
    return [int(tf.reduce_sum(tf.cast(fold.held_out(stored), tf.int32))) for fold in folds]

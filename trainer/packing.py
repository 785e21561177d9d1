"""Work on the words of a batch and on nothing else, except where XLA needs padding.

A batch of B images with n captions each, padded to T steps, is mostly padding: on Flickr8k more
than 40 %. The decoders therefore see its M real tokens one after another ("packed"), ordered by
step and, within a step, by the caption's length, longest first. The captions that still run at
step t are then the first rows of those that ran at step t - 1, and a recurrence over the packed
tokens needs no mask at all. (The layout of PyTorch's PackedSequence.)

Letters: B images, n captions of an image, N = B * n captions, T steps, M tokens (of `Padded`
all N * T places), L the most tokens that one image's captions have together.
"""

from typing import Any

import numpy as np
import tensorflow as tf

BUCKET_STEPS = 8  # Where XLA fixes shapes, captions are padded to multiples of this many steps.


class Packing:
    """Where each token of a padded batch is in the packed order.

    Attributes:
        steps: T, known when the graph is built.
        tokens: int32 scalar, how many there are, padding not counted.
        compact: whether padding takes no part, as here.
        active: int32 [T], how many captions have a token at each step.
        order: int32 [N], captions by length, longest first, as the recurrences see them.
        owner: int32 [N], the image of each caption in that order.
        image: int32 [M], the image of each token.
        caption: int32 [M], the caption of each token, as its place in `order`.
        place: int32 [M], the step of each token.
    """

    compact = True

    def __init__(self, mask: tf.Tensor) -> None:
        """Lay out a batch.

        Args:
            mask: bool [B, n, T], true at tokens; T is static, and no caption has a gap.
        """
        self.steps: int = mask.shape[2]
        self._images, self._captions = tf.shape(mask)[0], tf.shape(mask)[1]
        rows = tf.cast(tf.reshape(mask, [-1, self.steps]), tf.int32)
        self.active = tf.reduce_sum(rows, axis=0)
        self.order = tf.argsort(tf.reduce_sum(rows, axis=1), direction="DESCENDING", stable=True)
        self.owner = self.order // self._captions
        places = tf.where(tf.transpose(tf.gather(rows, self.order)) > 0)
        self.place, self.caption = tf.unstack(tf.cast(places, tf.int32), axis=1)
        self._flat = tf.gather(self.order, self.caption) * self.steps + self.place
        self.image = tf.gather(self.owner, self.caption)
        self.tokens = tf.size(self.image)
        # A token's slot among its image's tokens, for what works image by image.
        by_image = tf.reshape(rows, [self._images, self._captions * self.steps])
        position = tf.cumsum(by_image, axis=1, exclusive=True)
        self._longest = tf.reduce_max(tf.reduce_sum(by_image, axis=1))
        self._slot = self.image * self._longest + tf.gather(tf.reshape(position, [-1]), self._flat)

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """Add up the tokens' values, [M] -> scalar."""
        return tf.reduce_sum(values)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """Take the tokens' values, [B, n, T] -> [M]."""
        return tf.gather(tf.reshape(values, [-1]), self._flat)

    def unpack(self, values: tf.Tensor) -> tf.Tensor:
        """Spread [M, D] over captions in the given order, [N, T, D], zero at padding."""
        depth = values.shape[-1]
        rows = tf.shape(self.order)[0]
        padded = tf.scatter_nd(self._flat[:, None], values, [rows * self.steps, depth])
        return tf.reshape(padded, [rows, self.steps, depth])

    def repack(self, padded: tf.Tensor) -> tf.Tensor:
        """Undo unpack, [N, T, D] -> [M, D]."""
        return tf.gather(tf.reshape(padded, [-1, padded.shape[-1]]), self._flat)

    def per_image(self, values: tf.Tensor) -> tf.Tensor:
        """Bring each image's tokens together, [M, D] -> [B, L, D], zero where it has fewer."""
        depth = values.shape[-1]
        shape = [self._images * self._longest, depth]
        grouped = tf.scatter_nd(self._slot[:, None], values, shape)
        return tf.reshape(grouped, [self._images, self._longest, depth])

    def per_token(self, grouped: tf.Tensor) -> tf.Tensor:
        """Undo per_image, [B, L, D] -> [M, D]."""
        return tf.gather(tf.reshape(grouped, [-1, grouped.shape[-1]]), self._slot)

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """Give each token its image's row, [B, D] -> [M, D]."""
        return tf.gather(values, self.image)

    def captions_per_image(self, rows: tf.Tensor) -> tf.Tensor:
        """Bring one step's captions together, the first rows of `order`, [r, D] -> [B, n, D]."""
        count, depth = tf.shape(rows)[0], rows.shape[-1]
        shape = [self._images * self._captions, depth]
        grouped = tf.scatter_nd(self.order[:count, None], rows, shape)
        return tf.reshape(grouped, [self._images, self._captions, depth])

    def per_caption(self, grouped: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Undo captions_per_image for that many rows, [B, n, D] -> [rows, D]."""
        return tf.gather(tf.reshape(grouped, [-1, grouped.shape[-1]]), self.order[:rows])


class Padded(Packing):
    """The same with every place of the padded batch for a token: M is N * T.

    Shapes depend on those of the batch alone, which is what XLA needs. What is at padding is
    computed, and only `tokens` and `sum` leave it out. Captions keep their order.
    """

    compact = False

    def __init__(self, mask: tf.Tensor) -> None:
        """Lay out a batch; see `Packing`."""
        self.steps = mask.shape[2]
        self._images, self._captions = tf.shape(mask)[0], tf.shape(mask)[1]
        rows = self._images * self._captions
        self.active = tf.fill([self.steps], rows)
        self.order = tf.range(rows)
        self.owner = self.order // self._captions
        self.place = tf.repeat(tf.range(self.steps), rows)
        self.caption = tf.tile(self.order, [self.steps])
        self.image = self.caption // self._captions
        self.tokens = tf.reduce_sum(tf.cast(mask, tf.int32))
        self._counted = self.pack(mask)

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        return tf.reduce_sum(tf.where(self._counted, values, tf.zeros_like(values)))

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        return tf.reshape(tf.transpose(tf.reshape(values, [-1, self.steps])), [-1])

    def unpack(self, values: tf.Tensor) -> tf.Tensor:
        """See `Packing`; what is at padding stays."""
        return tf.transpose(tf.reshape(values, [self.steps, -1, values.shape[-1]]), [1, 0, 2])

    def repack(self, padded: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        return tf.reshape(tf.transpose(padded, [1, 0, 2]), [-1, padded.shape[-1]])

    def per_image(self, values: tf.Tensor) -> tf.Tensor:
        """See `Packing`; L is n * T."""
        depth = values.shape[-1]
        return tf.reshape(self.unpack(values), [self._images, self._captions * self.steps, depth])

    def per_token(self, grouped: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        depth = grouped.shape[-1]
        return self.repack(tf.reshape(grouped, [-1, self.steps, depth]))

    def captions_per_image(self, rows: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        return tf.reshape(rows, [self._images, self._captions, rows.shape[-1]])

    def per_caption(self, grouped: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """See `Packing`."""
        del rows
        return tf.reshape(grouped, [-1, grouped.shape[-1]])


def lay_out(mask: tf.Tensor, *, padded: bool = False) -> Packing:
    """Return the layout of a batch, bool [B, n, T], true at tokens; padded for XLA."""
    return Padded(mask) if padded else Packing(mask)


def bucket_length(*ids: Any) -> int:
    """Return the length of the bucket that holds all captions of a batch.

    Args:
        ids: int32 [B, n, T], each caption followed by PAD; of several, T may differ.
    """
    longest = max(int(np.count_nonzero(np.asarray(each), axis=2).max(initial=1)) for each in ids)
    return -(-longest // BUCKET_STEPS) * BUCKET_STEPS

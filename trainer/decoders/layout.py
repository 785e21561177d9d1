"""How rows of tokens are laid out: packed captions in training, beams in search.

A decoder is written once, over rows of tokens, and a layout says which image a row belongs to and
what dropout it gets. Letters as in `trainer.decoders`; R rows are M packed tokens or B * K beams,
and Q rows of one image are at most L tokens or K beams.
"""

from typing import Protocol

import tensorflow as tf

from trainer.noise import Noise
from trainer.packing import Packing


class Layout(Protocol):
    """Rows of tokens and the images that they are about."""

    def group(self, rows: tf.Tensor) -> tf.Tensor:
        """Bring each image's rows together, [R, D] -> [B, Q, D]."""

    def ungroup(self, grouped: tf.Tensor) -> tf.Tensor:
        """Undo `group`, [B, Q, D] -> [R, D]."""

    def spread(self, images: tf.Tensor) -> tf.Tensor:
        """Give each row its image's vector, [B, D] -> [R, D]."""

    def drop(self, rows: tf.Tensor, rate: float) -> tf.Tensor:
        """Apply dropout to [R, D]."""


class Packed:
    """The layout of training: all tokens of whole captions."""

    def __init__(self, packing: Packing, noise: Noise, variational: bool) -> None:
        """Lay out a batch.

        Args:
            packing: the batch's.
            noise: its dropout.
            variational: whether a caption keeps one mask for all its tokens (Gal and Ghahramani,
                2016, arXiv:1512.05287) or each token draws its own.
        """
        self.packing = packing
        self._noise, self._variational = noise, variational
        self.group, self.ungroup = packing.per_image, packing.per_token
        self.spread = packing.spread

    def drop(self, rows: tf.Tensor, rate: float) -> tf.Tensor:
        """See `Layout`."""
        if not self._variational:
            return self._noise.dropout(rows, rate)
        captions = self.captions_mask(rows.shape[-1], rate)
        return rows if captions is None else rows * tf.gather(captions, self.packing.caption)

    def mask(self, width: int, rate: float) -> tf.Tensor | None:
        """Draw what `drop` would multiply rows with, float32 [M, width]; None for ones."""
        if not self._variational:
            return self._noise.mask([tf.shape(self.packing.image)[0], width], rate)
        captions = self.captions_mask(width, rate)
        return None if captions is None else tf.gather(captions, self.packing.caption)

    def captions_mask(self, width: int, rate: float) -> tf.Tensor | None:
        """Draw a mask for each caption, float32 [N, width] in `packing.order`; None for ones."""
        return self._noise.mask([tf.shape(self.packing.order)[0], width], rate)


class Beams:
    """The layout of search: one token of each beam, image by image, without dropout."""

    def __init__(self, tokens: tf.Tensor) -> None:
        """Take int32 [B, K]."""
        self._images, self._beams = tf.unstack(tf.shape(tokens))

    def group(self, rows: tf.Tensor) -> tf.Tensor:
        """See `Layout`."""
        return tf.reshape(rows, [self._images, self._beams, rows.shape[-1]])

    def ungroup(self, grouped: tf.Tensor) -> tf.Tensor:
        """See `Layout`."""
        return tf.reshape(grouped, [-1, grouped.shape[-1]])

    def spread(self, images: tf.Tensor) -> tf.Tensor:
        """See `Layout`."""
        return tf.repeat(images, self._beams, axis=0)

    def drop(self, rows: tf.Tensor, rate: float) -> tf.Tensor:
        """See `Layout`."""
        del rate
        return rows

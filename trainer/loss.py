"""The loss: cross-entropy over the tokens that count."""

from typing import NamedTuple

import tensorflow as tf

from trainer.model import Captioner
from trainer.noise import Noise
from trainer.packing import Packing
from transforms.text import PAD


class Loss(NamedTuple):
    """What a batch cost."""

    mean: tf.Tensor  # float32, per token, END counted and padding not
    tokens: tf.Tensor  # int32, how many


def teacher_forced(
    captioner: Captioner,
    inputs: tf.Tensor,
    token_ids: tf.Tensor,
    *,
    label_smoothing: float = 0.0,
    noise: Noise | None = None,
) -> Loss:
    """Compare the captioner's next words with the captions'.

    Args:
        captioner: the model.
        inputs: features or pixels [B, ...].
        token_ids: int32 [B, n, T], each caption from START to END, then PAD; a caption may be
            missing, all PAD.
        label_smoothing: probability spread evenly over all words (Szegedy et al., 2016).
        noise: the batch's dropout; None at inference.
    """
    targets = token_ids[:, :, 1:]
    packing = Packing(targets != PAD)
    memory = captioner.prepare(inputs, noise)
    logits = captioner.teacher_forced(memory, token_ids[:, :, :-1], packing, noise)
    packed = packing.pack(targets)
    size = logits.shape[-1]
    spread = label_smoothing / size
    labels = tf.one_hot(packed, size, 1 - label_smoothing + spread, spread)
    losses = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    return Loss(tf.reduce_mean(losses), tf.size(packed))

"""The losses, over the tokens that count: cross-entropy, and the policy gradient of rewards."""

from typing import NamedTuple

import tensorflow as tf

from trainer.model import Captioner
from trainer.noise import Noise
from trainer.packing import Packing
from trainer.search import banned
from transforms.text import PAD, START


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


def policy_gradient(
    captioner: Captioner,
    inputs: tf.Tensor,
    samples: tf.Tensor,
    advantages: tf.Tensor,
    *,
    temperature: float = 1.0,
    noise: Noise | None = None,
) -> Loss:
    """Make samples with an advantage likelier (REINFORCE; Williams, 1992).

    Its gradient is that of the expected reward, per token: the log-probability of each sample,
    END included, under the distribution that it was drawn from, times its advantage.

    Args:
        captioner: the model.
        inputs: features or pixels [B, ...].
        samples: int32 [B, K, S], as `trainer.sampling.sample` draws them.
        advantages: float32 [B, K].
        temperature: that the samples were drawn with.
        noise: the batch's dropout; None for none.
    """
    steps = samples.shape[2]
    packing = Packing(samples != PAD)
    read = tf.concat([tf.fill(tf.shape(samples[:, :, :1]), START), samples[:, :, :-1]], axis=2)
    logits = captioner.teacher_forced(captioner.prepare(inputs, noise), read, packing, noise)
    logits = (logits + tf.constant(banned(logits.shape[-1]))) / temperature
    words = packing.pack(samples)
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(words, logits)
    weights = packing.pack(tf.repeat(advantages[..., None], steps, axis=2))
    return Loss(tf.reduce_mean(surprise * weights), tf.size(words))

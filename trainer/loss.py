"""The losses, over the tokens that count: cross-entropy, and the policy gradient of rewards."""

from typing import Any, NamedTuple

import tensorflow as tf

from trainer.decoders import Decoder
from trainer.distillation import Teachers
from trainer.model import Captioner
from trainer.noise import Noise
from trainer.packing import Packing, lay_out
from trainer.search import NEVER, banned
from transforms.text import END, PAD, START, UNK


class Loss(NamedTuple):
    """What a batch cost."""

    total: tf.Tensor  # float32, of all tokens, END counted and padding not
    mean: tf.Tensor  # float32, per token; 0 where there is none
    tokens: tf.Tensor  # int32, how many
    weight: float = 1.0  # of this loss among several


def teacher_forced(
    captioner: Captioner | Decoder,
    inputs: tf.Tensor,
    token_ids: tf.Tensor,
    *,
    label_smoothing: float = 0.0,
    word_dropout: float = 0.0,
    own_words: tf.Tensor | None = None,
    teachers: Teachers | None = None,
    noise: Noise | None = None,
) -> Loss:
    """Compare the captioner's next words with the captions'.

    Args:
        captioner: the model; or its decoder alone, for inputs that are encoded already.
        inputs: features or pixels [B, ...].
        token_ids: int32 [B, n, T], each caption from START to END, then PAD; a caption may be
            missing, all PAD.
        label_smoothing: probability spread evenly over all words (Szegedy et al., 2016).
        word_dropout: share of the words read that become UNK (Bowman et al., 2016,
            arXiv:1511.06349); needs `noise`.
        own_words: share of the words read that the captioner draws itself, float32 scalar
            (scheduled sampling; Bengio et al., 2015, arXiv:1506.03099); needs `noise`.
        teachers: whose probabilities, having read the captions, stand for their share of the
            labels; they may mix the images for it.
        noise: the batch's dropout; None at inference.
    """
    noise = noise or Noise()
    read, targets = token_ids[:, :, :-1], token_ids[:, :, 1:]
    packing = lay_out(targets != PAD, padded=captioner.configuration.xla)
    if teachers is not None:
        inputs = teachers.mix(inputs, noise)
    memory = captioner.prepare(inputs, noise)
    if word_dropout and noise.training:
        forgotten = noise.chosen(tf.shape(read), word_dropout) & (read > UNK)
        read = tf.where(forgotten, UNK, read)
    if own_words is not None and noise.training:
        read = _mix(captioner, memory, read, packing, own_words, noise)
    logits = captioner.teacher_forced(memory, read, packing, noise)
    logits = tf.cast(logits, tf.float32)
    packed = packing.pack(targets)
    size = logits.shape[-1]
    spread = label_smoothing / size
    labels = tf.one_hot(packed, size, 1 - label_smoothing + spread, spread)
    if teachers is not None:
        taught = teachers.probabilities(inputs, token_ids[:, :, :-1], packing)
        labels += teachers.share * (taught - labels)
    losses = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    return _loss(losses, packing)


def _mix(
    captioner: Captioner | Decoder,
    memory: Any,
    read: tf.Tensor,
    packing: Packing,
    share: tf.Tensor,
    noise: Noise,
) -> tf.Tensor:
    """Put words that the captioner draws in the place of a share of those that it reads.

    It draws them for all places at once, having read the captions themselves, so that training
    stays parallel over the steps (Mihaylova and Martins, 2019, arXiv:1906.07651).
    """
    logits = tf.cast(captioner.teacher_forced(memory, read, packing, Noise()), tf.float32)
    size = logits.shape[-1]
    # END before the caption's end would teach to write behind it.
    logits += tf.constant(banned(size)) + tf.one_hot(END, size) * NEVER
    drawn = tf.random.stateless_categorical(logits, 1, noise.seed(), dtype=tf.int32)
    drawn = tf.reshape(packing.unpack(tf.stop_gradient(drawn)), tf.shape(read))
    # What is drawn at one step is read at the next.
    own = tf.concat([read[:, :, :1], drawn[:, :, :-1]], axis=2)
    replaced = noise.chosen(tf.shape(read), share) & (read != PAD) & (own != PAD)
    return tf.where(replaced, own, read)


def _loss(losses: tf.Tensor, packing: Packing) -> Loss:
    total, tokens = packing.sum(losses), packing.tokens
    return Loss(total, tf.math.divide_no_nan(total, tf.cast(tokens, tf.float32)), tokens)


def policy_gradient(
    captioner: Captioner | Decoder,
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
        captioner: the model; or its decoder alone, for inputs that are encoded already.
        inputs: features or pixels [B, ...].
        samples: int32 [B, K, S], as `trainer.sampling.sample` draws them.
        advantages: float32 [B, K].
        temperature: that the samples were drawn with.
        noise: the batch's dropout; None for none.
    """
    noise = noise or Noise()
    steps = samples.shape[2]
    packing = lay_out(samples != PAD, padded=captioner.configuration.xla)
    read = tf.concat([tf.fill(tf.shape(samples[:, :, :1]), START), samples[:, :, :-1]], axis=2)
    logits = captioner.teacher_forced(captioner.prepare(inputs, noise), read, packing, noise)
    logits = tf.cast(logits, tf.float32) + tf.constant(banned(logits.shape[-1]))
    words = packing.pack(samples)
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(words, logits / temperature)
    weights = packing.pack(tf.repeat(advantages[..., None], steps, axis=2))
    return _loss(surprise * weights, packing)

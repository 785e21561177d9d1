"""Captions drawn at random inside the graph, for self-critical training."""

from typing import Any

import tensorflow as tf

from trainer.search import Steps, any_width, banned
from transforms.text import END, PAD, START


def sample(
    decoder: Steps,
    memory: Any,
    *,
    seed: tf.Tensor,
    samples: int,
    greedy: bool,
    temperature: float,
    max_length: int,
) -> tf.Tensor:
    """Draw captions word by word from the decoder's own distribution.

    The captions of an image share its memory. PAD, START and UNK are never drawn. Unlike those
    of a search, a caption may be empty: it earns no reward, which teaches the captioner not to
    end at once.

    Args:
        decoder: what to sample from.
        memory: what it prepared for B images.
        seed: int32 [2]; the same seed draws the same captions.
        samples: K, captions of an image.
        greedy: whether one more caption follows them, of the likeliest word at each step.
        temperature: logits are divided by it before words are drawn.
        max_length: the most words of a caption that ended; one that did not may have one more.

    Returns:
        Tokens int32 [B, K (+ 1), max_length + 1]: words, END, then PAD; a caption that does not
        end within max_length words may lack its END.
    """
    start = decoder.initial_state(memory)
    batch = tf.shape(tf.nest.flatten(start)[0])[0]
    width, steps = samples + greedy, max_length + 1
    places = tf.range(steps)

    def widen(values: tf.Tensor) -> tf.Tensor:
        return tf.repeat(values[:, None], width, axis=1)

    def running(step: tf.Tensor, last: tf.Tensor, *_: Any) -> tf.Tensor:
        return (step < steps) & tf.reduce_any((last != END) & (last != PAD))

    def advance(
        step: tf.Tensor, last: tf.Tensor, state: Any, tokens: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        logits, state, _ = decoder.step(last, state, memory)
        size = logits.shape[-1]
        logits = tf.cast(logits, tf.float32) + tf.constant(banned(size))
        rows = tf.reshape(logits[:, :samples] / temperature, [-1, size])
        own = tf.random.experimental.stateless_fold_in(seed, step)
        drawn = tf.random.stateless_categorical(rows, 1, own, dtype=tf.int32)
        words = tf.reshape(drawn, [batch, samples])
        if greedy:
            likeliest = tf.argmax(logits[:, samples:], axis=-1, output_type=tf.int32)
            words = tf.concat([words, likeliest], axis=1)
        last = tf.where((last == END) | (last == PAD), PAD, words)
        return step + 1, last, state, tf.where(places == step, last[..., None], tokens)

    begin = (
        tf.constant(0),
        tf.fill([batch, width], START),
        tf.nest.map_structure(widen, start),
        tf.fill([batch, width, steps], PAD),
    )
    shapes = tf.nest.map_structure(any_width, begin)
    return tf.while_loop(running, advance, begin, shape_invariants=shapes)[3]

"""Beam search inside the graph, for any decoder."""

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from trainer.decoders import Step
from transforms.text import END, PAD, START, UNK

NEVER = -1e9  # The log-probability of what must not be chosen.
IMPOSSIBLE = -1e8  # Above any sum with NEVER in it, below any other.


class Steps(Protocol):
    """What the search needs of a decoder."""

    def initial_state(self, memory: Any) -> Any:
        """Return nested tensors [B, ...]."""

    def step(self, tokens: tf.Tensor, state: Any, memory: Any) -> Step:
        """Take int32 [B, K] and nested tensors [B, K, ...]; return what follows."""


def beam_search(
    decoder: Steps,
    memory: Any,
    *,
    beam_width: int | tf.Tensor,
    length_penalty: float | tf.Tensor,
    max_length: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the most likely captions.

    A hypothesis that ends is set aside and ranked by its length-normalised score among those
    that ended, never against unfinished ones. An image is done when K hypotheses have ended and
    no unfinished one has by then a better score than the worst of these; what is found for it
    does not depend on the others in its batch. Where fewer than K ended within max_length
    words, the best unfinished ones follow behind. A caption has at least one word: END is never
    its first token. A beam of 1 is greedy search.

    Args:
        decoder: what to search with.
        memory: what it prepared for B images.
        beam_width: K, at least 1, a scalar.
        length_penalty: the score is sum(log p) / length ** length_penalty, END counted.
        max_length: the most words of a caption that ended; an unfinished one has one more.

    Returns:
        Tokens int32 [B, K, max_length + 1], best first, each caption followed by END and PAD;
        scores float32 [B, K].
    """
    width = tf.convert_to_tensor(beam_width, tf.int32)
    penalty = tf.convert_to_tensor(length_penalty, tf.float32)
    start = decoder.initial_state(memory)
    batch = tf.shape(tf.nest.flatten(start)[0])[0]
    steps = max_length + 1
    places = tf.range(steps)

    def widen(values: tf.Tensor) -> tf.Tensor:
        return tf.repeat(values[:, None], width, axis=1)

    def take(values: Any, parents: tf.Tensor) -> Any:
        return tf.nest.map_structure(lambda x: tf.gather(x, parents, batch_dims=1), values)

    def best(scores: tf.Tensor, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        scores, chosen = tf.math.top_k(scores, width)
        return scores, take(tokens, chosen)

    def running(step: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return (step < steps) & ~tf.reduce_all(done)

    def advance(
        step: tf.Tensor,
        done: tf.Tensor,
        state: Any,
        last: tf.Tensor,
        sums: tf.Tensor,
        tokens: tf.Tensor,
        ended: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[Any, ...]:
        logits, state, _ = decoder.step(last, state, memory)
        size = logits.shape[-1]
        words = tf.nn.log_softmax(logits) + tf.constant(banned(size))
        words += tf.where((step == 0) & (tf.range(size) == END), NEVER, 0.0)
        candidates = tf.reshape(sums[..., None] + words, [batch, width * size])
        # Twice the width: even when all of the best end, the beam is full again.
        sums, chosen = tf.math.top_k(candidates, 2 * width)
        parents, last = chosen // size, chosen % size
        tokens = tf.where(places == step, last[..., None], take(tokens, parents))
        ends = last == END
        # Only the best K may end: otherwise a beam of 1 would not be greedy.
        now = ends & (sums > IMPOSSIBLE) & (tf.range(2 * width) < width) & ~done[:, None]
        scores = tf.where(now, sums / _length(step + 1) ** penalty, NEVER)
        ended = best(tf.concat([ended[0], scores], axis=1), tf.concat([ended[1], tokens], axis=1))
        sums, kept = tf.math.top_k(tf.where(ends, NEVER, sums), width)
        state, last, tokens = take((take(state, parents), last, tokens), kept)
        # `ended` holds NEVER until K have ended.
        done |= ended[0][:, -1] >= sums[:, 0] / _length(step + 1) ** penalty
        return step + 1, done, state, last, sums, tokens, ended

    blank = tf.fill([batch, width, steps], PAD)
    nothing = tf.fill([batch, width], NEVER)
    first = tf.where(tf.range(width) == 0, 0.0, nothing)
    begin = (
        tf.constant(0),
        tf.fill([batch], False),
        tf.nest.map_structure(widen, start),
        tf.fill([batch, width], START),
        first,
        blank,
        (nothing, blank),
    )
    _, _, _, _, sums, tokens, ended = tf.while_loop(
        running, advance, begin, shape_invariants=tf.nest.map_structure(any_width, begin)
    )
    partial = sums / _length(steps) ** penalty
    ranked = tf.concat([ended[0], partial + IMPOSSIBLE], axis=1)
    _, chosen = tf.math.top_k(ranked, width)
    scores = take(tf.concat([ended[0], partial], axis=1), chosen)
    return take(tf.concat([ended[1], tokens], axis=1), chosen), scores


def banned(size: int) -> np.ndarray:
    """Return what is added to logits so that PAD, START and UNK are never chosen, float32 [V]."""
    return np.where(np.isin(np.arange(size), [PAD, START, UNK]), np.float32(NEVER), np.float32(0))


def _length(step: int | tf.Tensor) -> tf.Tensor:
    return tf.cast(step, tf.float32)


def any_width(values: tf.Tensor) -> tf.TensorShape:
    """Leave the batch and the width open, which are tensors in the loop, and what grows in it."""
    inner = [size or None for size in values.shape[2:].as_list()]  # What grows begins with 0.
    return tf.TensorShape([None] * min(values.shape.rank, 2) + inner)

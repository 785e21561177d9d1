"""Nucleus sampling: captions drawn by chance, without the unlikely words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.search.lattice import ROOT, Lattice
from transforms.search.options import SearchOptions
from transforms.search.steps import Floats, Integers, Steps
from transforms.search.table import Table
from transforms.text import END, START

# As many words nearly always hold the nucleus; to sort all of them takes much longer.
FEW = 256


def sample(
    steps: Steps,
    features: Any,
    seeds: Sequence[int],
    options: SearchOptions,
    max_length: int,
    attend: bool,
) -> tuple[Lattice, Integers, Integers]:
    """Draw captions (Holtzman et al., 2020, arXiv:1904.09751); see `transforms.search.search`.

    Those that begin alike are one to the decoder until they part.

    Returns:
        Their words; the last of each, [B, samples]; and whether it ended (0) or not (1), likewise.
    """
    images, beams = len(seeds), options.samples
    chances = np.stack([_chances(options.seed, s, (max_length + 1, beams)) for s in seeds])
    rules, lattice = Table(options, 1), Lattice(attend)
    memory, state = steps.start(features)
    alive = np.arange(images)
    tokens = np.full((images, 1), START, np.int32)
    # Which of the decoder's hypotheses each continues.
    rows: Integers = np.zeros((images, beams), np.int64)
    nodes = np.full((images, beams), ROOT)
    ended = np.zeros((images, beams), bool)
    final = np.full((images, beams), ROOT)
    over = np.zeros((images, beams), bool)
    for step in range(max_length + 1):
        taken = steps.step(tokens, state, memory)
        lattice.look(taken.attention)
        size = taken.log_probs.shape[2]
        table = rules.fill(taken.log_probs)[..., :size]
        words = draw(table, rows, chances[alive, step], options.top_p, options.temperature)
        every = np.arange(len(alive))[:, None]
        own = taken.log_probs[every, rows, words]
        numbers = lattice.add(words, own, nodes, every * tokens.shape[1] + rows)
        nodes = np.where(ended, nodes, numbers)
        ended = ended | (words == END)
        final[alive], over[alive] = nodes, ended
        stay = np.flatnonzero(~ended.all(axis=1))
        if not len(stay) or step == max_length:
            break
        if len(stay) < len(alive):
            memory = steps.keep(memory, stay)
            alive, nodes, ended = alive[stay], nodes[stay], ended[stay]
        parents, words, rows = _parted(rows[stay], words[stay], ended, size)
        state = steps.reorder(taken.state, stay, parents)
        tokens = words.astype(np.int32)
        rules.advance(stay, parents, tokens)
    return lattice, final, np.where(over, 0, 1)


def draw(
    table: Floats,
    rows: Integers,
    chances: npt.NDArray[np.float64],
    top_p: float,
    temperature: float,
) -> Integers:
    """Draw words.

    Args:
        table: float32 [B, K, V], log-probabilities, -inf for what is forbidden.
        rows: int64 [B, S], which row of the table each word is drawn from.
        chances: float64 [B, S], from 0 to 1: which share of the nucleus, in the order of the ids,
            lies before the word.
        top_p: the nucleus is the smallest set of words, likeliest first, with this share.
        temperature: divides log-probabilities.

    Returns:
        Words, int64 [B, S].
    """
    odds = np.exp((table - table.max(axis=2, keepdims=True)) / np.float32(temperature))
    if top_p < 1:
        share = top_p * odds.sum(axis=2, dtype=np.float64, keepdims=True)
        ranked = _likeliest(odds, min(FEW, odds.shape[2]))
        if (ranked.sum(axis=2, dtype=np.float64, keepdims=True) < share).any():
            ranked = _likeliest(odds, odds.shape[2])
        shares = np.cumsum(ranked, axis=2, dtype=np.float64)
        size = np.count_nonzero(shares < share, axis=2, keepdims=True)
        least = np.take_along_axis(ranked, np.minimum(size, ranked.shape[2] - 1), axis=2)
        odds[odds < least] = 0
    before = np.cumsum(odds, axis=2, dtype=np.float64)
    every = np.arange(len(rows))[:, None]
    wanted = chances * before[every, rows, -1]
    # How many of the row are not above it, by bisection.
    low, high = np.zeros_like(rows), np.full_like(rows, before.shape[2])
    for _ in range(before.shape[2].bit_length()):
        middle = (low + high) // 2
        above = before[every, rows, np.minimum(middle, before.shape[2] - 1)] > wanted
        low = np.where(above | (low == high), low, middle + 1)
        high = np.where(above, middle, high)
    return low


def _parted(
    rows: Integers, words: Integers, ended: npt.NDArray[np.bool_], size: int
) -> tuple[Integers, Integers, Integers]:
    """Find the different beginnings of the captions that go on.

    Args:
        rows: [B, S], the beginnings so far, by number.
        words: [B, S], the words that follow.
        ended: [B, S], captions that no longer matter; not all of an image.
        size: words that there are.

    Returns:
        For each new beginning the number of the old one and its word, [B, K]; and each caption's
        new number, [B, S]. Images with fewer have their first one again.
    """
    every = np.arange(len(rows))[:, None]
    codes = np.where(ended, -1, rows * size + words)
    order = np.argsort(codes, axis=1, kind="stable")
    codes = codes[every, order]
    new = np.diff(codes, axis=1, prepend=-1) > 0
    numbers = np.maximum(np.cumsum(new, axis=1) - 1, 0)
    heads = np.repeat(order[every, new.argmax(axis=1)[:, None]], numbers.max() + 1, axis=1)
    images, places = np.nonzero(new)
    heads[images, numbers[images, places]] = order[images, places]
    after = np.empty_like(rows)
    after[every, order] = numbers
    return rows[every, heads], words[every, heads], after


def _likeliest(odds: Floats, count: int) -> Floats:
    """Return the `count` largest of each row, the largest first."""
    kept = np.partition(odds, odds.shape[2] - count, axis=2)[..., -count:]
    return -np.sort(-kept, axis=2)


def _chances(seed: int, image: int, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Draw an image's numbers, which depend on nothing but the two seeds; a row for each step."""
    return np.random.Generator(np.random.Philox([seed, image])).random(shape)

"""Nucleus sampling: captions drawn by chance, without the unlikely words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.search.lattice import ROOT, Lattice
from transforms.search.options import Hypothesis, SearchOptions
from transforms.search.ranking import rank
from transforms.search.steps import Floats, Integers, Steps
from transforms.search.table import Table
from transforms.text import END, START

# As many words nearly always hold the nucleus; to sort all of them takes much longer.
FEW = 256


def nucleus_search(
    steps: Steps,
    features: Any,
    seeds: Sequence[int],
    options: SearchOptions,
    max_length: int,
    attend: bool,
) -> list[list[Hypothesis]]:
    """Draw captions (Holtzman et al., 2020, arXiv:1904.09751); see `transforms.search.search`."""
    images, beams = len(seeds), options.samples
    chances = np.stack([_chances(options.seed, s, (max_length + 1, beams)) for s in seeds])
    rules, lattice = Table(options, 1), Lattice(attend)
    memory, state = steps.start(features)
    alive = np.arange(images)
    tokens = np.full((images, 1), START, np.int32)
    nodes = np.full((images, 1), ROOT)
    ended = np.zeros((images, beams), bool)
    final = np.full((images, beams), ROOT)
    over = np.zeros((images, beams), bool)
    for step in range(max_length + 1):
        taken = steps.step(tokens, state, memory)
        lattice.look(taken.attention)
        size = taken.log_probs.shape[2]
        table = rules.fill(taken.log_probs)[..., :size]
        words = draw(table, chances[alive, step], options.top_p, options.temperature)
        rows = np.broadcast_to(np.arange(beams) if tokens.shape[1] > 1 else 0, words.shape)
        every = np.arange(len(alive))[:, None]
        own = taken.log_probs[every, rows, words]
        before = nodes[every, rows]
        numbers = lattice.add(words, own, before, every * tokens.shape[1] + rows)
        nodes = np.where(ended, before, numbers)
        ended = ended | (words == END)
        final[alive], over[alive] = nodes, ended
        stay = np.flatnonzero(~ended.all(axis=1))
        if not len(stay) or step == max_length:
            break
        if len(stay) < len(alive):
            memory = steps.keep(memory, stay)
            alive, nodes, ended = alive[stay], nodes[stay], ended[stay]
        state = steps.reorder(taken.state, stay, rows[stay])
        tokens = words[stay].astype(np.int32)
        rules.advance(stay, rows[stay], tokens)
    return rank(lattice, final, np.where(over, 0, 1), options)


def draw(
    table: Floats, chances: npt.NDArray[np.float64], top_p: float, temperature: float
) -> Integers:
    """Draw a word for each row.

    Args:
        table: float32 [B, K or 1, V], log-probabilities, -inf for what is forbidden.
        chances: float64 [B, K], from 0 to 1: which share of the nucleus, in the order of the ids,
            lies before the word.
        top_p: the nucleus is the smallest set of words, likeliest first, with this share.
        temperature: divides log-probabilities.

    Returns:
        Words, int64 [B, K].
    """
    odds = np.exp((table - table.max(axis=2, keepdims=True)) / np.float32(temperature))
    share = top_p * odds.sum(axis=2, dtype=np.float64, keepdims=True)
    ranked = _likeliest(odds, min(FEW, odds.shape[2]))
    if (ranked.sum(axis=2, dtype=np.float64, keepdims=True) < share).any():
        ranked = _likeliest(odds, odds.shape[2])
    shares = np.cumsum(ranked, axis=2, dtype=np.float64)
    size = np.count_nonzero(shares < share, axis=2, keepdims=True)
    least = np.take_along_axis(ranked, np.minimum(size, ranked.shape[2] - 1), axis=2)
    before = np.cumsum(np.where(odds < least, np.float32(0), odds), axis=2, dtype=np.float64)
    return np.count_nonzero(before <= (chances * before[..., -1])[..., None], axis=2)


def _likeliest(odds: Floats, count: int) -> Floats:
    """Return the `count` largest of each row, the largest first."""
    kept = np.partition(odds, odds.shape[2] - count, axis=2)[..., -count:]
    return -np.sort(-kept, axis=2)


def _chances(seed: int, image: int, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Draw an image's numbers, which depend on nothing but the two seeds; a row for each step."""
    return np.random.Generator(np.random.Philox([seed, image])).random(shape)

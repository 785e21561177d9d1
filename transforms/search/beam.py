"""Beam search in numpy: plain, in groups, and with required words.

It keeps lanes of hypotheses for each image. Plain beam search has one. The way candidates come
into a lane is the `Chooser`'s part; what ends, what goes on and when an image is done is the same.
"""

from typing import Any, Protocol

import numpy as np

from transforms.search.groups import Groups
from transforms.search.lattice import ROOT, Lattice
from transforms.search.options import Hypothesis, SearchOptions
from transforms.search.ranking import rank
from transforms.search.required import Required
from transforms.search.steps import Floats, Integers, Steps
from transforms.search.table import Table
from transforms.text import END, START

# Images that are done leave the batch when they are this share of it: leaving costs a copy of
# what the others remember.
LEAVE = 0.25


class Chooser(Protocol):
    """Fills the lanes.

    Attributes:
        lanes: how many there are.
        width: hypotheses of each.
    """

    lanes: int
    width: int

    def begin(self, table: Floats, sums: Floats) -> None:
        """Take the table of a step, float32 [B, K, W], and the sums of its rows [B, K]."""

    def choose(self, lane: int, count: int) -> tuple[Floats, Integers, Integers]:
        """Return sums, rows and words of the lane's best candidates, [B, count], best first."""

    def kept(self, sums: Floats, words: Integers) -> None:
        """Note what goes on in the lane that was chosen last, [B, width]."""

    def advance(self, images: Integers, parents: Integers, words: Integers) -> None:
        """Note the words that go on in all lanes, [B, K], of the images that stay."""

    def done(self, ended: Floats, running: Floats) -> Any:
        """Return bool [B, lanes]: the lanes that need no further step.

        Args:
            ended: float32 [B, lanes, width], scores of what ended, best first.
            running: float32 [B, lanes, width], scores that what goes on has by now.
        """


def beam_search(
    steps: Steps, features: Any, images: int, options: SearchOptions, max_length: int, attend: bool
) -> list[list[Hypothesis]]:
    """Find captions as `trainer.search.beam_search` does; see `transforms.search.search`."""
    chooser: Chooser = Required(options) if options.required else Groups(options)
    lanes, width = chooser.lanes, chooser.width
    rules = Table(options, 2 * width)
    lattice = Lattice(attend)
    memory, state = steps.start(features)
    alive = np.arange(images)
    tokens = np.full((images, 1), START, np.int32)
    sums = np.zeros((images, 1), np.float32)
    nodes = np.full((images, 1), ROOT)
    ended = np.full((images, lanes, width), -np.inf, np.float32)
    ends = np.full((images, lanes, width), ROOT)
    final = np.full((images, 2, lanes * width), ROOT)  # What ended, and what did not.
    for step in range(max_length + 1):
        taken = steps.step(tokens, state, memory)
        lattice.look(taken.attention)
        length = np.float32(step + 1) ** np.float32(options.length_penalty)
        every, beams = np.arange(len(alive))[:, None], tokens.shape[1]
        chooser.begin(rules.fill(taken.log_probs), sums)
        chosen = []
        for lane in range(lanes):
            # Twice the width: even when all of the best end, the lane is full again.
            scores, rows, words = chooser.choose(lane, 2 * width)
            words = np.minimum(words, taken.log_probs.shape[2] - 1)
            own = taken.log_probs[every, rows, words]
            numbers = lattice.add(words, own, nodes[every, rows], every * beams + rows)
            ending = words == END
            # Only the best may end: otherwise a beam of 1 would not be greedy.
            now = np.where(ending, scores, -np.inf)[:, :width]
            if (now > -np.inf).any():
                both = np.concatenate([ended[:, lane], now / length], axis=1)
                order = np.argsort(-both, axis=1, kind="stable")[:, :width]
                ended[:, lane] = both[every, order]
                both = np.concatenate([ends[:, lane], numbers[:, :width]], axis=1)
                ends[:, lane] = both[every, order]
            order = np.argsort(ending, axis=1, kind="stable")[:, :width]
            scores = np.where(ending, -np.inf, scores)[every, order].astype(np.float32)
            words = words[every, order]
            chooser.kept(scores, words)
            chosen.append((scores, rows[every, order], words, numbers[every, order]))
        sums, parents, words, nodes = (
            each[0] if lanes == 1 else np.concatenate(each, axis=1)
            for each in zip(*chosen, strict=True)
        )
        closed = chooser.done(ended, sums.reshape(ended.shape) / length)
        sums[np.repeat(closed, width, axis=1)] = -np.inf
        done = closed.all(axis=1)
        stay = np.arange(len(alive))
        if done.all() or step == max_length:
            break
        if np.count_nonzero(done) >= LEAVE * len(done):
            stay = np.flatnonzero(~done)
            final[alive] = _found(ended, ends, sums, nodes)
            memory = steps.keep(memory, stay)
            alive, ended, ends = alive[stay], ended[stay], ends[stay]
            sums, parents, words, nodes = sums[stay], parents[stay], words[stay], nodes[stay]
        state = steps.reorder(taken.state, stay, parents)
        tokens = words.astype(np.int32)
        rules.advance(stay, parents, tokens)
        chooser.advance(stay, parents, tokens)
    final[alive] = _found(ended, ends, sums, nodes)
    # Of required words the last lane has them all.
    lacking = np.repeat(np.arange(lanes) < lanes - 1, width) & bool(options.required)
    blocks = 2 * lacking + np.arange(2)[:, None]
    return rank(
        lattice,
        final.reshape(images, -1),
        np.where(final == ROOT, -1, blocks).reshape(images, -1),
        options,
    )


def _found(ended: Floats, ends: Integers, sums: Floats, nodes: Integers) -> Integers:
    """Return the last words of what ended and of what did not, ROOT for none, [B, 2, K]."""
    images = len(ended)
    finished = np.where(ended > -np.inf, ends, ROOT).reshape(images, -1)
    return np.stack([finished, np.where(sums > -np.inf, nodes, ROOT)], axis=1)

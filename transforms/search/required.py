"""Words and phrases that captions must have: grid beam search."""

from typing import Any

import numpy as np

from transforms.search.options import Phrase, SearchOptions
from transforms.search.steps import Floats, Integers
from transforms.search.table import best


class Required:
    """Chooses for grid beam search (Hokamp and Liu, 2017, arXiv:1704.07138).

    There is a lane for each number of required words that a hypothesis may have, so that those
    which already took an unlikely word need not hold their own against those that did not.
    Every hypothesis may continue with its best words or with any required one. The caption comes
    from the last lane, which has them all.
    """

    def __init__(self, options: SearchOptions) -> None:
        self.width = options.width
        self.lanes = 1 + sum(map(len, options.required))
        self._phrases = options.required
        self._words = np.unique(np.concatenate([np.array(p) for p in options.required]))
        self._follow = [_automaton(phrase, self._words) for phrase in options.required]
        self._progress: Integers | None = None

    def begin(self, table: Floats, sums: Floats) -> None:
        """See `transforms.search.beam.Chooser`."""
        images, beams, size = table.shape
        if self._progress is None:
            self._progress = np.zeros((images, beams, len(self._phrases)), np.int64)
        forced = table[..., self._words] + sums[..., None]
        table = table.copy()
        table[..., self._words] = -np.inf
        # Of the other words, all of which leave it in one lane, a row needs no more.
        flat = table.reshape(-1, 1, size)
        count = min(2 * self.width, size)
        scores, _, words = best(flat, sums.reshape(-1, 1), count)
        self._scores = np.concatenate([scores.reshape(images, beams, -1), forced], axis=2)
        given = np.broadcast_to(self._words, forced.shape)
        self._choices = np.concatenate([words.reshape(images, beams, -1), given], axis=2)
        after = self._after(self._progress[:, :, None], self._choices)
        self._scores = self._scores.reshape(images, -1)
        self._choices = self._choices.reshape(images, -1)
        self._each = count + len(self._words)
        self._lane = after.sum(axis=-1).reshape(images, -1)

    def choose(self, lane: int, count: int) -> tuple[Floats, Integers, Integers]:
        """See `transforms.search.beam.Chooser`."""
        scores = np.where(self._lane == lane, self._scores, np.float32(-np.inf))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        every = np.arange(len(order))[:, None]
        return scores[every, order], order // self._each, self._choices[every, order]

    def kept(self, sums: Floats, words: Integers) -> None:
        """See `transforms.search.beam.Chooser`."""

    def advance(self, images: Integers, parents: Integers, words: Integers) -> None:
        """See `transforms.search.beam.Chooser`."""
        assert self._progress is not None
        self._progress = self._after(self._progress[images[:, None], parents], words)

    def done(self, ended: Floats, running: Floats) -> Any:
        """See `transforms.search.beam.Chooser`.

        All lanes are done at once: when as many captions as are wanted ended with all words, and
        nothing that goes on has by now a better score than the worst of them.
        """
        done = ended[:, -1, -1] >= running.max(axis=(1, 2))
        return np.repeat(done[:, None], self.lanes, axis=1)

    def _after(self, progress: Integers, words: Integers) -> Integers:
        """Return how many words of each phrase there are after another word, [..., phrases]."""
        place = np.searchsorted(self._words, words)
        place = np.minimum(place, len(self._words) - 1)
        place = np.where(self._words[place] == words, place, len(self._words))
        after = [f[progress[..., n], place] for n, f in enumerate(self._follow)]
        return np.stack(after, axis=-1)


def _automaton(phrase: Phrase, words: Integers) -> Integers:
    """Return how many words of a phrase a text ends in after one more (Knuth et al., 1977).

    Args:
        phrase: the phrase; once it has occurred it stays so.
        words: [R], ids.

    Returns:
        int64 [1 + words of the phrase, R + 1]; by the number so far and the next word's place
        in `words`. The last column is for any other word.
    """
    states = np.zeros((len(phrase) + 1, len(words) + 1), np.int64)
    states[-1] = len(phrase)
    for state in range(len(phrase)):
        for place, word in enumerate(words):
            text = (*phrase[:state], int(word))
            states[state, place] = next(
                n for n in range(len(text), -1, -1) if text[len(text) - n :] == phrase[:n]
            )
    return states

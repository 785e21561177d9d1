"""The words that a search has tried: each knows the one before it, so that none is ever copied."""

import numpy as np
import numpy.typing as npt

from transforms.search.steps import Floats, Integers

ROOT = -1  # What precedes the first word.


class Lattice:
    """A tree of words, grown step by step; a hypothesis is the number of its last word."""

    def __init__(self, attend: bool) -> None:
        """Begin with nothing.

        Args:
            attend: whether to keep where the decoder looked.
        """
        self._attend = attend
        self._size = 0
        self._rows = 0
        self._words: list[Integers] = []
        self._scores: list[Floats] = []
        self._parents: list[Integers] = []
        self._looks: list[Integers] = []
        self._maps: list[Floats] = []

    def look(self, attention: Floats | None) -> None:
        """Note the attention of the step whose words come next, float32 [B, K, P]."""
        if self._maps:
            self._rows += len(self._maps[-1])
        if attention is None:
            self._attend = False
        elif self._attend:
            self._maps.append(attention.reshape(-1, attention.shape[-1]))

    def add(
        self, words: Integers, scores: Floats, parents: Integers, rows: Integers
    ) -> npt.NDArray[np.int64]:
        """Add words, each array of one shape.

        Args:
            words: ids.
            scores: their own log-probabilities.
            parents: numbers of the words before, or ROOT.
            rows: of the step, b * K + k, that each came from.

        Returns:
            Their numbers, int64.
        """
        numbers = np.arange(self._size, self._size + words.size).reshape(words.shape)
        self._size += words.size
        self._words.append(words.ravel())
        self._scores.append(scores.ravel())
        self._parents.append(parents.ravel())
        if self._attend:
            self._looks.append(rows.ravel() + self._rows)
        return numbers

    def spell(self, ends: Integers) -> tuple[Integers, Floats, Integers, Floats | None]:
        """Write hypotheses out.

        Args:
            ends: [N], the numbers of their last words.

        Returns:
            Ids [N, T] and log-probabilities float32 [N, T], both flush with the right;
            numbers of words [N]; and the attention float32 [N, T, P], or None.
        """
        words, parents = np.concatenate(self._words), np.concatenate(self._parents)
        columns = []
        here = ends
        while (here != ROOT).any():
            columns.append(here)
            here = np.where(here == ROOT, ROOT, parents[here])
        path = np.stack(columns[::-1], axis=1)
        there = path != ROOT
        attention = None
        if self._attend and self._maps:
            attention = np.concatenate(self._maps)[np.concatenate(self._looks)[path]]
        scores = np.concatenate(self._scores)[path]
        return words[path], scores, there.sum(axis=1), attention

"""One beam, or groups of beams that avoid each other's words."""

from typing import Any

import numpy as np

from transforms.search.options import SearchOptions
from transforms.search.steps import Floats, Integers
from transforms.search.table import best


class Groups:
    """Chooses for plain and for diverse beam search.

    In diverse beam search (Vijayakumar et al., 2018, arXiv:1610.02424) each group is a beam of
    its own, and a word costs `diversity` for every hypothesis of an earlier group that has it at
    the same place (the Hamming diversity). What it costs guides the search only: a caption's
    score is that of its words.
    """

    def __init__(self, options: SearchOptions) -> None:
        self.lanes = options.groups if options.method == "diverse" else 1
        self.width = options.width // self.lanes
        self._diversity = np.float32(options.diversity)
        self._taken: list[tuple[Floats, Integers]] = []

    def begin(self, table: Floats, sums: Floats) -> None:
        """See `transforms.search.beam.Chooser`."""
        self._table, self._sums = table, sums
        self._taken = []

    def choose(self, lane: int, count: int) -> tuple[Floats, Integers, Integers]:
        """See `transforms.search.beam.Chooser`."""
        if self.lanes == 1:
            return best(self._table, self._sums, count)
        # All groups begin with the one row that there is.
        first = lane * self.width if self._table.shape[1] > 1 else 0
        mine = slice(first, first + self.width)
        table = self._table[:, mine].copy()
        every = np.arange(len(table))
        for sums, words in self._taken:
            costs = np.where(sums > -np.inf, self._diversity, np.float32(0))
            for word, cost in zip(words.T, costs.T, strict=True):
                table[every, :, word] -= cost[:, None]
        scores, rows, words = best(table, self._sums[:, mine], count)
        return scores, rows + first, words

    def kept(self, sums: Floats, words: Integers) -> None:
        """See `transforms.search.beam.Chooser`."""
        self._taken.append((sums, words))

    def advance(self, images: Integers, parents: Integers, words: Integers) -> None:
        """See `transforms.search.beam.Chooser`."""

    def done(self, ended: Floats, running: Floats) -> Any:
        """See `transforms.search.beam.Chooser`; a lane is done as an image of plain search is."""
        return ended[..., -1] >= running[..., 0]

"""From the words that a search tried to the captions that it returns."""

import numpy as np

from transforms.search.lattice import Lattice
from transforms.search.options import Hypothesis, SearchOptions
from transforms.search.steps import Integers
from transforms.text import END


def rank(
    lattice: Lattice, nodes: Integers, blocks: Integers, options: SearchOptions
) -> list[list[Hypothesis]]:
    """Write out the best hypotheses.

    Args:
        lattice: of the words.
        nodes: [B, N], the last word of each hypothesis.
        blocks: [B, N]. 0: it ended; 1: it did not; 2 and 3: the same, and it lacks required
            words; -1: there is none.
        options: of the search.

    Returns:
        For each image its hypotheses by block, then by score, and none twice.
    """
    words, scores, counts, attention = lattice.spell(nodes.ravel())
    longest = words.shape[1]
    there = np.arange(longest) >= longest - counts[:, None]
    sums = np.where(there, scores, 0).sum(axis=1, dtype=np.float64)
    totals = sums / np.maximum(counts, 1) ** options.length_penalty
    order = np.lexsort((-totals.reshape(nodes.shape), blocks), axis=1)
    results = []
    for image, places in enumerate(order):
        found: dict[tuple[int, ...], Hypothesis] = {}
        for place in places:
            block, row = blocks[image, place], image * nodes.shape[1] + place
            if block < 0 or len(found) == options.width:
                continue
            first = longest - counts[row]
            last = longest - (words[row, -1] == END)
            tokens = tuple(words[row, first:last].tolist())
            if tokens in found:
                continue
            found[tokens] = Hypothesis(
                tokens,
                float(totals[row]),
                tuple(scores[row, first:last].tolist()),
                None if attention is None else attention[row, first:last],
                satisfied=bool(block < 2),
            )
        results.append(list(found.values()))
    return results

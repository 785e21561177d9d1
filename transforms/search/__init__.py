"""Searching for captions with a decoder that is run from outside, whatever runs it.

Letters: B images, K hypotheses of each, V words, P positions of the grid.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transforms.search.options import (
    CONSENSUS,
    METHODS,
    USED_BY,
    Hypothesis,
    SearchOptions,
    conflict,
)

if TYPE_CHECKING:
    from transforms.ngrams import Frequencies
    from transforms.search.steps import Steps

__all__ = [
    "CONSENSUS",
    "METHODS",
    "USED_BY",
    "Hypothesis",
    "SearchOptions",
    "conflict",
    "search",
    "seed_of",
]

# Captions that a consensus draws at once: for each there is a table of the words.
DRAWN = 512


def seed_of(sha256: str) -> int:
    """Return the seed of an image, of the hexadecimal sha256 of its bytes."""
    return int(sha256[:16], 16)


def search(
    steps: Sequence["Steps"],
    features: Sequence[Any],
    options: SearchOptions,
    max_length: int,
    *,
    seeds: Sequence[int] | None = None,
    frequencies: "Frequencies | None" = None,
    attend: bool = False,
) -> list[list[Hypothesis]]:
    """Search for captions.

    A hypothesis that ends is set aside and ranked by its score among those that ended, never
    against unfinished ones. An image is done when `beam_width` hypotheses have ended and no
    unfinished one has by then a better score than the worst of these. Where fewer ended within
    max_length words, the best unfinished ones follow behind; those that lack required words
    (`Hypothesis.satisfied`) come last of all. A caption has at least one word, unless all words
    are banned: END is never its first token. Images that are done leave the batch. What is found
    for an image does not depend on the others.

    Args:
        steps: the captioner, or several that share one vocabulary and decide by the mean of
            their probabilities.
        features: for each of them the features of B images, [B, ...].
        options: how to search.
        max_length: the most words of a caption that ended; an unfinished one has one more.
        seeds: B whole numbers from 0 on, which with the seed of the options decide what is drawn
            for an image; needed where the method draws.
        frequencies: of n-grams; needed for a consensus.
        attend: whether hypotheses are to tell where the decoder looked.

    Returns:
        For each image its hypotheses, best first, none twice: at least one, at most
        `options.width`. Best is the highest score; in a consensus the highest agreement.

    Raises:
        UsageError: options that cannot be.
    """
    from transforms.search.beam import beam_search
    from transforms.search.consensus import consensus_search
    from transforms.search.nucleus import sample
    from transforms.search.ranking import rank
    from transforms.search.steps import Ensemble

    options.check()
    images = len(features[0])
    if not images:
        return []
    alone = len(steps) == 1
    decoder = steps[0] if alone else Ensemble(steps)
    seen = features[0] if alone else features
    if options.method not in ("nucleus", "consensus"):
        return beam_search(decoder, seen, images, options, max_length, attend)
    if seeds is None or len(seeds) != images:
        raise ValueError(f"the search {options.method} needs a seed for each image")
    if options.method == "nucleus":
        return rank(*sample(decoder, seen, seeds, options, max_length, attend), options)
    if frequencies is None:
        raise ValueError("a consensus needs the frequencies of n-grams")
    found = []
    some = max(1, DRAWN // options.samples)
    for start in range(0, images, some):
        part = slice(start, start + some)
        seen = features[0][part] if alone else [each[part] for each in features]
        found += consensus_search(
            decoder, seen, seeds[part], options, max_length, attend, frequencies
        )
    return found

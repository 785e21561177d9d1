"""Consensus search: of the beam's captions the one that says what the captioner mostly says."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from transforms.ngrams import Frequencies
from transforms.search.agreement import agreement
from transforms.search.beam import beam_search
from transforms.search.nucleus import sample
from transforms.search.options import Hypothesis, SearchOptions
from transforms.search.steps import Steps
from transforms.text import END


def consensus_search(
    steps: Steps,
    features: Any,
    seeds: Sequence[int],
    options: SearchOptions,
    max_length: int,
    attend: bool,
    frequencies: Frequencies,
) -> list[list[Hypothesis]]:
    """Rank a beam's captions by their mean CIDEr-D against captions that are drawn.

    It is minimum Bayes risk decoding (Kumar and Byrne, "Minimum Bayes-Risk Decoding for
    Statistical Machine Translation", NAACL 2004): what the captioner itself draws tells how each
    caption would be scored (Devlin et al., 2015, arXiv:1505.04467, ask the captions of similar
    pictures). What did not end stays behind what did; among equals the beam's order holds. END is
    no word here, as it is none to CIDEr-D. See `transforms.search.search`.
    """
    beam = dataclasses.replace(options, method="beam")
    found = beam_search(steps, features, len(seeds), beam, max_length, attend)
    lattice, last, _ = sample(
        steps, features, seeds, dataclasses.replace(options, top_p=1.0), max_length, False
    )
    words, _, counts, _ = lattice.spell(last.ravel())
    ended = words[:, -1] == END
    drawn = [
        tuple(row[len(row) - size : len(row) - end])
        for row, size, end in zip(words.tolist(), counts.tolist(), ended.tolist(), strict=True)
    ]
    each = options.samples
    evidence = [Counter(drawn[start : start + each]) for start in range(0, len(drawn), each)]
    scores = agreement([[h.tokens for h in some] for some in found], evidence, frequencies)
    ranked = []
    for some, agreed in zip(found, scores, strict=True):
        unfinished = np.array([len(h.tokens) > max_length for h in some])
        order = np.lexsort((-agreed, unfinished))
        ranked.append([some[place] for place in order])
    return ranked

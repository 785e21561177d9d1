"""How well captions agree with others of the same image: their mean CIDEr-D.

The definition is that of `transforms.metrics.cider` (Vedantam et al., CVPR 2015), with document
frequencies that are given. Letters: C captions, E entries (one distinct n-gram of one caption).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.metrics.cider import SIGMA
from transforms.ngrams import BASE, ORDERS, Frequencies

Caption = tuple[int, ...]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Entries(NamedTuple):
    """The distinct n-grams of one length of all captions, caption by caption."""

    caption: Ints  # [E] position of the caption
    gram: Ints  # [E] which n-gram
    weight: Floats  # [E] its occurrences times its inverse document frequency
    unit: Floats  # [E] the weight, in a caption whose weights are one long


def agreement(
    candidates: Sequence[Sequence[Caption]],
    evidence: Sequence[Mapping[Caption, int]],
    frequencies: Frequencies,
) -> list[Floats]:
    """Score the candidates of some images, each image by itself.

    Args:
        candidates: captions of each image, as ids of words.
        evidence: captions of the same images with their weights, such as how often each was drawn.
        frequencies: of n-grams.

    Returns:
        For each image the weighted mean of its candidates' CIDEr-D against each caption of the
        evidence, float64, from 0 to 10.
    """
    captions = [c for both in zip(candidates, evidence, strict=True) for each in both for c in each]
    sizes = np.array([len(caption) for caption in captions], np.int64)
    numbers = [len(each) for both in zip(candidates, evidence, strict=True) for each in both]
    image = np.repeat(np.repeat(np.arange(len(evidence)), 2), numbers)
    judged = np.repeat(np.tile([True, False], len(evidence)), numbers)
    times = np.zeros(len(captions))
    times[~judged] = [count for each in evidence for count in each.values()]
    share = times / np.maximum(1e-9, np.bincount(image, times))[image]
    # As pycocoevalcap has it, a caption's length is its pairs of words.
    length = np.maximum(0.0, sizes - 1.0)
    scores = np.zeros(len(captions))
    for entries in _entries(captions, sizes, frequencies):
        mine, other = judged[entries.caption], ~judged[entries.caption]
        key = image[entries.caption] * (entries.gram.max(initial=0) + 1) + entries.gram
        order = np.flatnonzero(other)[np.argsort(key[other], kind="stable")]
        first = np.searchsorted(key[order], key[mine])
        counts = np.searchsorted(key[order], key[mine], "right") - first
        # A pair for each n-gram that a candidate shares with a caption of the evidence.
        ours = np.repeat(np.flatnonzero(mine), counts)
        theirs = np.arange(len(ours)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        theirs = order[theirs]
        one, another = entries.caption[ours], entries.caption[theirs]
        clipped = np.minimum(1.0, _ratio(entries.weight[theirs], entries.weight[ours]))
        cosine = clipped * entries.unit[ours] * entries.unit[theirs]
        alike = np.exp(-((length[one] - length[another]) ** 2) / (2 * SIGMA**2))
        scores += np.bincount(one, cosine * alike * share[another], minlength=len(captions))
    scores *= 10 / ORDERS
    return [scores[judged & (image == each)] for each in range(len(evidence))]


def _ratio(one: Floats, other: Floats) -> Floats:
    return one / np.where(other > 0, other, 1.0)


def _entries(captions: Sequence[Caption], sizes: Ints, frequencies: Frequencies) -> list[_Entries]:
    """Count and weigh n-grams; for one to four words each."""
    tokens = np.array([word for caption in captions for word in caption], np.int64)
    owner, end = np.repeat(np.arange(len(sizes)), sizes), np.cumsum(sizes)
    start, gram = np.arange(len(tokens)), np.zeros(len(tokens), np.int64)
    known = gram
    result = []
    for order in range(ORDERS):
        inside = start + order < end[owner[start]]
        start, gram, known = start[inside], gram[inside], known[inside]
        words = tokens[start + order]
        known = frequencies.extend(order, known, words)
        gram = np.unique(gram * BASE + words, return_inverse=True)[1]
        width = gram.max(initial=0) + 1
        key, place, times = np.unique(
            owner[start] * width + gram, return_index=True, return_counts=True
        )
        caption = key // width
        weight = times * frequencies.weights(order, known[place])
        norm = np.sqrt(np.bincount(caption, weight**2, minlength=len(captions)))
        result.append(_Entries(caption, key % width, weight, _ratio(weight, norm[caption])))
    return result

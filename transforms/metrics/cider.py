"""CIDEr-D with the references prepared once, for selection and for self-critical training.

The definition is pycocoevalcap's `Cider` (Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based
Image Description Evaluation", CVPR 2015, in its D variant: clipped counts, a Gaussian penalty on
the difference of lengths, n-grams of one to four words, scale 0 to 10). pycocoevalcap counts and
weighs the n-grams of every reference again in each call; here that is done once, in numpy.

Dimension letters: N images, R references, C candidates, E entries (one distinct n-gram of one
caption), G distinct n-grams of the references, P pairs of a candidate and a reference.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ORDERS = 4
SIGMA = 6.0
_BASE = 1 << 31  # Above any token's id, so that a prefix and a token have a code of their own.

Tokens = Sequence[Hashable]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Entries(NamedTuple):
    """Distinct n-grams of a list of captions."""

    caption: Ints  # [E] position of the caption
    order: Ints  # [E] 0 for single words to 3 for four words
    gram: Ints  # [E] id over all orders; G where no reference has the n-gram
    times: Ints  # [E] occurrences in the caption


class CiderD:
    """CIDEr-D of candidates against fixed references.

    Args:
        references: for each image its references, each a sequence of tokens: words, or any other
            hashable values such as token ids. The images are also the documents of the inverse
            document frequency.

    Raises:
        ValueError: an image without references.
    """

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        sizes = np.array([len(captions) for captions in references], np.int64)
        if not sizes.all():
            raise ValueError(f"image {int(np.argmin(sizes))} has no references")
        self._sizes = sizes
        self._first = np.cumsum(sizes) - sizes
        captions = [caption for image in references for caption in image]
        self._captions = captions
        self._vocabulary: dict[Hashable, int] = {}
        self._by_id: Ints | None = None
        self._tables: list[Ints] = []  # For two to four words, the sorted codes of the n-grams.
        self._grams = 0
        entries = self._count(*self._name(captions, self._vocabulary), learn=True)
        self._grams = len(self._vocabulary) + sum(map(len, self._tables))

        image = np.repeat(np.arange(len(sizes)), sizes)[entries.caption]
        key = image * (self._grams + 1) + entries.gram
        order = np.argsort(key, kind="stable")
        entries = _Entries(*(column[order] for column in entries))
        self._keys, start = np.unique(key[order], return_index=True)
        self._start = np.append(start, len(key))
        frequency = np.bincount(self._keys % (self._grams + 1), minlength=self._grams + 1)
        documents = np.log(max(1, len(sizes)))
        self._idf = documents - np.log(np.maximum(1.0, frequency))
        self._entries = entries
        self._weight = entries.times * self._idf[entries.gram]
        self._norm = _norms(entries, self._weight, len(captions))
        self._length = _lengths(np.array([len(caption) for caption in captions], np.int64))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._sizes)

    def score(
        self, candidates: Sequence[Tokens], images: Sequence[int] | Ints | None = None
    ) -> tuple[float, Floats]:
        """Score candidate captions.

        Args:
            candidates: one caption's tokens each.
            images: [C] the position of each candidate's image in the references; the same image
                may come several times. By default candidate i belongs to image i.

        Returns:
            The mean over the candidates, and the score of each, float64 [C], from 0 to 10.

        Raises:
            ValueError: another number of candidates than of images, or none.
        """
        tokens, lengths = self._name(candidates, dict(self._vocabulary))
        scores = self._score(tokens, lengths, images)
        return float(scores.mean()), scores

    def score_ids(
        self, ids: npt.NDArray[np.integer], images: Sequence[int] | Ints | None = None
    ) -> Floats:
        """Score captions that are rows of token ids, without a step of Python for each token.

        Args:
            ids: [C, S] token ids above 0, then zeros. The references must be of token ids too.
            images: see `score`.

        Returns:
            The score of each, float64 [C], from 0 to 10.

        Raises:
            ValueError: as `score`.
        """
        if self._by_id is None:
            # Ids that no reference has get names above all of the references'.
            known = [token for token in self._vocabulary if isinstance(token, (int, np.integer))]
            self._by_id = np.arange(max(known, default=0) + 1) + len(self._vocabulary)
            for token in known:
                self._by_id[token] = self._vocabulary[token]
        inside = ids != 0
        flat = ids[inside].astype(np.int64)
        beyond = len(self._by_id)
        names = self._by_id[np.minimum(flat, beyond - 1)]
        tokens = np.where(flat < beyond, names, flat + len(self._vocabulary))
        return self._score(tokens, inside.sum(axis=1), images)

    def _score(self, tokens: Ints, lengths: Ints, images: Sequence[int] | Ints | None) -> Floats:
        """Score captions given as named tokens one after another and the captions' lengths."""
        image = np.arange(len(self)) if images is None else np.asarray(images, np.int64)
        if len(lengths) != len(image) or not len(image):
            raise ValueError(f"{len(lengths)} candidates for {len(image)} images")
        entries = self._count(tokens, lengths)
        weight = entries.times * self._idf[entries.gram]
        norm = _norms(entries, weight, len(lengths))

        # P pairs: every candidate with each reference of its image, one candidate after another.
        sizes = self._sizes[image]
        first_pair = np.cumsum(sizes) - sizes
        candidate = np.repeat(np.arange(len(image)), sizes)
        reference = np.arange(len(candidate)) + (self._first[image] - first_pair)[candidate]

        # Matches: an entry of a candidate with the same n-gram of a reference of its image.
        key = image[entries.caption] * (self._grams + 1) + entries.gram
        row, found = _find(self._keys, key)
        ours = np.flatnonzero(found)
        begin = self._start[row[ours]]
        counts = self._start[row[ours] + 1] - begin
        ours = np.repeat(ours, counts)
        theirs = np.arange(len(ours)) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
        clipped = np.minimum(weight[ours], self._weight[theirs]) * self._weight[theirs]
        caption = entries.caption[ours]
        pair = first_pair[caption] + self._entries.caption[theirs] - self._first[image[caption]]
        dot = _sum(pair * ORDERS + entries.order[ours], clipped, len(candidate) * ORDERS)

        norms = norm[candidate] * self._norm[reference]
        cosine = dot.reshape(-1, ORDERS) / np.where(norms > 0, norms, 1.0)
        delta = _lengths(lengths)[candidate] - self._length[reference]
        similarity = cosine.mean(axis=1) * np.exp(-(delta**2) / (2 * SIGMA**2))
        return 10.0 * _sum(candidate, similarity, len(image)) / sizes

    def best_constant(self, limit: int = 32) -> tuple[int, int, float]:
        """Find the reference that scores best as the caption of every image.

        All references are ranked by their cosine with the mean reference, which is CIDEr-D
        without clipping and with an average length penalty; the best `limit` are then scored.

        Returns:
            The image's position, the position of the reference within the image, and the mean
            CIDEr-D of that caption over all images.
        """
        entries, total = self._entries, len(self._length)
        norm = self._norm[entries.caption, entries.order]
        unit = self._weight / np.where(norm > 0, norm, 1.0)
        share = 1.0 / np.repeat(self._sizes, self._sizes)
        centre = _sum(entries.gram, unit * share[entries.caption], self._grams + 1)
        rank = _sum(entries.caption, unit * centre[entries.gram], total)
        lengths, where = np.unique(self._length, return_inverse=True)
        gaps = lengths[:, None] - lengths[None, :]
        rank *= (np.exp(-(gaps**2) / (2 * SIGMA**2)) @ np.bincount(where, share))[where]
        distinct: dict[tuple[Hashable, ...], int] = {}
        for reference in np.argsort(-rank, kind="stable"):
            distinct.setdefault(tuple(self._captions[reference]), int(reference))
            if len(distinct) == limit:
                break
        means = {
            reference: self.score([caption] * len(self))[0]
            for caption, reference in distinct.items()
        }
        best = max(means, key=lambda reference: means[reference])
        image = int(np.searchsorted(self._first, best, side="right")) - 1
        return image, best - int(self._first[image]), means[best]

    @staticmethod
    def _name(captions: Sequence[Tokens], names: dict[Hashable, int]) -> tuple[Ints, Ints]:
        """Number the captions' tokens, strange ones behind those that have a name.

        Returns:
            The tokens of all captions one after another, and the captions' lengths.
        """
        tokens = [names.setdefault(token, len(names)) for each in captions for token in each]
        return np.array(tokens, np.int64), np.array([len(each) for each in captions], np.int64)

    def _count(self, tokens: Ints, sizes: Ints, *, learn: bool = False) -> _Entries:
        """Count n-grams; with `learn`, the captions are the references and define the ids.

        A longer n-gram's id comes from its prefix's id and its last token's. What no reference
        has gets an id above the known ones for this call, and G in the result.
        """
        known = len(self._vocabulary)
        owner, end = np.repeat(np.arange(len(sizes)), sizes), np.cumsum(sizes)
        start, gram, offset = np.arange(len(tokens)), tokens, 0
        parts = []
        for order in range(ORDERS):
            if order:
                inside = start + order < end[owner[start]]
                start, gram = start[inside], gram[inside]
                codes = gram * _BASE + tokens[start + order]
                if learn:
                    self._tables.append(np.unique(codes))
                gram = _identify(self._tables[order - 1], codes)
                offset, known = offset + known, len(self._tables[order - 1])
            width = int(gram.max(initial=0)) + 1
            key, count = np.unique(owner[start] * width + gram, return_counts=True)
            local = key % width
            name = np.where(local < known, offset + local, self._grams)
            parts.append(_Entries(key // width, np.full_like(key, order), name, count))
        return _Entries(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _find(table: Ints, values: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return where each value stands in the sorted table, and whether it is there."""
    row = np.searchsorted(table, values)
    found = row < len(table)
    found[found] = table[row[found]] == values[found]
    return row, found


def _identify(table: Ints, codes: Ints) -> Ints:
    """Return each code's place in the table; equal strange codes share an id above the table's."""
    gram, found = _find(table, codes)
    gram[~found] = len(table) + np.unique(codes[~found], return_inverse=True)[1]
    return gram


def _sum(group: Ints, values: Floats, groups: int) -> Floats:
    return np.bincount(group, values, minlength=groups).astype(np.float64, copy=False)


def _norms(entries: _Entries, weight: Floats, captions: int) -> Floats:
    """Return the length of each caption's weight vector, float64 [captions, ORDERS]."""
    squares = _sum(entries.caption * ORDERS + entries.order, weight**2, captions * ORDERS)
    return np.sqrt(squares).reshape(-1, ORDERS)


def _lengths(sizes: Ints) -> Floats:
    """Return captions' lengths as pycocoevalcap has them: the number of word pairs."""
    return np.maximum(0.0, sizes - 1.0)

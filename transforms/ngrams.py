"""How many images have an n-gram in their captions, which tells common ones from telling ones.

A captioner has them in a file, see docs/formats.md. N-grams are of one to four words, as in CIDEr.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from transforms.errors import UsageError
from transforms.text import PAD, RESERVED, UNK, Vocabulary

NAME = "ngrams.txt"
ORDERS = 4
LEAST, MOST = 8, 50_000
# Above any token's id, so that an n-gram and the word behind it have a code of their own.
BASE = 1 << 31
UNSEEN = -1  # The number of an n-gram that is not in the file.

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FIRST = re.compile(r"images ([0-9]{1,12}) least ([0-9]{1,12})")
_LINE = re.compile(r"([0-9]{1,12})\t(\S+(?: \S+){0,3})")


class Frequencies:
    """In how many images' captions n-grams are.

    Attributes:
        images: of how many.
        least: what n-grams count as that are not named, or are in fewer.
        grams: int64 [G, ORDERS], ids of the words of those that are named, then PAD.
        counts: int64 [G], the images that have them.
    """

    def __init__(self, images: int, least: int, grams: Ints, counts: Ints) -> None:
        """Index the n-grams; see the attributes."""
        self.images, self.least, self.grams, self.counts = images, least, grams, counts
        # A tree: an n-gram is known by the number of its beginning and its last word.
        self._codes: list[Ints] = []
        self._weights: list[Floats] = []
        numbers = np.zeros(len(grams), np.int64)
        sizes = np.count_nonzero(grams != PAD, axis=1)
        for order in range(ORDERS):
            longer = np.flatnonzero(sizes > order)
            codes = numbers[longer] * BASE + grams[longer, order]
            known, inverse = np.unique(codes, return_inverse=True)
            numbers[longer] = inverse
            found = np.full(len(known), least, np.int64)
            whole = longer[sizes[longer] == order + 1]
            found[numbers[whole]] = counts[whole]
            self._codes.append(known)
            self._weights.append(self._weight(found))
        self._unseen = float(self._weight(np.array(least)))

    def extend(self, order: int, numbers: Ints, words: Ints) -> Ints:
        """Number n-grams by those that are a word shorter.

        Args:
            order: 0 for single words, and so on.
            numbers: of their beginnings, UNSEEN among them; all 0 for single words.
            words: the ids of their last words.

        Returns:
            Their numbers, UNSEEN for what the file does not have.
        """
        known, codes = self._codes[order], numbers * BASE + words
        if not len(known):
            return np.full(len(codes), UNSEEN)
        place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        return np.where((numbers != UNSEEN) & (known[place] == codes), place, UNSEEN)

    def weights(self, order: int, numbers: Ints) -> Floats:
        """Return log(images / images that have it), at least 0, of numbers from `extend`."""
        if not len(self._weights[order]):
            return np.full(len(numbers), self._unseen)
        return np.where(numbers == UNSEEN, self._unseen, self._weights[order][numbers])

    def to_text(self, vocabulary: Vocabulary) -> str:
        """Return the file's content, the most frequent n-grams first."""
        lines = [f"images {self.images} least {self.least}\n"]
        for row, count in zip(self.grams.tolist(), self.counts.tolist(), strict=True):
            words = " ".join(vocabulary.tokens[word] for word in row if word != PAD)
            lines.append(f"{count}\t{words}\n")
        return "".join(lines)

    @classmethod
    def from_bytes(cls, content: bytes, vocabulary: Vocabulary, name: str) -> "Frequencies":
        """Read what `to_text` wrote.

        Args:
            content: in UTF-8.
            vocabulary: of its words.
            name: of the file, for the message.

        Raises:
            UsageError: it is not such a file.
        """
        try:
            first, *lines = content.decode().split("\n")
        except UnicodeDecodeError as error:
            raise UsageError(f"{name}: this is no text in UTF-8 ({error})") from error
        header = _FIRST.fullmatch(first)
        if not header:
            raise UsageError(f"{name}:1: this is not the first line of a file of n-grams")
        images, least = map(int, header.groups())
        if not lines or lines.pop():
            raise UsageError(f"{name}: its last line is cut off")
        found: dict[tuple[int, ...], int] = {}
        for number, line in enumerate(lines, 2):
            parts = _LINE.fullmatch(line)
            ids = vocabulary.encode(parts[2].split(" "), ORDERS)[1:-1] if parts else [UNK]
            if not parts or UNK in ids:
                raise UsageError(f"{name}:{number}: {line!r} is no count and words of vocabulary")
            count = int(parts[1])
            if not least <= count <= images or tuple(ids) in found:
                fault = "is double" if tuple(ids) in found else f"is not {least} to {images}"
                raise UsageError(f"{name}:{number}: {line!r}: {fault}")
            found[tuple(ids)] = count
        rows = [(*ids, *[PAD] * (ORDERS - len(ids))) for ids in found]
        grams = np.array(rows, np.int64).reshape(-1, ORDERS)
        return cls(images, least, grams, np.array([*found.values()], np.int64))

    def _weight(self, counts: Ints) -> Floats:
        return np.maximum(0.0, np.log(max(1, self.images)) - np.log(np.maximum(1, counts)))


def count(
    captions: Iterable[Sequence[Sequence[int]]], least: int = LEAST, most: int = MOST
) -> Frequencies:
    """Count in how many images' captions n-grams are.

    Args:
        captions: for each image its captions' ids; what is no word of the vocabulary interrupts
            them.
        least: images that an n-gram must be in to be named.
        most: n-grams that are named, the most frequent ones; of equals the shorter ones, then
            those of smaller ids.
    """
    # One long text, with what is no word between the captions.
    texts = [
        np.array([word for ids in image for word in (*ids, UNK)], np.int32) for image in captions
    ]
    tokens = np.concatenate([np.zeros(0, np.int64), *texts])
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    start = np.flatnonzero(tokens >= len(RESERVED))
    numbers = np.zeros(len(start), np.int64)
    grams = np.full((1, ORDERS), PAD, np.int64)
    named, counted = [grams[:0]], [np.zeros(0, np.int64)]
    for order in range(ORDERS):
        # An n-gram is nowhere where its beginning is not.
        inside = tokens[start + order] >= len(RESERVED)
        start, numbers = start[inside], numbers[inside]
        known, gram = np.unique(numbers * BASE + tokens[start + order], return_inverse=True)
        pairs = np.unique(owners[start] * len(known) + gram)
        counts = np.bincount(pairs % max(1, len(known)), minlength=len(known))
        kept = counts >= least
        grams = grams[known[kept] // BASE]
        grams[:, order] = known[kept] % BASE
        named.append(grams)
        counted.append(counts[kept])
        start, numbers = start[kept[gram]], (np.cumsum(kept) - 1)[gram[kept[gram]]]
    whole, times = np.concatenate(named), np.concatenate(counted)
    chosen = np.argsort(-times, kind="stable")[:most]
    if len(chosen) < len(times):
        least = int(times[chosen[-1]])
    return Frequencies(len(texts), least, whole[chosen], times[chosen])

"""The vocabulary: which words a captioner knows, and their numbers."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from transforms.errors import UsageError

PAD, START, END, UNK = 0, 1, 2, 3
RESERVED = ("<pad>", "<start>", "<end>", "<unk>")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """An ordered list of distinct words that opens with the reserved tokens.

    Attributes:
        tokens: the words by id; the first four are `RESERVED`.

    Raises:
        UsageError: the reserved tokens are not first, or a token is double, empty or has white
            space in it.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens[: len(RESERVED)] != RESERVED:
            raise UsageError(f"not a vocabulary: the first lines must be {' '.join(RESERVED)}")
        seen = set()
        for line, token in enumerate(self.tokens, 1):
            if token in seen or token.split() != [token]:
                fault = "is double" if token in seen else "is empty or has white space"
                raise UsageError(f"not a vocabulary: line {line}, {token!r}, {fault}")
            seen.add(token)

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int] | Iterable[tuple[str, int]],
        min_count: int = 5,
        max_words: int | None = None,
    ) -> "Vocabulary":
        """Make a vocabulary of the commonest words.

        Args:
            counts: how often each word occurs in the train split; each word once.
            min_count: words that occur less often are left out.
            max_words: the most words to take, not counting the reserved ones; None takes all.

        Raises:
            UsageError: no word is left.
        """
        pairs = counts.items() if isinstance(counts, Mapping) else counts
        ranked = sorted(
            ((word, count) for word, count in pairs if count >= min_count and word not in RESERVED),
            key=lambda pair: (-pair[1], pair[0]),
        )
        words = tuple(word for word, _ in ranked[:max_words])
        if not words:
            raise UsageError(
                f"no word occurs {min_count} times in the train split: lower --min_count"
            )
        return cls(RESERVED + words)

    @classmethod
    def from_text(cls, text: str) -> "Vocabulary":
        """Read what `to_text` wrote.

        Raises:
            UsageError: the text is not a vocabulary.
        """
        lines = text.split("\n")  # not splitlines, which also cuts at rarer characters
        return cls(tuple(lines[:-1] if lines[-1] == "" else lines))

    def to_text(self) -> str:
        """Return the tokens in the order of their ids, one a line."""
        return "".join(f"{token}\n" for token in self.tokens)

    @property
    def digest(self) -> str:
        """The SHA-256 of `to_text` in UTF-8, in hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def encode(self, tokens: Sequence[str], max_length: int) -> list[int]:
        """Return START, the words' ids, END: at most `max_length` + 2 ids, END always among them.

        Args:
            tokens: the words; those beyond `max_length` are left out, unknown ones become UNK.
            max_length: the most words, START and END not counted.
        """
        # A word spelt like a reserved token is a word nobody knows, never that token.
        ids = [self._ids.get(token, UNK) for token in tokens[:max_length]]
        return [START, *(number if number >= len(RESERVED) else UNK for number in ids), END]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words up to the first END, without PAD and START.

        Raises:
            ValueError: an id is not of this vocabulary.
        """
        words = []
        for number in ids:
            if not 0 <= number < len(self.tokens):
                raise ValueError(f"id {number} is outside the vocabulary of {len(self)} tokens")
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self.tokens[number])
        return words

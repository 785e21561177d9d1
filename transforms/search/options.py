"""What a search is asked for, and what it finds."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transforms.errors import UsageError

if TYPE_CHECKING:
    from transforms.search.steps import Floats

METHODS = ("beam", "greedy", "diverse", "nucleus", "consensus")
# What a consensus is best searched with, where nobody says otherwise.
CONSENSUS: dict[str, Any] = {"beam_width": 10, "samples": 60, "temperature": 0.7}
Phrase = tuple[int, ...]

# The methods that use an option; all use what is not here.
USED_BY = {
    "beam_width": ("beam", "diverse", "consensus"),
    "groups": ("diverse",),
    "diversity": ("diverse",),
    "top_p": ("nucleus",),
    "temperature": ("nucleus", "consensus"),
    "samples": ("nucleus", "consensus"),
    "seed": ("nucleus", "consensus"),
}


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How captions are searched.

    Attributes:
        method: `beam`; `greedy`, the likeliest word each time; `diverse`, beams in groups that
            avoid each other's words; `nucleus`, sampling; `consensus`, a beam's captions ranked
            by how well they agree with samples.
        beam_width: hypotheses that beam search keeps, and captions it returns.
        length_penalty: a score is sum(log p) / length ** length_penalty, the end counted.
        no_repeat_ngram: no sequence of so many words occurs twice in a caption; 0 for any.
        groups: of a diverse search; divides `beam_width`.
        diversity: what a diverse search takes off the log-probability of a word for each
            hypothesis of an earlier group that has it at the same place.
        top_p: a sample is drawn from the likeliest words that have this share of the probability.
        temperature: divides log-probabilities before drawing; below 1 likely words gain.
        samples: drawn for an image.
        seed: of the drawing.
        banned: phrases that no caption has, as ids.
        required: phrases that each caption has, as ids.
    """

    method: str = "beam"
    beam_width: int = 3
    length_penalty: float = 0.7
    no_repeat_ngram: int = 0
    groups: int = 3
    diversity: float = 0.5
    top_p: float = 0.9
    temperature: float = 1.0
    samples: int = 5
    seed: int = 0
    banned: tuple[Phrase, ...] = ()
    required: tuple[Phrase, ...] = ()

    @property
    def width(self) -> int:
        """Captions that are returned for an image, at most."""
        return {"greedy": 1, "nucleus": self.samples}.get(self.method, self.beam_width)

    def identity(self) -> dict[str, Any]:
        """Return what decides the captions, JSON-able: no option that the method does not use."""
        values = dataclasses.asdict(self).items()
        return {name: value for name, value in values if self.method in USED_BY.get(name, METHODS)}

    def check(self) -> None:
        """Raise UsageError for values that cannot be, alone or together."""
        if self.method not in METHODS:
            raise UsageError(f"unknown search {self.method!r}: choose {', '.join(METHODS)}")
        for name in ("beam_width", "groups", "samples"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("no_repeat_ngram", "diversity"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}: it must be at least 0")
        if not math.isfinite(self.length_penalty):
            raise UsageError(f"length_penalty is {self.length_penalty}: it must be a number")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}: it must be above 0 and at most 1")
        if not 0 < self.temperature < math.inf:
            raise UsageError(f"temperature is {self.temperature}: it must be above 0")
        if self.method == "diverse" and self.beam_width % self.groups:
            raise UsageError(
                f"a beam_width of {self.beam_width} cannot be divided into {self.groups} groups:"
                f" choose a multiple of {self.groups}"
            )
        if self.required and self.method not in ("beam", "greedy"):
            raise UsageError(
                f"required words need the search beam or greedy, and it is {self.method}"
            )
        if not all(self.banned) or not all(self.required):
            raise UsageError("a banned or required phrase has no words")


def conflict(required: Sequence[Phrase], size: int) -> tuple[Phrase, ...]:
    """Return required phrases that no caption can have without saying an n-gram twice.

    One phrase may have an n-gram twice. Two that share one must overlap there, and then their
    other words must agree as well: `red box` and `box lid` do, `red box` and `red ball` do not.
    Three or more that only together cannot be are not found.

    Args:
        required: phrases, as ids.
        size: words of the n-gram; 0 where any may occur again.

    Returns:
        One phrase or two; none where nothing speaks against them.
    """
    if not size:
        return ()
    for phrase in required:
        if len(set(_ngrams(phrase, size))) < len(_ngrams(phrase, size)):
            return (phrase,)
    for one, other in itertools.combinations(required, 2):
        # How far behind the beginning of the one the other would have to begin.
        shifts = {
            place - _ngrams(other, size).index(ngram)
            for place, ngram in enumerate(_ngrams(one, size))
            if ngram in _ngrams(other, size)
        }
        if len(shifts) > 1 or any(not _agree(one, other, shift) for shift in shifts):
            return (one, other)
    return ()


def _ngrams(phrase: Phrase, size: int) -> list[Phrase]:
    return [phrase[start : start + size] for start in range(len(phrase) - size + 1)]


def _agree(one: Phrase, other: Phrase, shift: int) -> bool:
    """Say whether phrases have the same words where they overlap."""
    return all(
        one[shift + place] == word
        for place, word in enumerate(other)
        if 0 <= shift + place < len(one)
    )


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A caption that a search found.

    Attributes:
        tokens: the ids of its words, without START and END.
        score: sum(log p) / length ** length_penalty, END counted where it was reached.
        word_scores: the log-probability of each word after those before it.
        attention: float32 [words, P], where the decoder looked for each word; None where it does
            not attend or nobody asked.
        satisfied: whether it has all the required words.
    """

    tokens: tuple[int, ...]
    score: float
    word_scores: tuple[float, ...] = ()
    attention: "Floats | None" = dataclasses.field(default=None, compare=False)
    satisfied: bool = True

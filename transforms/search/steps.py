"""What the search needs of a captioner: one step of its decoder, in numpy.

Letters: B images, K hypotheses of each, V words, P positions of the grid.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]


class Produced(Protocol):
    """What a step returns.

    Attributes:
        log_probs: float32 [B, K, V], the logarithm of each next word's probability.
        state: for the next step, opaque.
        attention: float32 [B, K, P], where the decoder looked for the word that comes next; None
            where it does not attend.
    """

    @property
    def log_probs(self) -> Floats: ...
    @property
    def state(self) -> Any: ...
    @property
    def attention(self) -> Floats | None: ...


class Step(NamedTuple):
    """A `Produced` of the search's own making."""

    log_probs: Floats
    state: Any
    attention: Floats | None


class Steps(Protocol):
    """A decoder that is run from outside; `transforms.engines.Engine` is one."""

    def start(self, features: Any) -> tuple[Any, Any]:
        """Return the memory of B images, and the state before the first word, with K = 1."""

    def step(self, tokens: Integers, state: Any, memory: Any) -> Produced:
        """Read one token of each hypothesis, int32 [B, K]."""

    def reorder(self, state: Any, images: Integers, parents: Integers) -> Any:
        """Return a state whose row (b, k) is the old row (images[b], parents[b, k])."""

    def keep(self, memory: Any, images: Integers) -> Any:
        """Return the memory of some of the images."""


class Ensemble:
    """Several decoders as one: the mean of their probabilities decides.

    The members share the vocabulary; their encoders and features may differ. Attention is that
    of the first member that attends.
    """

    def __init__(self, members: Sequence[Steps]) -> None:
        self._members = members

    def start(self, features: Sequence[Any]) -> tuple[Any, Any]:
        """See `Steps`; takes the features of each member."""
        starts = [m.start(each) for m, each in zip(self._members, features, strict=True)]
        return [memory for memory, _ in starts], [state for _, state in starts]

    def step(self, tokens: Integers, state: Any, memory: Any) -> Step:
        """See `Steps`."""
        taken = [
            member.step(tokens, *each)
            for member, *each in zip(self._members, state, memory, strict=True)
        ]
        looks = [each.attention for each in taken if each.attention is not None]
        return Step(
            log_mean([each.log_probs for each in taken]),
            [each.state for each in taken],
            looks[0] if looks else None,
        )

    def reorder(self, state: Any, images: Integers, parents: Integers) -> Any:
        """See `Steps`."""
        pairs = zip(self._members, state, strict=True)
        return [member.reorder(each, images, parents) for member, each in pairs]

    def keep(self, memory: Any, images: Integers) -> Any:
        """See `Steps`."""
        pairs = zip(self._members, memory, strict=True)
        return [member.keep(each, images) for member, each in pairs]


def log_mean(log_probs: Sequence[Floats]) -> Floats:
    """Return the logarithm of the mean of probabilities, given and returned as logarithms."""
    most = np.maximum.reduce(log_probs)
    # Words that all members exclude would give -inf - -inf.
    most = np.maximum(most, np.finfo(np.float32).min)
    total = sum(np.exp(each - most) for each in log_probs)
    with np.errstate(divide="ignore"):
        return most + np.log(total / np.float32(len(log_probs)))

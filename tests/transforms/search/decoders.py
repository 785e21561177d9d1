"""Decoders without weights, for tests of the search."""

from typing import Any

import numpy as np

from transforms import ngrams
from transforms.ngrams import Frequencies
from transforms.search.steps import Step
from transforms.text import END, START

WORDS = (4, 5, 6)
SIZE = 7


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities, in the dtype of the logits."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


class Table:
    """Gives each next token a logit that depends on the image, the step and the last token.

    Features are the images' numbers. It counts the rows that it computes, and where it looks is
    told by the numbers of the image, the step and the token read.
    """

    def __init__(self, images: int, steps: int, seed: int = 0, size: int = SIZE) -> None:
        random = np.random.default_rng(seed)
        self.logits = random.normal(size=(images, steps, size, size)).astype(np.float32) * 2
        self.rows = 0

    def start(self, features: Any) -> tuple[Any, Any]:
        return np.asarray(features), np.zeros((len(features), 1), np.int64)

    def step(self, tokens: Any, state: Any, memory: Any) -> Step:
        assert tokens.shape == state.shape
        assert len(tokens) == len(memory)
        self.rows += tokens.size
        images = np.broadcast_to(memory[:, None], tokens.shape)
        attention = np.stack([images, state, tokens], axis=-1).astype(np.float32)
        log_probs = log_softmax(self.logits[images, state, tokens])
        log_probs.flags.writeable = False
        return Step(log_probs, state + 1, attention)

    def reorder(self, state: Any, images: Any, parents: Any) -> Any:
        return state[images[:, None], parents]

    def keep(self, memory: Any, images: Any) -> Any:
        return memory[images]

    def score(self, image: int, words: tuple[int, ...], penalty: float, end: bool = True) -> float:
        """Return the length-normalised log-probability of a caption."""
        last, total = START, 0.0
        tokens = [*words, END] if end else list(words)
        for step, word in enumerate(tokens):
            total += float(log_softmax(self.logits[image, step, last].astype(np.float64))[word])
            last = word
        return total / len(tokens) ** penalty


class Speller:
    """Spells the captions that it was given, as the keras-hub tests do; features are numbers."""

    def __init__(self, captions: list[list[int]]) -> None:
        self.captions = np.array(captions)

    def start(self, features: Any) -> tuple[Any, Any]:
        return features, np.zeros((len(features), 1), np.int64)

    def step(self, tokens: Any, state: Any, memory: Any) -> Step:
        following = self.captions[memory[:, None], state]
        return Step(log_softmax(9 * np.eye(SIZE, dtype=np.float32)[following]), state + 1, None)

    reorder = Table.reorder
    keep = Table.keep


def everything_alike() -> Frequencies:
    """Return frequencies that give all n-grams the same weight."""
    nothing = ngrams.count([])
    return Frequencies(10, 5, nothing.grams, nothing.counts)

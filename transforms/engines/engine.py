"""What the search and the jobs know of whatever runs an exported captioner.

Letters: B images, K hypotheses of each, P positions of the feature grid, V words.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np


class Step(NamedTuple):
    """One word further.

    Attributes:
        log_probs: float32 [B, K, V], of the next word.
        state: what the engine wants back for the step after; its own affair.
        attention: float32 [B, K, P], weights over the grid for the word being chosen; None where
            the decoder does not attend.
    """

    log_probs: np.ndarray
    state: Any
    attention: np.ndarray | None


class Engine(Protocol):
    """Runs a captioner's encoder and its decoder's steps.

    Features, memory and state are opaque: an engine may keep them where it likes. A memory has
    one entry an image, a state one an image and hypothesis.

    Attributes:
        name: `tensorflow`, `onnxruntime` or `openvino`.
        singly: whether it encodes each image of a batch by itself, so that features depend on no
            batch's size.
    """

    name: str
    singly: bool

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Turn uint8 [B, height, width, 3], RGB, into features [B, ...].

        They have the precision that they have in training, and its dtype or float32.
        """

    def start(self, features: np.ndarray) -> tuple[Any, Any]:
        """Return the memory of B images, and the state before the first word with K = 1."""

    def step(self, tokens: np.ndarray, state: Any, memory: Any) -> Step:
        """Read one token of each hypothesis, int32 [B, K]."""

    def reorder(self, state: Any, images: np.ndarray, parents: np.ndarray) -> Any:
        """Choose hypotheses to go on with.

        Args:
            state: of B images and K hypotheses.
            images: int32 [B'], which images stay.
            parents: int32 [B', K'], which of its hypotheses each new one continues; K' may be
                another than K.

        Returns:
            The state of B' images and K' hypotheses: (b, k) is (images[b], parents[b, k]) of old.
        """

    def keep(self, memory: Any, images: np.ndarray) -> Any:
        """Return the memory of some of its images, int32 [B'], in that order."""

"""Free-running evaluation: the captions that the model writes by itself, and their CIDEr-D."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.examples import Examples
from trainer.model import Captioner
from trainer.search import beam_search
from transforms.metrics import CiderD
from transforms.text import END, PAD

BATCH = 128


class Evaluator:
    """Captions a split with the model's present weights and scores the result.

    References are given as words, not as the ids of the training's vocabulary: a rare word in
    them counts as what it is.
    """

    def __init__(
        self,
        captioner: Captioner,
        examples: Examples,
        references: Sequence[Sequence[Sequence[str]]],
        words: Sequence[str],
    ) -> None:
        """Prepare.

        Args:
            captioner: the model.
            examples: the split's images.
            references: for each image, in the same order, its captions' words.
            words: of the vocabulary, by id.
        """
        self._examples = examples
        self._words = words
        self._cider = CiderD(references)
        c = captioner.configuration

        def generate(inputs: tf.Tensor) -> tf.Tensor:
            tokens, _ = beam_search(
                captioner,
                captioner.prepare(inputs),
                beam_width=c.beam_width,
                length_penalty=c.length_penalty,
                max_length=examples.steps - 2,
            )
            return tokens[:, 0]

        self._generate = tf.function(generate, input_signature=[examples.input_spec])

    def captions(self) -> list[list[str]]:
        """Write a caption for each image, in order."""
        written: list[list[str]] = []
        for inputs, _ in self._examples.batches(BATCH):
            written.extend(map(self._spell, self._generate(inputs).numpy()))
        return written

    def score(self) -> float:
        """Return the CIDEr-D of the captions, scale 0 to 10."""
        return self._cider.score(self.captions())[0]

    def _spell(self, ids: npt.NDArray[np.int32]) -> list[str]:
        ends = np.flatnonzero((ids == END) | (ids == PAD))
        return [self._words[i] for i in ids[: ends[0] if ends.size else len(ids)]]

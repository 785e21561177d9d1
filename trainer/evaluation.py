"""Free-running evaluation: the captions that the model writes by itself, and their CIDEr-D."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import ngrams
from trainer.configuration import Configuration
from trainer.examples import DatasetExamples, Examples
from trainer.model import Captioner
from trainer.progress import Rate
from trainer.search import beam_search
from trainer.serving import Serving
from transforms.dataset import Dataset
from transforms.engines.tensorflow_engine import TensorFlowEngine
from transforms.metrics import CiderD
from transforms.search import CONSENSUS, SearchOptions, search
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

        self._generate = tf.function(
            generate, input_signature=[examples.input_spec], autograph=False
        )

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


def search_options(configuration: Configuration) -> SearchOptions:
    """Return how captions are searched in the end, as `pipeline.caption` does it by itself."""
    c = configuration
    values = CONSENSUS if c.search == "consensus" else {}
    own = {"beam_width": c.beam_width, "length_penalty": c.length_penalty}
    return SearchOptions(c.search, **{**values, **own})


def consensus_captions(
    captioner: Captioner,
    dataset: Dataset,
    split: str,
    seeds: Sequence[int],
) -> list[list[str]]:
    """Search for the captions of a split that agree most with others that are drawn.

    Args:
        captioner: the model, whose configuration says how to search.
        dataset: with the split.
        split: which.
        seeds: of its images, in their order.

    Returns:
        The words of each image's caption, in order.
    """
    configuration = captioner.configuration
    options, longest = search_options(configuration), dataset.text["max_length"]
    serving = Serving(
        captioner,
        dataset,
        None,
        beam_width=configuration.beam_width,
        length_penalty=configuration.length_penalty,
    )
    engine = TensorFlowEngine(serving.signatures())
    frequencies = ngrams.count(dataset)
    written: list[list[str]] = []
    progress = Rate("captioned", len(seeds))
    for inputs, _ in DatasetExamples(dataset, split).batches(BATCH):
        features = tf.cast(captioner.encode(inputs), tf.float32).numpy()
        some = seeds[len(written) : len(written) + len(features)]
        found = search([engine], [features], options, longest, seeds=some, frequencies=frequencies)
        written += [dataset.vocabulary.decode(hypotheses[0].tokens) for hypotheses in found]
        progress.add(len(found))
    return written

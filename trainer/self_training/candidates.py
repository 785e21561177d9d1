"""Captioning unlabelled images, with what tells good captions from bad ones.

A caption has two figures. Its confidence is the geometric mean of its words' probabilities. Its
agreement is its mean CIDEr-D against captions drawn at random from the same captioner for the same
image: what it says is then what the captioner would say most of the time. Choosing by expected
score over samples is minimum Bayes risk decoding (Kumar and Byrne, "Minimum Bayes-Risk Decoding
for Statistical Machine Translation", NAACL 2004).
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.examples import DatasetExamples
from trainer.sampling import sample
from trainer.search import beam_search
from trainer.teacher import Teacher
from transforms import files
from transforms.dataset import Dataset
from transforms.metrics import CiderD
from transforms.records import Record
from transforms.text import END, join

BATCH = 64
TEMPERATURE = 0.7  # Of the samples: label smoothing has made the captioner less sure than it is.


class Caption(NamedTuple):
    """A caption that the captioner wrote."""

    text: str
    confidence: float  # 0 to 1
    agreement: float  # 0 to 10


class Candidates(NamedTuple):
    """An image's captions, the one with the highest agreement first."""

    key: str
    sha256: str
    captions: tuple[Caption, ...]


class Writer:
    """Writes candidates for records, always the same for the same records and seed."""

    def __init__(
        self,
        teacher: Teacher,
        dataset: Dataset,
        context: Sequence[Sequence[Sequence[str]]],
        *,
        hypotheses: int,
        samples: int,
        max_length: int,
        seed: int,
    ) -> None:
        """Prepare the graph.

        Args:
            teacher: what captions.
            dataset: whose records.
            context: words of captions of some images, [images][captions]: they say, with the
                samples, which n-grams are common.
            hypotheses: width of the beam.
            samples: captions drawn for each image.
            max_length: words of a caption.
            seed: of the samples.
        """
        self._teacher, self._dataset, self._context, self._seed = teacher, dataset, context, seed
        self._tokenizer = teacher.manifest["text"]["tokenizer"]
        spec = DatasetExamples(dataset, "train").input_spec
        penalty = teacher.configuration.length_penalty

        def generate(inputs: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            memory = teacher.model.prepare(inputs)
            tokens, scores = beam_search(
                teacher.model,
                memory,
                beam_width=hypotheses,
                length_penalty=penalty,
                max_length=max_length,
            )
            drawn = sample(
                teacher.model,
                memory,
                samples=samples,
                greedy=False,
                temperature=TEMPERATURE,
                max_length=max_length,
                seed=seed,
            )
            # The beam's scores have the captioner's length penalty in them; it is taken out.
            length = tf.cast(tf.reduce_sum(tf.cast(tokens != 0, tf.int32), axis=2), tf.float32)
            return tokens, scores * length ** (penalty - 1), drawn

        signature = [spec, tf.TensorSpec([2], tf.int32)]
        self._generate = tf.function(generate, input_signature=signature, autograph=False)

    def write(
        self, records: Sequence[Record], part: int, progress: Callable[[int], None]
    ) -> Iterator[Candidates]:
        """Yield the candidates of some records, in their order.

        Args:
            records: of one file.
            part: a number that tells the file from others.
            progress: called with the number of images that were captioned since the last call.
        """
        found: list[list[tuple[list[str], float]]] = []
        drawn: list[list[list[str]]] = []
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            mixed = np.random.SeedSequence([self._seed, part, start]).generate_state(2)
            seed = (mixed >> 1).astype(np.int32)
            tokens, scores, samples = (
                values.numpy() for values in self._generate(self._inputs(batch), seed)
            )
            for row, row_scores, row_samples in zip(tokens, scores, samples, strict=True):
                found.append(
                    [
                        (self._spell(ids), math.exp(min(0.0, float(score))))
                        for ids, score in zip(row, row_scores, strict=True)
                        if END in ids[1:]  # An empty caption says nothing.
                    ]
                )
                drawn.append([self._spell(ids) for ids in row_samples])
            progress(len(batch))
        yield from self._judge(records, found, drawn)

    def _judge(
        self,
        records: Sequence[Record],
        found: list[list[tuple[list[str], float]]],
        drawn: list[list[list[str]]],
    ) -> Iterator[Candidates]:
        scorer = CiderD([*drawn, *self._context])
        owner = [image for image, captions in enumerate(found) for _ in captions]
        words = [words for captions in found for words, _ in captions]
        agreement = iter(scorer.score(words, owner)[1] if words else ())
        for record, captions in zip(records, found, strict=True):
            judged = [
                Caption(
                    join(words, self._tokenizer), round(confidence, 6), round(next(agreement), 6)
                )
                for words, confidence in captions
            ]
            judged.sort(key=lambda caption: (-caption.agreement, -caption.confidence))
            yield Candidates(record.key, record.sha256, tuple(judged))

    def _inputs(self, batch: Sequence[Record]) -> tf.Tensor:
        if not self._dataset.stores_images:
            return tf.constant(np.array([record.features for record in batch]))
        return tf.stack(
            [
                tf.io.decode_jpeg(record.image, channels=3, dct_method="INTEGER_ACCURATE")
                for record in batch
            ]
        )

    def _spell(self, ids: np.ndarray) -> list[str]:
        return self._teacher.vocabulary.decode(ids.tolist())


def save(path: str, rows: Iterator[Candidates]) -> None:
    """Write candidates as JSON lines, whole or not at all."""
    with files.atomic(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape"))
            stream.write(b"\n")


def load(path: str) -> Iterator[Candidates]:
    """Read what `save` wrote."""
    with files.open_read(path) as stream:
        for line in stream:
            key, sha256, captions = json.loads(line.decode("utf-8", "surrogateescape"))
            yield Candidates(key, sha256, tuple(Caption(*caption) for caption in captions))

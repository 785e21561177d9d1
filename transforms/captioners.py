"""Captioning pictures with a captioner, or with several that decide together."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from transforms import captioner, engines, manifests, ngrams, stored
from transforms.errors import UsageError
from transforms.search import Hypothesis, SearchOptions, search
from transforms.stored import Form
from transforms.text import Vocabulary, join


@dataclasses.dataclass(frozen=True)
class Caption:
    """A caption for a picture.

    Attributes:
        caption: the text.
        score: its log-probability divided by a power of its length.
        words: its words, each with its log-probability after those before it.
        attention: float16 [words, rows, columns], the share of each place of the picture in what
            the decoder looked at for each word; None where it does not attend or nobody asked.
        has_required: whether it has all the words that were required.
    """

    caption: str
    score: float
    words: tuple[tuple[str, float], ...]
    attention: np.ndarray | None
    has_required: bool


class Captioners:
    """One captioner, or an ensemble.

    Attributes:
        forms: of the pictures that each of them takes.
    """

    def __init__(
        self,
        folders: Sequence[str],
        batch_size: int = captioner.BATCH_SIZE,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        """Load them.

        Args:
            folders: of the captioners, on a local disk or in a bucket.
            batch_size: pictures that one call of an encoder sees.
            engine: what runs them; see `transforms.engines.resolve`.
            threads: of one call; None for as many as there are cores.
            precision: of the encoders, one of `transforms.engines.PRECISIONS`.

        Raises:
            UsageError: a directory is no finished captioner, or they do not fit together.
        """
        self._first = folders[0]
        self._manifests = [captioner.read_manifest(folder) for folder in folders]
        self._vocabulary = shared_vocabulary(folders, self._manifests)
        self.forms = forms(self._manifests)
        self._batch_size = batch_size
        engine = engines.resolve(engine, folders, precision)
        self._engines = [
            engines.load(folder, engine, threads=threads, precision=precision) for folder in folders
        ]

    def encode(self, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Make the features of pictures.

        Encoders that compute a batch at once always see `batch_size` pictures (the last batch is
        padded with black ones), so features do not depend on how many pictures come together.

        Args:
            pixels: for each captioner the same B pictures in its form, uint8
                [B, height, width, 3], RGB.

        Returns:
            For each captioner [B, ...], float32 or float16.
        """
        return [
            joined(
                [
                    self._encode(engine, each[start : start + self._batch_size])
                    for start in range(0, max(len(each), 1), self._batch_size)
                ]
            )
            for engine, each in zip(self._engines, pixels, strict=True)
        ]

    def search(
        self,
        features: Sequence[np.ndarray],
        options: SearchOptions,
        *,
        seeds: Sequence[int] | None = None,
        attend: bool = False,
    ) -> list[list[Caption]]:
        """Search for captions, of `batch_size` pictures at once.

        Args:
            features: from `encode`.
            options: of the search.
            seeds: of the pictures, for a search that draws.
            attend: whether captions are to come with their attention.

        Returns:
            For each picture its captions, best first.
        """
        results: list[list[Caption]] = []
        longest = min(manifest["text"]["max_length"] for manifest in self._manifests)
        for start in range(0, len(features[0]), self._batch_size):
            batch = slice(start, start + self._batch_size)
            these = [each[batch] for each in features]
            drawn = None if seeds is None else seeds[batch]
            found = search(
                self._engines,
                these,
                options,
                longest,
                seeds=drawn,
                frequencies=self._frequencies if options.method == "consensus" else None,
                attend=attend,
            )
            results += [[self._caption(hypothesis) for hypothesis in each] for each in found]
        return results

    @functools.cached_property
    def _frequencies(self) -> ngrams.Frequencies:
        return frequencies(self._first, self._manifests[0], self._vocabulary)

    def _encode(self, engine: engines.Engine, pixels: np.ndarray) -> np.ndarray:
        missing = self._batch_size - len(pixels)
        if missing and not (engine.singly and len(pixels)):
            pixels = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)))
        return engine.encode(pixels)[: self._batch_size - missing]

    def _caption(self, hypothesis: Hypothesis) -> Caption:
        words = self._vocabulary.decode(hypothesis.tokens)
        attention = hypothesis.attention
        if attention is not None:
            rows, columns = self._grid(attention.shape[1])
            attention = attention.reshape(-1, rows, columns).astype(np.float16)
        return Caption(
            join(words, self._manifests[0]["text"]["tokenizer"]),
            hypothesis.score,
            tuple(zip(words, hypothesis.word_scores, strict=True)),
            attention,
            hypothesis.satisfied,
        )

    def _grid(self, positions: int) -> tuple[int, int]:
        """Return the rows and columns of the map that a decoder attends to."""
        for manifest in self._manifests:
            # The encoder's own is that of its lower blocks where it is cut.
            shape = manifest["decoder"].get("feature_shape") or []
            if len(shape) == 3 and shape[0] * shape[1] == positions:
                return shape[0], shape[1]
        side = math.isqrt(positions)
        return (side, side) if side * side == positions else (1, positions)


def frequencies(
    folder: str, manifest: dict[str, Any], vocabulary: Vocabulary
) -> ngrams.Frequencies:
    """Return how frequent n-grams are in the captions that a captioner was trained on.

    Args:
        folder: of the captioner, the first of several that work together.
        manifest: its manifest.
        vocabulary: its words.

    Raises:
        UsageError: the captioner does not say so, or its file is not the one that was exported.
    """
    if ngrams.NAME not in manifest["files"]:
        raise UsageError(
            f"{folder}: it has no {ngrams.NAME}, which a consensus needs: train and export it again"
            " with `python -m trainer.task`, or choose another search"
        )
    content = manifests.read_file(folder, manifest, ngrams.NAME)
    return ngrams.Frequencies.from_bytes(content, vocabulary, f"{folder}/{ngrams.NAME}")


def joined(batches: Sequence[np.ndarray]) -> np.ndarray:
    """Return batches as one, which costs nothing where there is but one."""
    return batches[0] if len(batches) == 1 else np.concatenate(batches)


def forms(manifests: Sequence[dict[str, Any]]) -> list[Form]:
    """Return the forms of the pictures that captioners take, from their manifests."""
    return [
        Form(tuple(manifest["encoder"]["input_size"]), stored.of(manifest))
        for manifest in manifests
    ]


def shared_vocabulary(folders: Sequence[str], manifests: Sequence[dict[str, Any]]) -> Vocabulary:
    """Return the vocabulary of captioners that are to work together.

    Args:
        folders: of the captioners.
        manifests: their manifests, in the same order.

    Raises:
        UsageError: two have different vocabularies or split captions into words in different ways.
    """
    first, *others = [manifest["text"] for manifest in manifests]
    for folder, text in zip(folders[1:], others, strict=True):
        if any(text[name] != first[name] for name in ("digest", "tokenizer")):
            raise UsageError(
                f"{folder} does not have the vocabulary of {folders[0]}: captioners work together"
                " only where they were trained on the same words"
            )
    return captioner.read_vocabulary(folders[0])

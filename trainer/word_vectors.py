"""Word vectors that others trained, in the text format of GloVe and of word2vec.

One word a line, then its numbers, all separated by single blanks; a first line of two whole
numbers, how many words there are and of how many numbers, is word2vec's and is skipped.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from trainer.configuration import Configuration
from trainer.model import Captioner
from transforms import files
from transforms.errors import UsageError

_LONGEST = 1 << 20  # Bytes of a line; no vector takes as many.


def check(configuration: Configuration, words: Sequence[str]) -> None:
    """Refuse a configuration whose vectors a training could not begin with.

    Raises:
        UsageError: see `read`.
    """
    if configuration.word_vectors:
        _kept(configuration.word_vectors, tuple(words), configuration.embedding)


def initialise(captioner: Captioner, path: str, words: Sequence[str]) -> int:
    """Begin with a file's vectors for the words that it has; returns how many.

    Raises:
        UsageError: see `read`.
    """
    embeddings = captioner.decoder.embedding.embeddings
    vectors = _kept(path, tuple(words), embeddings.shape[1])
    embeddings.assign(fill(embeddings.numpy(), vectors))
    return len(vectors)


def read(path: str, words: Sequence[str], size: int) -> dict[int, npt.NDArray[np.float32]]:
    """Find the vectors of a vocabulary's words.

    Only those are kept in memory, whatever the size of the file. A word that the file has twice
    has its first vector; one that it has only with other capitals has none.

    Args:
        path: of the file, on a disk or in a bucket.
        words: the vocabulary, by id.
        size: numbers that a word must have.

    Returns:
        float32 [size] by id; no entry for words that the file does not have.

    Raises:
        UsageError: the file cannot be read, is no such file, has vectors of another size, or none
            of the words.
    """
    ids = {word.encode(): number for number, word in enumerate(words)}
    found: dict[int, npt.NDArray[np.float32]] = {}
    try:
        with files.open_read(path) as stream:
            for number, line in enumerate(_lines(stream, path), 1):
                parts = line.rstrip().split(b" ")
                if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                    continue
                # GloVe has a few words with blanks in them: the numbers are counted from the end.
                word = b" ".join(parts[:-size])
                if len(parts) <= size or (number == 1 and len(parts) != size + 1):
                    raise UsageError(
                        f"{path}, line {number}: {len(parts) - 1} numbers, and --embedding={size}"
                        " needs as many: give it the size of the vectors, or another file"
                    )
                place = ids.get(word)
                if place is not None and place not in found:
                    found[place] = _vector(parts[-size:], f"{path}, line {number}")
    except OSError as error:
        raise UsageError(f"--word_vectors={path}: {error.strerror or error}") from error
    if not found:
        raise UsageError(
            f"{path}: it has none of the vocabulary's {len(words):,} words: is it of another"
            " language, or written in capitals?"
        )
    return found


@functools.lru_cache(maxsize=2)
def _kept(path: str, words: tuple[str, ...], size: int) -> dict[int, npt.NDArray[np.float32]]:
    """Read once what is first checked and then begun with, again and again by a search."""
    return read(path, words, size)


def fill(
    table: npt.NDArray[np.float32], vectors: dict[int, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Put vectors into a table of drawn ones, brought to the same spread.

    Layers above were drawn for numbers of the table's size, and published vectors are ten times
    as large; all vectors are scaled by one factor, which keeps their relations.

    Args:
        table: float32 [V, size].
        vectors: float32 [size] by id.
    """
    result = table.copy()
    chosen = np.stack(list(vectors.values()))
    scale = table.std() / max(float(chosen.std()), 1e-12)
    result[list(vectors)] = chosen * scale
    return result


def _lines(stream: BinaryIO, path: str) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(_LONGEST + 1):
        number += 1
        if len(line) > _LONGEST or b"\0" in line:
            raise UsageError(
                f"{path}, line {number}: this is not text: --word_vectors takes a word and its"
                " numbers on each line (convert word2vec's binary format first)"
            )
        yield line


def _vector(parts: Sequence[bytes], place: str) -> npt.NDArray[np.float32]:
    try:
        vector = np.array([float(part) for part in parts], np.float32)
    except ValueError:
        raise UsageError(f"{place}: a word must be followed by numbers alone") from None
    if not np.isfinite(vector).all():
        raise UsageError(f"{place}: a number is not finite")
    return vector

"""A picture with its caption, as a page shows it."""

import base64
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from transforms import images
from transforms.stored import Form

THUMBNAIL_SIDE = 320
WORD_SIDE = 112
# How much of the light is left where the captioner did not look.
DARKEST = 0.3


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of a caption.

    Attributes:
        text: the word.
        probability: that the captioner gave it after those before it, 0 to 1.
        image: a data URI of the picture, lit where the captioner looked; None where that is
            unknown.
    """

    text: str
    probability: float
    image: str | None = None


@dataclasses.dataclass(frozen=True)
class Card:
    """One image on a page. Every text comes from data and is escaped by the page.

    Attributes:
        key: the image's name.
        caption: its caption, which is also the picture's text alternative.
        image: a data URI from `thumbnail`, or None where the image cannot be shown.
        score: the captioner's score, a length-normalised log-probability.
        cider: CIDEr-D of the caption against the references.
        references: what people wrote.
        alternatives: the captioner's other captions with their scores, best first.
        words: of the caption, where the table tells of them.
    """

    key: str
    caption: str
    image: str | None = None
    score: float | None = None
    cider: float | None = None
    references: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    words: tuple[Word, ...] = ()


def from_row(row: Mapping[str, Any], image: str | None, references: Sequence[str] = ()) -> Card:
    """Return the card of a captions table's row.

    Args:
        row: as `transforms.captions_table.rows` yields it.
        image: what `thumbnail` made of the row's image, or None where there is none.
        references: what people wrote of the image.
    """
    alternatives = [(other["caption"], other["score"]) for other in row["alternatives"]]
    return Card(
        key=row["key"],
        caption=row["caption"],
        image=image,
        score=row["score"],
        references=tuple(references),
        alternatives=tuple(alternatives),
        words=_words(row, image),
    )


def thumbnail(data: bytes, *, original: tuple[int, int] | None = None) -> str | None:
    """Return a small JPEG of an image as a data URI, or None if the image cannot be decoded.

    Its longer side has `THUMBNAIL_SIDE` pixels; smaller images keep their size.

    Args:
        data: the encoded image.
        original: (width, height) of the image where it is known, which spares large JPEGs being
            decoded in full.
    """
    pixels = _small(data, THUMBNAIL_SIDE, original)
    return None if pixels is None else _uri(pixels, quality=80)


def lit(pixels: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Return a picture that is bright where a captioner looked, and dark elsewhere.

    Args:
        pixels: uint8 [height, width, 3].
        attention: [rows, columns], over the whole picture; its largest value is full light.
    """
    seen = np.asarray(attention, np.float32)
    low, high = float(seen.min()), float(seen.max())
    # What looks everywhere alike lights all.
    seen = (seen - low) / (high - low) if high > low else np.ones_like(seen)
    height, width = pixels.shape[:2]
    light = Image.fromarray(seen).resize((width, height), Image.Resampling.BICUBIC)
    # The root, because most of a map is far below its largest value.
    share = DARKEST + (1 - DARKEST) * np.sqrt(np.clip(np.asarray(light), 0, 1))
    return np.rint(pixels * share[..., None]).astype(np.uint8)


def _words(row: Mapping[str, Any], image: str | None) -> tuple[Word, ...]:
    """Return the words of a row, lit where the row has their attention."""
    words = row.get("word_scores") or []
    maps = row.get("attention") or []
    views = []
    if image and maps:
        pixels = _small(base64.b64decode(image.partition(",")[2]), WORD_SIDE, None)
        if pixels is not None:
            views = [_uri(lit(pixels, np.array(each)), quality=70) for each in maps]
    return tuple(
        Word(word["word"], math.exp(word["score"]), view)
        for word, view in itertools.zip_longest(words, views[: len(words)])
    )


def _small(data: bytes, side: int, original: tuple[int, int] | None) -> np.ndarray | None:
    """Return an image's pixels in a small size, or None if the image cannot be decoded."""
    try:
        picture = images.decode(data, original and Form(_fit(*original, side)[::-1]))
    except images.ImageError:
        return None
    pixels = Image.fromarray(picture.pixels)
    if max(pixels.size) > side:
        pixels = pixels.resize(_fit(*pixels.size, side), Image.Resampling.BICUBIC)
    return np.asarray(pixels)


def _uri(pixels: np.ndarray, quality: int) -> str:
    jpeg = images.to_jpeg(pixels, quality)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return (width, height) scaled down to the longer side, each at least 1."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))

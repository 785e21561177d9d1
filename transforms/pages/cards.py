"""A picture with its caption, as a page shows it."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from transforms import images

THUMBNAIL_SIDE = 320


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
    """

    key: str
    caption: str
    image: str | None = None
    score: float | None = None
    cider: float | None = None
    references: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()


def from_row(row: Mapping[str, Any], image: bytes | None, references: Sequence[str] = ()) -> Card:
    """Return the card of a captions table's row.

    Args:
        row: as `transforms.captions_table.rows` yields it.
        image: the bytes at the row's uri, or None where they are gone.
        references: what people wrote of the image.
    """
    alternatives = [(other["caption"], other["score"]) for other in row["alternatives"]]
    return Card(
        key=row["key"],
        caption=row["caption"],
        image=None if image is None else thumbnail(image, original=(row["width"], row["height"])),
        score=row["score"],
        references=tuple(references),
        alternatives=tuple(alternatives),
    )


def thumbnail(
    data: bytes, *, side: int = THUMBNAIL_SIDE, original: tuple[int, int] | None = None
) -> str | None:
    """Return a small JPEG of an image as a data URI, or None if the image cannot be decoded.

    Args:
        data: the encoded image.
        side: pixels of the longer side; smaller images keep their size.
        original: (width, height) of the image where it is known, which spares large JPEGs being
            decoded in full.
    """
    try:
        picture = images.decode(data, original and _fit(*original, side)[::-1])
    except images.ImageError:
        return None
    pixels = Image.fromarray(picture.pixels)
    if max(pixels.size) > side:
        pixels = pixels.resize(_fit(*pixels.size, side), Image.Resampling.BICUBIC)
    jpeg = images.to_jpeg(np.asarray(pixels), quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return (width, height) scaled down to the longer side, each at least 1."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))

"""What travels through the graph of the preprocessing job."""

import dataclasses

from transforms.sources import ImageRef


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """An image that is to be encoded."""

    ref: ImageRef
    sha256: str
    captions: tuple[str, ...]
    split: str


@dataclasses.dataclass(frozen=True, slots=True)
class Copied:
    """A name of an image whose bytes are already in the data set under another name."""

    ref: ImageRef
    sha256: str
    split: str
    original: str
    original_split: str
    captions: int


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """Images of one split that are encoded in one call and written to one file."""

    split: str
    images: tuple[Planned, ...]

"""What travels through the graph of the captioning job."""

import dataclasses

from transforms.sources import ImageRef


@dataclasses.dataclass(frozen=True)
class Content:
    """The bytes of an image, under all the names that they have."""

    sha256: str
    refs: tuple[ImageRef, ...]


@dataclasses.dataclass(frozen=True)
class Unit:
    """Images that are captioned in one call and written to one file."""

    contents: tuple[Content, ...]

"""Pictures in several sizes, for captioners that do not see the same."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from transforms import images
from transforms.isolation import Decode, around

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class SeveralSizes(images.Picture):
    """A picture with its pixels in more than one size.

    Attributes:
        others: uint8 [height, width, 3] each, in the order of the sizes after the first.
    """

    others: tuple[np.ndarray, ...] = ()


def at(decode: Decode, sizes: Sequence[Size]) -> Decode:
    """Return a function that decodes an image in each of some sizes; with one it is `decode`."""
    if len(sizes) == 1:
        return decode

    def decoded(data: bytes, _: Size | None, limits: images.Limits) -> SeveralSizes:
        first, *others = [decode(data, size, limits) for size in sizes]
        pixels = tuple(picture.pixels for picture in others)
        return SeveralSizes(first.pixels, first.width, first.height, pixels)

    return around(decode, decoded)


def stacked(pictures: Sequence[images.Picture]) -> list[np.ndarray]:
    """Return the pixels of pictures, uint8 [B, height, width, 3] for each size."""
    views = [(p.pixels, *(p.others if isinstance(p, SeveralSizes) else ())) for p in pictures]
    return [np.stack(view) for view in zip(*views, strict=True)]

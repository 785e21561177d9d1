"""Pictures in several forms, for captioners that do not take the same."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from transforms import images
from transforms.isolation import Decode, around
from transforms.stored import Form, Stored


@dataclasses.dataclass(frozen=True)
class SeveralForms(images.Picture):
    """A picture with its pixels in more than one form.

    Attributes:
        others: uint8 [height, width, 3] each, in the order of the forms after the first.
    """

    others: tuple[np.ndarray, ...] = ()


def decoder(decode: Decode, forms: Sequence[Form]) -> Decode:
    """Return a function that decodes an image in each of some forms, whatever else it is told."""

    def decoded(
        data: bytes,
        size: tuple[int, int] | None,
        limits: images.Limits,
        like: Stored | None = None,
    ) -> images.Picture:
        made = {form: decode(data, form.size, limits, form.like) for form in set(forms)}
        first, *others = [made[form] for form in forms]
        if not others:
            return first
        pixels = tuple(picture.pixels for picture in others)
        return SeveralForms(first.pixels, first.width, first.height, first.stored, pixels)

    return around(decode, decoded)


def stacked(pictures: Sequence[images.Picture]) -> list[np.ndarray]:
    """Return the pixels of pictures, uint8 [B, height, width, 3] for each form."""
    views = [(p.pixels, *(p.others if isinstance(p, SeveralForms) else ())) for p in pictures]
    return [np.stack(view) for view in zip(*views, strict=True)]

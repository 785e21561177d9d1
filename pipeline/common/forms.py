"""Pictures in several forms, for captioners that do not take the same."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from transforms import images
from transforms.isolation import Decoder
from transforms.stored import Form


@dataclasses.dataclass(frozen=True)
class SeveralForms(images.Picture):
    """A picture with its pixels in more than one form.

    Attributes:
        others: uint8 [height, width, 3] each, in the order of the forms after the first.
    """

    others: tuple[np.ndarray, ...] = ()


def decode(
    decoder: Decoder, forms: Sequence[Form], limits: images.Limits
) -> Callable[[bytes], images.Picture]:
    """Return a function that decodes an image in each of some forms."""

    def decoded(data: bytes) -> images.Picture:
        made = {form: decoder.decode(data, form, limits) for form in set(forms)}
        first, *others = [made[form] for form in forms]
        if not others:
            return first
        pixels = tuple(picture.pixels for picture in others)
        return SeveralForms(first.pixels, first.width, first.height, first.stored, pixels)

    return decoded


def stacked(pictures: Sequence[images.Picture]) -> list[np.ndarray]:
    """Return the pixels of pictures, uint8 [B, height, width, 3] for each form."""
    views = [(p.pixels, *(p.others if isinstance(p, SeveralForms) else ())) for p in pictures]
    return [np.stack(view) for view in zip(*views, strict=True)]

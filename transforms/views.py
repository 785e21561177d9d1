"""Views of a picture: what a captioner learns to say the same of.

A view is `flip`, the picture mirrored left to right, or `crop`, `crop2`, `crop3` ..., each another
part of it, scaled back to its size. Captions are not changed: 0.4 % of Flickr8k's have the word
"left" or "right", which a mirrored picture then contradicts.
"""

import hashlib
import re

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.errors import UsageError

LEAST = 0.8  # Share of each side that a crop has at least; its area has the square.
_NAME = re.compile(r"flip|crop(?:[2-9]|[1-9][0-9])?")


def check(names: tuple[str, ...]) -> None:
    """Refuse what is no view, or is named twice.

    Raises:
        UsageError: with the remedy.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"view {name!r} is unknown: use flip, crop, crop2, crop3 ... crop99")
        if names.count(name) > 1:
            raise UsageError(f"view {name} is named twice: name others, such as crop, crop2, crop3")


def apply(pixels: npt.NDArray[np.uint8], view: str, sha256: str) -> npt.NDArray[np.uint8]:
    """Return a view of a picture, the same for the same file on every machine.

    Args:
        pixels: uint8 [height, width, 3].
        view: its name; empty for the picture as it is.
        sha256: of the image file; with the view's name it decides the part that a crop has.

    Returns:
        uint8 of the same shape.
    """
    if not view:
        return pixels
    if view == "flip":
        return np.ascontiguousarray(pixels[:, ::-1])
    height, width = pixels.shape[:2]
    seed = hashlib.sha256(f"{view} {sha256}".encode()).digest()
    across, down, left, top = np.frombuffer(seed, "<u4")[:4] / 2**32
    across, down = (LEAST + (1 - LEAST) * share for share in (across, down))
    left, top = left * (1 - across) * width, top * (1 - down) * height
    box = (left, top, left + across * width, top + down * height)
    part = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, box)
    return np.asarray(part)

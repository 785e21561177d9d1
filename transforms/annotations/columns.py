"""Which fields of a table or record name the image, its captions and its split."""

import dataclasses
import re
from collections.abc import Sequence

_IMAGE = (
    "file_name",
    "filename",
    "image_name",
    "image_file",
    "image_path",
    "file_path",
    "filepath",
    "image",
    "img",
    "img_name",
    "img_path",
    "file",
    "path",
    "key",
    "name",
    "uri",
    "url",
    "image_url",
    "image_id",
    "img_id",
    "id",
)
_CAPTION = ("caption", "sentence", "text", "description", "comment", "raw", "title", "label")
_SPLIT = ("split", "set", "subset", "partition")

EXPECTED = "a column for the image (file_name, image, …) and one for the caption (caption, text, …)"
# The same in full, without the names that have numbers or a plural.
KNOWN = (
    f"for the image one of {', '.join(_IMAGE)}, and for the caption one of {', '.join(_CAPTION)}"
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The positions of the fields in use.

    Attributes:
        image: of the image's name.
        captions: of the captions, at least one.
        split: of the split, None where there is none.
    """

    image: int
    captions: tuple[int, ...]
    split: int | None


def find_columns(names: Sequence[object]) -> Columns | None:
    """Return the columns that header names point to, or None where they point to none.

    Names are compared without case, and `-` and blanks count as `_`. Several captions may stand
    in columns of one name with numbers or a plural: `caption_1`, `caption_2`, `captions`.
    """
    plain = [re.sub(r"[\s\-]+", "_", str(name).strip().lower()) for name in names]
    image = next((plain.index(name) for name in _IMAGE if name in plain), None)
    split = next((plain.index(name) for name in _SPLIT if name in plain), None)
    for word in _CAPTION:
        numbered = re.compile(rf"{word}s?_?\d*")
        captions = tuple(i for i, name in enumerate(plain) if numbered.fullmatch(name))
        if image is not None and captions:
            return Columns(image, captions, split)
    return None

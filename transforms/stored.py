"""How the pictures of a training were stored, so that others can be brought to the same.

A CNN sees what JPEG does to a small picture. Where that is in all pictures of a training, as in
data sets of thumbnails, a captioner relies on it: given clean pictures of the same size, it ends
captions after two words or stammers. Pictures of another kind are therefore scaled and compressed
as those were before it sees them.
"""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

PICTURES = "pictures"  # The entry of a manifest that says it.
ALIKE = 0.9  # Share of the pictures of a training that must have been stored alike.
SAMPLE = 32  # Pictures that are looked at of each unit.
# Pictures with more pixels, relative to what the CNN takes, lose by scaling what JPEG did to them.
_MOST_AREA = 4.0
_SIDES, _QUALITIES = 0.1, 5  # How far what counts as alike is apart.
FULL = "4:4:4"
_SUBSAMPLINGS = (FULL, "4:2:2", "4:2:0")
# The sum of the luminance table in the JPEG standard's annex K, from which libjpeg scales.
_TABLE_SUM = 3688


@dataclasses.dataclass(frozen=True)
class Stored:
    """A JPEG's size and compression.

    Attributes:
        width: in pixels, after its EXIF orientation.
        height: likewise.
        quality: the one of libjpeg, 1 to 100, whose table of luminance is nearest.
        subsampling: of its colours, `4:4:4`, `4:2:2` or `4:2:0`.
    """

    width: int
    height: int
    quality: int
    subsampling: str

    @property
    def slack(self) -> tuple[int, int]:
        """How many pixels the (width, height) of a JPEG may differ by that is stored so already."""
        return int(_SIDES * self.width), int(_SIDES * self.height)

    def fits(self, width: int, height: int) -> bool:
        """Tell whether a JPEG of a size is stored so already."""
        across, down = self.slack
        return abs(self.width - width) <= across and abs(self.height - height) <= down


@dataclasses.dataclass(frozen=True)
class Form:
    """What pictures a network takes: what `transforms.images.decode` is to be given.

    Attributes:
        size: (height, width) in pixels.
        like: how those of its training were stored, None where that is nothing to imitate.
    """

    size: tuple[int, int]
    like: Stored | None = None


def subsampling(number: int) -> str:
    """Return Pillow's number of a subsampling in words; where colours are lacking, the usual."""
    return _SUBSAMPLINGS[number] if 0 <= number < len(_SUBSAMPLINGS) else _SUBSAMPLINGS[-1]


def quality(luminance: Sequence[int]) -> int:
    """Return the quality of libjpeg whose table of luminance is nearest, 1 to 100.

    Args:
        luminance: the 64 numbers of a JPEG's table.
    """
    # libjpeg scales by 50 / q below the quality 50, and by 2 - q / 50 above.
    scale = sum(luminance) / _TABLE_SUM
    found = 50 / scale if scale > 1 else 50 * (2 - scale)
    return min(max(round(found), 1), 100)


def typical(pictures: Sequence[Stored | None], input_size: tuple[int, int]) -> Stored | None:
    """Return what most of a training's pictures were stored as, if that is something to imitate.

    Args:
        pictures: a sample; None for what is no JPEG.
        input_size: (height, width) that they are scaled to.
    """
    known = [picture for picture in pictures if picture is not None]
    if not known:
        return None
    found = Stored(
        width=statistics.median_low(picture.width for picture in known),
        height=statistics.median_low(picture.height for picture in known),
        quality=statistics.median_low(picture.quality for picture in known),
        subsampling=statistics.mode(sorted(picture.subsampling for picture in known)),
    )
    same = sum(alike(found, picture) for picture in known)
    height, width = input_size
    small = found.width * found.height < _MOST_AREA * width * height
    return found if small and same >= ALIKE * len(pictures) else None


def alike(one: Stored | None, other: Stored | None) -> bool:
    """Tell whether pictures that were stored so and so look the same to a CNN."""
    if one is None or other is None:
        return one is other
    return (
        one.fits(other.width, other.height)
        and abs(one.quality - other.quality) <= _QUALITIES
        and one.subsampling == other.subsampling
    )


def described(stored: Stored | None) -> dict[str, Any]:
    """Return a manifest's entry for it, none where there is nothing to imitate."""
    return {} if stored is None else {PICTURES: dataclasses.asdict(stored)}


def of(manifest: Mapping[str, Any]) -> Stored | None:
    """Return what the manifest of a data set or a captioner says; see `described`."""
    facts = manifest.get(PICTURES)
    return None if facts is None else Stored(**facts)

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

from transforms.errors import UsageError

PICTURES = "pictures"  # The entry of a manifest that says it.
ALIKE = 0.9  # Share of the pictures of a training that must have been stored alike.
SAMPLE = 32  # Pictures that are looked at of each unit.
# Pictures with more pixels, relative to what the CNN takes, lose by scaling what JPEG did to them.
_MOST_AREA = 4.0
_LEAST_SIDE, _MOST_SIDE = 32, 65500  # The latter is JPEG's.
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

    def covers(self, other: "Stored") -> bool:
        """Tell whether another JPEG has lost as much already: about the size, and no finer."""
        across, down = self.slack
        return (
            abs(self.width - other.width) <= across
            and abs(self.height - other.height) <= down
            and other.quality <= self.quality + _QUALITIES
            and _SUBSAMPLINGS.index(other.subsampling) >= _SUBSAMPLINGS.index(self.subsampling)
        )


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
    """Return the quality of libjpeg whose table of luminance has the nearest sum, 1 to 100.

    It is exact for tables of libjpeg's from 25 to 98; below, where libjpeg cuts numbers off at 255,
    it is too high.

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
    large = min(found.width, found.height) >= _LEAST_SIDE
    return found if small and large and same >= ALIKE * len(pictures) else None


def alike(one: Stored | None, other: Stored | None) -> bool:
    """Tell whether pictures that were stored so and so look the same to a CNN."""
    if one is None or other is None:
        return one is other
    return (
        _near(one.width, other.width)
        and _near(one.height, other.height)
        and abs(one.quality - other.quality) <= _QUALITIES
        and one.subsampling == other.subsampling
    )


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= _SIDES * max(one, other)


def described(stored: Stored | None) -> dict[str, Any]:
    """Return a manifest's entry for it, none where there is nothing to imitate."""
    return {} if stored is None else {PICTURES: dataclasses.asdict(stored)}


def of(manifest: Mapping[str, Any]) -> Stored | None:
    """Return what the manifest of a data set or a captioner says; see `described`.

    Raises:
        UsageError: it says what cannot be.
    """
    facts = manifest.get(PICTURES)
    if facts is None:
        return None
    numbers = {"width": _MOST_SIDE, "height": _MOST_SIDE, "quality": 100}
    if (
        not isinstance(facts, Mapping)
        or set(facts) != {*numbers, "subsampling"}
        or facts["subsampling"] not in _SUBSAMPLINGS
        or any(type(facts[n]) is not int or not 1 <= facts[n] <= numbers[n] for n in numbers)
    ):
        raise UsageError(
            f"the manifest of a {manifest.get('format')}: `{PICTURES}` is {facts!r}: give width and"
            f" height (1 to {_MOST_SIDE}), quality (1 to 100) and subsampling"
            f" ({', '.join(_SUBSAMPLINGS)}), or leave it out"
        )
    return Stored(**facts)

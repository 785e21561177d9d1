"""How training pictures were stored, and which others are brought to the same."""

import io

import pytest
from PIL import Image

from transforms import images, stored
from transforms.stored import Stored

SIZE = (224, 224)  # Of what a CNN takes.


def jpeg(size: tuple[int, int], quality: int, subsampling: int = 2) -> bytes:
    buffer = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 50, 75, 85, 95])
@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_a_jpeg_says_how_it_was_stored(quality: int, number: int, name: str) -> None:
    found = images.decode(jpeg((30, 20), quality, number), (8, 8)).stored
    assert found == Stored(30, 20, quality, name)


def thumbnails(count: int, quality: int = 85) -> list[Stored | None]:
    return [Stored(224 + number % 3, 224, quality, "4:2:0") for number in range(count)]


def test_thumbnails_that_are_alike_are_typical() -> None:
    assert stored.typical([*thumbnails(9), None], SIZE) == Stored(225, 224, 85, "4:2:0")


@pytest.mark.parametrize(
    "pictures",
    [
        [],
        [None] * 10,
        [*thumbnails(8), None, None],
        [*thumbnails(8), *thumbnails(2, quality=40)],
        [Stored(500, 300 + 30 * number, 90, "4:2:0") for number in range(10)],
        [Stored(640, 480, 85, "4:2:0")] * 10,
    ],
    ids=["none", "no JPEGs", "some no JPEGs", "two qualities", "many sizes", "large"],
)
def test_other_pictures_are_nothing_to_imitate(pictures: list[Stored | None]) -> None:
    assert stored.typical(pictures, SIZE) is None


def test_a_manifest_holds_it() -> None:
    like = Stored(224, 224, 85, "4:2:0")
    assert stored.of(stored.described(like)) == like
    assert stored.described(None) == {}
    assert stored.of({}) is None

"""How training pictures were stored, and which others are brought to the same."""

import io

import pytest
from PIL import Image

from transforms import images, stored
from transforms.errors import UsageError
from transforms.stored import Form, Stored

SIZE = (224, 224)  # Of what a CNN takes.


def jpeg(size: tuple[int, int], quality: int, subsampling: int = 2) -> bytes:
    buffer = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 50, 75, 85, 95])
@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_a_jpeg_says_how_it_was_stored(quality: int, number: int, name: str) -> None:
    found = images.decode(jpeg((30, 20), quality, number), Form((8, 8))).stored
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


@pytest.mark.parametrize("quality", range(25, 99))
def test_the_qualities_of_libjpeg_are_told_apart(quality: int) -> None:
    with Image.open(io.BytesIO(jpeg((8, 8), quality))) as image:
        assert stored.quality(image.quantization[0]) == quality


def test_a_few_pixels_are_no_picture() -> None:
    assert stored.typical([Stored(8, 8, 85, "4:2:0")] * 10, SIZE) is None


def test_pictures_are_alike_in_either_order() -> None:
    one, other = Stored(100, 100, 85, "4:2:0"), Stored(111, 100, 85, "4:2:0")
    assert stored.alike(one, other) and stored.alike(other, one)
    far = Stored(112, 100, 85, "4:2:0")
    assert not stored.alike(one, far) and not stored.alike(far, one)
    assert stored.alike(None, None) and not stored.alike(None, one)


def test_a_manifest_holds_it() -> None:
    like = Stored(224, 224, 85, "4:2:0")
    assert stored.of(stored.described(like)) == like
    assert stored.described(None) == {}
    assert stored.of({}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"subsampling": "4:1:0"},
        {"width": "224"},
        {"width": 0},
        {"height": 224.0},
        {"quality": 101},
        {"quality": True},
        {"size": 3},
    ],
)
def test_what_cannot_be_is_refused_before_a_picture_is(wrong: dict[str, object]) -> None:
    entry = {"width": 224, "height": 224, "quality": 85, "subsampling": "4:2:0", **wrong}
    with pytest.raises(UsageError, match=r"beamcap\.captioner: `pictures` is .*: give width"):
        stored.of({"format": "beamcap.captioner", "pictures": entry})
    with pytest.raises(UsageError, match="`pictures` is 7"):
        stored.of({"format": "beamcap.captioner", "pictures": 7})

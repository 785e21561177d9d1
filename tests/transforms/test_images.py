"""Real encoders make the images; what is asserted is what reaches a network or a reject."""

import io
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, features

from tests import data
from transforms import images
from transforms.errors import UsageError
from transforms.images import ImageError, Limits, decode
from transforms.rejects import RejectCode
from transforms.stored import Form, Stored

# The module ignores them; pytest resets the filters before each test.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "PPM": {},
    "JPEG2000": {},
}


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth colours without symmetry: red grows to the right, green downwards."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    blue = 128 + 100 * np.sin(7 * rows / height + 9 * columns / width)
    planes = (columns * 255 / width, rows * 255 / height, blue)
    return np.stack(planes, axis=-1).astype(np.uint8)


def code_of(encoded: bytes, limits: Limits | None = None) -> RejectCode:
    with pytest.raises(ImageError) as caught:
        decode(encoded, Form((8, 8)), limits or Limits())
    assert caught.value.message and "\n" not in caught.value.message
    return caught.value.code


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def needs(kind: str) -> None:
    """Skip the test where Pillow lacks a format, and fail it in CI, where the pinned one has it."""
    if kind == "AVIF" and not features.check("avif"):
        if os.environ.get("CI"):
            pytest.fail("this Pillow has no AVIF")
        pytest.skip("this Pillow has no AVIF")


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    picture = decode(encode(Image.fromarray(scene()), kind, **LOSSLESS[kind]))
    assert (picture.width, picture.height) == (80, 60)
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, scene())


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "AVIF"])
def test_lossy_formats_stay_close(kind: str) -> None:
    needs(kind)
    assert difference(decode(encode(Image.fromarray(scene()), kind)).pixels, scene()) < 12


def test_the_whole_picture_is_stretched() -> None:
    picture = decode(encode(Image.fromarray(scene(60, 120))), Form((24, 24)))
    assert picture.pixels.shape == (24, 24, 3)
    assert (picture.width, picture.height) == (120, 60)
    assert difference(picture.pixels, scene(24, 24)) < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", [None, Form((24, 40))])
def test_exif_orientation_is_undone(kind: str, orientation: int, form: Form | None) -> None:
    upright = scene(300, 400)
    # How a camera stores it: the inverse of what a viewer has to do.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright.transpose(1, 0, 2), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    picture = decode(encoded, form)
    assert (picture.width, picture.height) == (400, 300)
    expected = decode(encode(Image.fromarray(upright), kind), form).pixels
    assert picture.pixels.shape == expected.shape
    assert difference(picture.pixels, expected) < 3


def test_malformed_exif_is_no_reason_to_refuse_an_image() -> None:
    encoded = encode(Image.fromarray(scene()), "JPEG", exif=b"Exif\x00\x00MM\x00*garbage")
    assert decode(encoded, Form((8, 8))).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    if mode in ("I;16", "I"):
        deep = grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257
        image = Image.fromarray(deep)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = Image.fromarray(grey)
        image = image.quantize() if mode == "P" else image.convert("RGB").convert(mode)
    assert image.mode == mode
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "TIFF"
    pixels = decode(encode(image, kind)).pixels
    assert pixels.shape == (48, 64, 3)
    if mode == "1":
        assert set(np.unique(pixels)) == {0, 255}
    assert abs(pixels.mean() - grey.mean()) < 2
    assert mode == "1" or difference(pixels, np.repeat(grey[..., None], 3, axis=-1)) < 3


def test_sixteen_bit_png_is_rescaled_not_saturated() -> None:
    ramp = np.tile(np.arange(0, 65536, 257, dtype=np.uint16), (4, 1))
    pixels = decode(encode(Image.fromarray(ramp))).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(256))


def test_floats_and_deep_integers_use_their_own_range() -> None:
    for samples in (
        np.array([[-5.0, 0.0, 5.0]], np.float32),
        np.array([[0, 1, 2]], np.int32) << 20,
    ):
        pixels = decode(encode(Image.fromarray(samples), "TIFF")).pixels
        np.testing.assert_array_equal(pixels[0, :, 0], [0, 128, 255])
    hostile = np.array([[np.nan, np.inf, -np.inf, 0]], np.float32)
    assert decode(encode(Image.fromarray(hostile), "TIFF")).pixels.shape == (1, 4, 3)


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = (0, 128, 255)
    expected = [[255, 255, 255], [227, 127, 127], [200, 0, 0]]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        pixels = decode(encode(Image.fromarray(rgba), kind, **options)).pixels
        np.testing.assert_allclose(pixels[0], expected, atol=1)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    pixels = decode(encode(palette, "PNG", transparency=0)).pixels
    np.testing.assert_array_equal(pixels[0], [[255, 255, 255], [40, 50, 60]])
    black_is_clear = encode(Image.new("L", (2, 2)), "PNG", transparency=0)
    assert decode(black_is_clear).pixels.min() == 255


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "MPO", "AVIF"])
def test_the_first_frame_is_taken(kind: str) -> None:
    needs(kind)
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    encoded = encode(red, kind, save_all=True, append_images=[blue])
    assert difference(decode(encoded, Form((8, 8))).pixels, np.full((8, 8, 3), (255, 0, 0))) < 3


def test_a_large_jpeg_is_close_to_one_decoded_at_full_size() -> None:
    photograph = Image.fromarray(scene(900, 1200)).resize((2400, 1800))
    encoded = encode(photograph, "JPEG", quality=95)
    whole = Image.open(io.BytesIO(encoded)).resize((224, 224), Image.Resampling.BICUBIC)
    assert difference(decode(encoded, Form((224, 224))).pixels, np.asarray(whole)) < 0.6


def test_real_photographs_are_close_to_ones_decoded_at_full_size() -> None:
    differences = []
    for path in sorted((data.shared("coco_mini") / "val2017").glob("*.jpg"))[:20]:
        for side in (64, 128, 224):
            with Image.open(path) as image:
                whole = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            pixels = decode(path.read_bytes(), Form((side, side))).pixels
            differences.append(difference(pixels, np.asarray(whole)))
    # For comparison: storing them at 224 pixels as JPEGs of quality 95 makes 1.8 grey levels.
    assert np.mean(differences) < 1.0
    assert max(differences) < 3.0


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"", RejectCode.IMAGE_EMPTY),
        (b"hello, world", RejectCode.IMAGE_NOT_AN_IMAGE),
        (b"<html></html>", RejectCode.IMAGE_NOT_AN_IMAGE),
        (b"%PDF-1.7 ...", RejectCode.IMAGE_FORMAT_UNSUPPORTED),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", RejectCode.IMAGE_FORMAT_UNSUPPORTED),
        (b"\x00\x00\x00\x18ftypheic....", RejectCode.IMAGE_FORMAT_UNSUPPORTED),
        (b"\xff\xd8\xff\xe0", RejectCode.IMAGE_CORRUPT),
        (b"\x89PNG\r\n\x1a\n....", RejectCode.IMAGE_CORRUPT),
        (b"P6\n0 5\n255\n", RejectCode.IMAGE_CORRUPT),  # A side of no pixels.
    ],
)
def test_what_is_no_image_is_refused_with_its_code(encoded: bytes, code: RejectCode) -> None:
    assert code_of(encoded) == code


def test_limits_are_read_from_the_header() -> None:
    encoded = encode(Image.fromarray(scene(60, 80)))
    assert code_of(encoded, Limits(max_bytes=10)) == RejectCode.IMAGE_TOO_MANY_BYTES
    assert code_of(encoded, Limits(max_pixels=4799)) == RejectCode.IMAGE_TOO_MANY_PIXELS
    assert decode(encoded, None, Limits(max_pixels=4800)).height == 60


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    header = f"P6\n{side} {side}\n255\n".encode()
    assert code_of(header) == RejectCode.IMAGE_TOO_MANY_PIXELS


def test_importing_the_module_silences_pillow() -> None:
    command = "from transforms import images; images.decode(b'P5 9999 9999 255 ')"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert "ImageError" in run.stderr and "Warning" not in run.stderr


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_images_by_policy(kind: str) -> None:
    options = {"interlace": 0} if kind == "GIF" else {}
    encoded = encode(Image.fromarray(scene(200, 200)), kind, **options)
    half = encoded[: len(encoded) // 2]
    assert code_of(half) == RejectCode.IMAGE_TRUNCATED
    kept = decode(half, Form((20, 20)), Limits(truncated="accept")).pixels
    first = slice(-6, None) if kind == "BMP" else slice(6)  # BMP begins at the bottom
    assert difference(kept[first], decode(encoded, Form((20, 20))).pixels[first]) < 2
    again = decode(half, Form((20, 20)), Limits(truncated="accept")).pixels
    assert again.tobytes() == kept.tobytes()
    assert code_of(half) == RejectCode.IMAGE_TRUNCATED, "the policy of one call leaked into another"


def test_a_truncated_webp_is_called_truncated() -> None:
    assert code_of(encode(Image.fromarray(scene()), "WEBP")[:-40]) == RejectCode.IMAGE_TRUNCATED


def test_accepting_truncated_images_changes_nothing_for_whole_ones() -> None:
    for kind in ("JPEG", "PNG", "MPO"):
        encoded = encode(Image.fromarray(scene()), kind)
        accepting = decode(encoded, Form((24, 24)), Limits(truncated="accept"))
        np.testing.assert_array_equal(accepting.pixels, decode(encoded, Form((24, 24))).pixels)


@pytest.mark.parametrize("wrong", [{"max_pixels": 10**9}, {"max_bytes": 0}, {"truncated": "maybe"}])
def test_limits_that_cannot_hold_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Limits(**wrong)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_image_error_or_decode(rubbish: bytes) -> None:
    for start in (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"II*\x00",
        b"P6 4 4 ",
    ):
        try_decoding(start + rubbish)


@pytest.mark.parametrize("policy", ["reject", "accept"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "BMP", "JPEG2000"])
def test_flipped_bits_raise_image_error_or_decode(kind: str, policy: str) -> None:
    needs(kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if kind in ("GIF", "BMP", "JPEG2000") else {"exif": exif}
    intact = encode(Image.fromarray(scene()), kind, **options)
    rng = random.Random(0)
    for _ in range(60):
        damaged = bytearray(intact)
        for _ in range(rng.choice((1, 3, 30))):
            # Mostly in the header, where the damage is most various.
            damaged[rng.randrange(rng.choice((64, len(damaged))))] ^= 1 << rng.randrange(8)
        try_decoding(
            bytes(damaged[: rng.randrange(16, len(damaged) + 1)]), Limits(truncated=policy)
        )
        try_decoding(bytes(damaged), Limits(truncated=policy))


def test_damaged_photographs_raise_image_error_or_decode() -> None:
    rng = random.Random(1)
    for path in sorted((data.shared("flickr8k") / "images").glob("*.jpg"))[:100]:
        damaged = bytearray(path.read_bytes())
        for _ in range(rng.choice((1, 10, 100))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try_decoding(bytes(damaged))


def try_decoding(encoded: bytes, limits: Limits | None = None) -> None:
    try:
        picture = decode(encoded, Form((16, 16)), limits or Limits(max_pixels=1_000_000))
    except ImageError as error:
        assert error.code.value.startswith("image_")
    else:
        assert picture.pixels.shape == (16, 16, 3)


def by_hand(image: Image.Image, like: Stored, size: tuple[int, int]) -> np.ndarray:
    """Scale, store and scale again with Pillow alone."""
    small = image.convert("RGB").resize((like.width, like.height), Image.Resampling.BILINEAR)
    kept = encode(small, "JPEG", quality=like.quality, subsampling=like.subsampling)
    decoded = Image.open(io.BytesIO(kept)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(decoded)


@pytest.mark.parametrize("size", [(40, 50), (64, 64)])
def test_other_pictures_are_stored_as_those_of_the_training_were(size: tuple[int, int]) -> None:
    like = Stored(50, 40, 60, "4:2:0")
    image = Image.fromarray(scene(120, 160))
    for file in (encode(image), encode(image, "JPEG", quality=100)):
        found = decode(file, Form(size, like))
        wanted = by_hand(Image.open(io.BytesIO(file)), like, size)
        # A large JPEG is decoded at half its size.
        assert difference(found.pixels, wanted) < 1.5
        assert difference(found.pixels, decode(file, Form(size)).pixels) > difference(
            found.pixels, wanted
        )
        assert (found.width, found.height) == (160, 120)


def test_a_jpeg_that_is_stored_so_already_is_left_as_it_is() -> None:
    file = encode(Image.fromarray(scene(40, 50)), "JPEG", quality=60)
    like = Stored(52, 39, 60, "4:2:0")
    np.testing.assert_array_equal(
        decode(file, Form((64, 64), like)).pixels, decode(file, Form((64, 64))).pixels
    )
    # Nothing finer of that size is.
    for other in (
        encode(Image.fromarray(scene(40, 50))),
        encode(Image.fromarray(scene(40, 50)), "JPEG", quality=95),
        encode(Image.fromarray(scene(40, 50)), "JPEG", quality=60, subsampling="4:4:4"),
    ):
        kept, plain = (decode(other, Form((64, 64), each)).pixels for each in (like, None))
        assert difference(kept, plain) > 0.5


def test_a_photograph_is_upright_before_it_is_stored() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.fromarray(scene(120, 90))
    lying = encode(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)
    like = Stored(45, 60, 90, "4:2:0")
    found = decode(lying, Form((60, 45), like))
    assert (found.width, found.height) == (90, 120)
    assert found.stored is not None and (found.stored.width, found.stored.height) == (90, 120)
    assert difference(found.pixels, by_hand(image, like, (60, 45))) < 4


def test_threads_get_the_same_pixels() -> None:
    encoded = [encode(Image.fromarray(scene(300 + i, 400)), "JPEG") for i in range(20)]
    alone = [decode(one, Form((64, 64))).pixels.tobytes() for one in encoded]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: decode(one, Form((64, 64))).pixels.tobytes(), encoded))
    assert together == alone


def test_to_jpeg_keeps_the_picture() -> None:
    encoded = images.to_jpeg(scene())
    assert encoded.startswith(b"\xff\xd8\xff")
    assert encoded == images.to_jpeg(scene())
    assert difference(decode(encoded).pixels, scene()) < 2

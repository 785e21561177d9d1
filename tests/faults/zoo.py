"""Bad and odd image files, made in code, each with what must become of it."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

CAPTIONED = "captioned"
TRUNCATED, CORRUPT = "image_truncated", "image_corrupt"
NO_IMAGE, UNSUPPORTED = "image_not_an_image", "image_format_unsupported"
TOO_LARGE = "image_too_many_pixels"


@dataclass(frozen=True)
class Animal:
    """One entry of a folder.

    Attributes:
        name: below the folder; bytes that are no UTF-8 as surrogates.
        expected: `captioned`, a reject's code, or "" for what is not listed at all.
        make: writes it.
    """

    name: str
    expected: str
    make: Callable[[Path], object]


def populate(folder: Path) -> list[Animal]:
    """Write all of them into a folder; returns them."""
    found = list(animals())
    for animal in found:
        place = folder / animal.name
        place.parent.mkdir(parents=True, exist_ok=True)
        animal.make(place)
    return found


def animals() -> Iterator[Animal]:
    """Yield every one, with different bytes each, so that none stands for another."""
    for name, expected, content in _contents():
        yield Animal(name, expected, lambda path, data=content: path.write_bytes(data))
    for name in _NAMES:
        yield Animal(name, CAPTIONED, lambda path: path.write_bytes(saved("JPEG", _tinted(path))))
    yield from _entries()


_NAMES = (
    "line\nfeed.jpg",
    "carriage\rreturn.jpg",
    "tab\t.jpg",
    'it\'s "quoted".jpg',
    "back\\slash.jpg",
    "semi;colon,comma.jpg",
    "$(touch x) `y` %s {}.jpg",
    "*?[a].jpg",
    "-leading.jpg",
    " blank .jpg",
    "dots..in...it...jpg",
    "UPPER.JPG",
    "two.suffixes.gz.jpg",
    "日本語 ñ 🐈.jpg",
    "e\u0301 and \u00e9.jpg",
    "\u202eright to left.jpg",
    "no utf-8 \udcff\udcfe.jpg",
    "long " + "n" * 240 + ".jpg",
    "deep/" * 40 + "deep.jpg",
    "folder.jpg/inside.jpg",
)


def _contents() -> Iterator[tuple[str, str, bytes]]:
    """Yield names, what must become of them, and their bytes."""
    jpeg, png = saved("JPEG", picture(1)), saved("PNG", picture(2))
    yield from _ordinary()
    yield from _modes()
    for share in (10, 40, 70, 95):
        yield f"cut/{share}.jpg", TRUNCATED, jpeg[: len(jpeg) * share // 100]
        yield f"cut/{share}.png", TRUNCATED, png[: len(png) * share // 100]
    for name in ("GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"):
        data = saved(name, picture(3))
        expected = CORRUPT if name in ("JPEG2000", "AVIF") else TRUNCATED
        yield f"cut/{name}.{_SUFFIXES[name]}", expected, data[: len(data) // 2]
    yield "cut/header.jpg", CORRUPT, jpeg[:4]
    yield "cut/one-byte.jpg", NO_IMAGE, jpeg[:1]
    yield "cut/no-end.jpg", TRUNCATED, jpeg[:-2]
    yield "cut/no-data.png", CORRUPT, png[:33]
    yield "wrong/png.jpg", CAPTIONED, saved("PNG", picture(4))
    yield "wrong/jpeg.png", CAPTIONED, saved("JPEG", picture(5))
    yield "wrong/gif.tiff", CAPTIONED, saved("GIF", picture(6))
    yield "wrong/text.jpg", NO_IMAGE, b"this is not an image\n"
    yield "wrong/page.jpg", NO_IMAGE, b"<!DOCTYPE html><title>404</title>"
    yield (
        "wrong/pointer.jpg",
        NO_IMAGE,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    )
    yield "wrong/paper.jpg", UNSUPPORTED, b"%PDF-1.7\n1 0 obj\n"
    yield "wrong/script.jpg", UNSUPPORTED, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    yield "wrong/layers.jpg", UNSUPPORTED, b"8BPS" + bytes(40)
    yield "wrong/drawing.png", UNSUPPORTED, b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "wrong/phone.jpg", UNSUPPORTED, b"\0\0\0\x18ftypheic" + bytes(40)
    # By their suffixes alone, whatever they hold.
    yield "unread/phone.HEIC", UNSUPPORTED, saved("JPEG", picture(17))
    yield "unread/drawing.svg", UNSUPPORTED, b""
    yield "wrong/film.jpg", UNSUPPORTED, b"\0\0\0\x18ftypisom" + bytes(40)
    yield "wrong/icon.png", UNSUPPORTED, b"\0\0\1\0\1\0" + bytes(40)
    yield "wrong/program.jpg", NO_IMAGE, b"\x7fELF" + bytes(60)
    yield "wrong/archive.jpg", NO_IMAGE, b"PK\3\4" + bytes(60)
    yield "empty.jpg", "image_empty", b""
    yield "zeros.jpg", NO_IMAGE, bytes(4096)
    yield "noise.jpg", NO_IMAGE, np.random.default_rng(7).bytes(4096)
    yield "bomb/header.png", TOO_LARGE, _png_header(60_000, 60_000)
    yield "bomb/square.png", TOO_LARGE, _png_header(10_001, 10_000)
    yield "bomb/wide.png", TOO_LARGE, _png_header(2**31 - 1, 1)
    yield "bomb/zip.png", TOO_LARGE, png_bomb()
    yield "bomb/nothing.png", CORRUPT, _png_header(0, 0)
    yield (
        "bomb/text.png",
        CORRUPT,
        _with_chunk(saved("PNG", picture(8)), b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26))),
    )
    yield "broken/checksum.png", CORRUPT, _flipped(saved("PNG", picture(9)), 29)
    yield "broken/data.png", CORRUPT, _flipped(saved("PNG", picture(10)), 60)
    yield "broken/scan.jpg", CAPTIONED, _flipped(saved("JPEG", picture(11)), -50)
    yield "broken/tables.jpg", CAPTIONED, _flipped(saved("JPEG", picture(12)), 30)
    yield "broken/tail.jpg", CAPTIONED, saved("JPEG", picture(13)) + bytes(500)
    yield "broken/head.jpg", NO_IMAGE, b"\n\n" + saved("JPEG", picture(14))
    yield "broken/offset.tiff", CORRUPT, b"II*\0" + b"\xff" * 8
    yield "broken/loop.tiff", CORRUPT, b"II*\0\x08\0\0\0" + bytes(2)
    yield "broken/exif.jpg", CAPTIONED, saved("JPEG", picture(15), exif=b"Exif\0\0II*\0\xff\xff")
    yield "broken/profile.png", CAPTIONED, saved("PNG", picture(16), icc_profile=b"no profile")


def _ordinary() -> Iterator[tuple[str, str, bytes]]:
    for number, (name, suffix) in enumerate(_SUFFIXES.items(), 20):
        yield f"good/plain.{suffix}", CAPTIONED, saved(name, picture(number))
    yield "good/progressive.jpg", CAPTIONED, saved("JPEG", picture(30), progressive=True)
    yield "good/interlaced.gif", CAPTIONED, saved("GIF", picture(31), interlace=True)
    yield "good/lossless.webp", CAPTIONED, saved("WEBP", picture(32), lossless=True)
    yield "good/one-pixel.png", CAPTIONED, saved("PNG", picture(33).resize((1, 1)))
    yield "good/thread.png", CAPTIONED, saved("PNG", picture(34).resize((3000, 1)))
    yield "good/pole.jpg", CAPTIONED, saved("JPEG", picture(35).resize((1, 3000)))
    for name, suffix in (("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tiff"), ("MPO", "mpo")):
        others = [picture(number) for number in (40, 41, 42)]
        data = saved(name, picture(36), save_all=True, append_images=others)
        yield f"good/several.{suffix}", CAPTIONED, data
    for orientation in (0, 3, 6, 8, 9, 65535):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        data = saved("JPEG", picture(50 + orientation % 100), exif=exif)
        yield f"turned/{orientation}.jpg", CAPTIONED, data
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        data = saved("TIFF", picture(70), compression=compression)
        yield f"good/{compression}.tif", CAPTIONED, data


def _modes() -> Iterator[tuple[str, str, bytes]]:
    for mode, suffix, name in (
        ("CMYK", "jpg", "JPEG"),
        ("CMYK", "tif", "TIFF"),
        ("YCbCr", "jpg", "JPEG"),
        ("LAB", "tif", "TIFF"),
        ("L", "jpg", "JPEG"),
        ("L", "png", "PNG"),
        ("LA", "png", "PNG"),
        ("RGBA", "png", "PNG"),
        ("P", "png", "PNG"),
        ("1", "png", "PNG"),
        ("1", "bmp", "BMP"),
        ("RGBA", "webp", "WEBP"),
    ):
        shown = picture(80)
        if mode == "LAB":
            shown = Image.frombytes("LAB", shown.size, shown.tobytes())
        else:
            shown = shown.convert(mode)
        yield f"modes/{mode}.{suffix}", CAPTIONED, saved(name, shown)
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40)
    yield "modes/16.png", CAPTIONED, saved("PNG", Image.fromarray(deep.astype(np.uint16)))
    yield "modes/16.tif", CAPTIONED, saved("TIFF", Image.fromarray(deep.astype(np.uint16)))
    yield "modes/32.tif", CAPTIONED, saved("TIFF", Image.fromarray(deep.astype(np.int32)))
    yield "modes/float.tif", CAPTIONED, saved("TIFF", Image.fromarray(deep.astype(np.float32)))
    with np.errstate(divide="ignore", invalid="ignore"):
        odd = np.where(deep > 60_000, np.nan, deep / 0.0).astype(np.float32)
    yield "modes/nan.tif", CAPTIONED, saved("TIFF", Image.fromarray(odd))


def _entries() -> Iterator[Animal]:
    """Yield what is in a folder and is no file, or no file of its own."""
    yield Animal("empty folder.jpg", "", lambda path: path.mkdir())
    yield Animal("gone.jpg", "image_missing", lambda path: path.symlink_to("nowhere"))
    yield Animal("itself.jpg", "image_unreadable", lambda path: path.symlink_to(path.name))
    yield Animal("under a file.jpg", "image_unreadable", _under_a_file)
    yield Animal("pipe.jpg", "image_unreadable", os.mkfifo)
    yield Animal("linked.jpg", CAPTIONED, lambda path: path.symlink_to("UPPER.JPG"))
    yield Animal("upwards", "", lambda path: path.symlink_to(path.parent))
    yield Animal(".hidden.jpg", "", lambda path: path.write_bytes(saved("JPEG", picture(98))))
    yield Animal("notes.txt", "", lambda path: path.write_text("not listed"))
    yield Animal("no suffix", "", lambda path: path.write_bytes(saved("JPEG", picture(99))))


def _under_a_file(path: Path) -> None:
    path.symlink_to("UPPER.JPG/below")


_SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tiff",
    "WEBP": "webp",
    "AVIF": "avif",
    "PPM": "ppm",
    "JPEG2000": "jp2",
}


def picture(seed: int) -> Image.Image:
    """Return a small picture, another one for each seed."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((48, 36), Image.Resampling.BICUBIC)


def _tinted(path: Path) -> Image.Image:
    return picture(zlib.crc32(path.name.encode("utf-8", "surrogateescape")))


def saved(name: str, shown: Image.Image, **options: object) -> bytes:
    """Return a picture in a format of Pillow's."""
    buffer = io.BytesIO()
    shown.save(buffer, name, **options)
    return buffer.getvalue()


def _flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0xFF
    return bytes(changed)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    return png[:33] + _chunk(kind, data) + png[33:]


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return start + _chunk(b"IDAT", zlib.compress(bytes(100))) + _chunk(b"IEND", b"")


def png_bomb() -> bytes:
    """Return a PNG of a few kB that really holds 400 million black pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20_000 * 2_501), 9)
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return start + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")

"""Bad and odd archives, made in code, each with what must become of it and of its members."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Iterator

from tests.faults.zoo import CAPTIONED, TOO_LARGE, picture, png_bomb, saved

CORRUPT, ENCRYPTED, UNSAFE = "archive_corrupt", "member_encrypted", "member_unsafe"
DUPLICATE, NO_FILE, MEMBER_CORRUPT = "member_duplicate", "member_not_a_file", "member_corrupt"
TOO_MANY_BYTES = "image_too_many_bytes"

Outcomes = list[tuple[str, str]]
_BLOCK = 512


def archives() -> Iterator[tuple[str, bytes, Outcomes]]:
    """Yield archives: file name, content, and (member, outcome), "" for the archive itself."""
    yield from _tars()
    yield from _compressed()
    yield from _zips()
    yield from _unsafe()


def _tars() -> Iterator[tuple[str, bytes, Outcomes]]:
    three = _tar([(f"{name}.jpg", _jpeg(200 + n)) for n, name in enumerate("abc")])
    second = three.index(b"b.jpg")
    yield (
        "header.tar",
        three[:second] + b"?" * _BLOCK + three[second + _BLOCK :],
        [("a.jpg", CAPTIONED), ("", CORRUPT)],
    )
    three = _tar([(f"{name}.jpg", _jpeg(203 + n)) for n, name in enumerate("abc")])
    second = three.index(b"b.jpg")
    yield (
        "checksum.tar",
        three[: second + 148] + b"0000000\0" + three[second + 156 :],
        [("a.jpg", CAPTIONED), ("", CORRUPT)],
    )
    three = _tar([(f"{name}.jpg", _jpeg(206 + n)) for n, name in enumerate("abc")])
    third = three.index(b"c.jpg")
    yield (
        "cut in a body.tar",
        three[: third + _BLOCK + 100],
        [("a.jpg", CAPTIONED), ("b.jpg", CAPTIONED), ("c.jpg", CORRUPT), ("", CORRUPT)],
    )
    three = _tar([(f"{name}.jpg", _jpeg(209 + n)) for n, name in enumerate("abc")])
    yield (
        "cut in a header.tar",
        three[: three.index(b"c.jpg") + 100],
        [("a.jpg", CAPTIONED), ("b.jpg", CAPTIONED), ("", CORRUPT)],
    )
    yield "noise.tar", b"no archive at all" * 100, [("", CORRUPT)]
    yield "empty.tar", b"", [("", CORRUPT)]
    backwards = bytearray(tarfile.TarInfo("a.jpg").tobuf())
    backwards[124:136] = b"\xff" * 10 + struct.pack(">h", -1024)
    yield "backwards.tar", _summed(backwards) + bytes(10_240), [("", CORRUPT)]
    large = bytearray(tarfile.TarInfo("a.jpg").tobuf())
    large[124:136] = b"\x80" + (2**40).to_bytes(11, "big")
    yield (
        "terabyte.tar",
        _summed(large) + bytes(10_240),
        [("a.jpg", TOO_MANY_BYTES), ("", CORRUPT)],
    )
    yield (
        "of everything.tar",
        _tar([("bomb.png", png_bomb() + b"1"), ("inner.zip", b"PK"), ("text.jpg", b"no picture")]),
        [("bomb.png", TOO_LARGE), ("text.jpg", "image_not_an_image")],
    )


def _compressed() -> Iterator[tuple[str, bytes, Outcomes]]:
    for number, (codec, pack) in enumerate(_PACKERS.items()):
        first, second = _jpeg(220 + 2 * number), _jpeg(221 + 2 * number)
        whole = _tar([("a.jpg", first), ("b.jpg", second)])
        # In two pieces, so that it is known what is whole in front of the cut.
        middle = whole.index(b"b.jpg")
        rest = pack(whole[middle:])
        data = pack(whole[:middle]) + rest[: len(rest) // 2]
        yield f"cut.tar.{codec}", data, [("a.jpg", CAPTIONED), ("", CORRUPT)]
    yield "noise.tar.gz", b"no archive at all" * 100, [("", CORRUPT)]
    yield "header.tgz", gzip.compress(b"x")[:4], [("", CORRUPT)]
    zeros = tarfile.TarInfo("zeros.bin")
    zeros.size = 17 * 2**26
    before = _tar([("before.jpg", _jpeg(230))]).rstrip(b"\0")
    before += bytes(-len(before) % _BLOCK)
    bomb = gzip.compress(before + zeros.tobuf()) + 17 * gzip.compress(bytes(2**26), 1)
    yield "bomb.tar.gz", bomb, [("before.jpg", CAPTIONED), ("", "archive_bomb")]


def _zips() -> Iterator[tuple[str, bytes, Outcomes]]:
    yield "cut.zip", _zip([("a.jpg", _jpeg(240))])[:-30], [("", CORRUPT)]
    yield "noise.zip", b"no archive at all" * 100, [("", CORRUPT)]
    yield "empty.zip", b"", [("", CORRUPT)]
    yield "nothing.zip", _zip([]), []
    data = bytearray(_zip([("a.jpg", _jpeg(241)), ("b.jpg", _jpeg(242))]))
    data[data.index(b"PK\1\2") + 8] |= 1
    yield "password.zip", bytes(data), [("a.jpg", ENCRYPTED), ("b.jpg", CAPTIONED)]
    for number, (lie, size, expected) in enumerate(
        (("short", 300, MEMBER_CORRUPT), ("long", 90_000, MEMBER_CORRUPT), ("bomb", 2**30, ""))
    ):
        data = bytearray(_zip([("a.jpg", _jpeg(243 + number)), ("b.jpg", _jpeg(246 + number))]))
        struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, size)
        outcomes = [("a.jpg", expected or TOO_MANY_BYTES), ("b.jpg", CAPTIONED)]
        yield f"{lie} size.zip", bytes(data), outcomes
    data = bytearray(_zip([("a.jpg", _jpeg(250)), ("b.jpg", _jpeg(251))]))
    data[data.index(b"PK\3\4") + 200] ^= 0xFF
    yield "flipped.zip", bytes(data), [("a.jpg", MEMBER_CORRUPT), ("b.jpg", CAPTIONED)]
    data = bytearray(_zip([("a.jpg", _jpeg(252)), ("b.jpg", _jpeg(253))]))
    data[0] = 0
    yield "no member.zip", bytes(data), [("a.jpg", MEMBER_CORRUPT), ("b.jpg", CAPTIONED)]
    data = bytearray(_zip([("a.jpg", bytes(5000)), ("b.jpg", b"b"), ("c.jpg", _jpeg(254))]))
    struct.pack_into("<I", data, data.index(b"PK\1\2", data.index(b"PK\1\2") + 4) + 42, 0)
    outcomes = [("a.jpg", UNSAFE), ("b.jpg", UNSAFE), ("c.jpg", CAPTIONED)]
    yield "overlap.zip", bytes(data), outcomes
    yield (
        "lzma.zip",
        _zip([("a.jpg", _jpeg(255))], zipfile.ZIP_LZMA),
        [("a.jpg", "member_unsupported")],
    )
    yield "bomb.zip", _zip([("a.png", png_bomb() + b"2")]), [("a.png", TOO_LARGE)]
    link = zipfile.ZipInfo("a.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    yield "link.zip", _zip([(link, b"/etc/passwd")]), [("a.jpg", NO_FILE)]


def _unsafe() -> Iterator[tuple[str, bytes, Outcomes]]:
    names = ("/etc/a.jpg", "../b.jpg", "d/../../c.jpg", "..\\d.jpg", "C:/e.jpg")
    links = [
        _info("to.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _info("hard.jpg", type=tarfile.LNKTYPE, linkname="good.jpg"),
        _info("device.jpg", type=tarfile.CHRTYPE),
    ]
    for number, kind in enumerate(("tar", "tar.gz", "zip")):
        seed = 260 + 10 * number
        files = [(name, b"outside") for name in names] + [("good.jpg", _jpeg(seed))]
        outcomes = [(name, UNSAFE) for name in names] + [("good.jpg", CAPTIONED)]
        twice = [("a.jpg", _jpeg(seed + 1)), ("a.jpg", _jpeg(seed + 2)), ("./a.jpg", _jpeg(seed))]
        again = [("a.jpg", CAPTIONED), ("a.jpg", DUPLICATE), ("a.jpg", DUPLICATE)]
        if kind == "zip":
            yield "outside.zip", _zip(files), outcomes
            yield "twice.zip", _zip(twice), again
            continue
        pack = gzip.compress if kind.endswith("gz") else bytes
        yield f"outside.{kind}", pack(_tar(files)), outcomes
        yield f"twice.{kind}", pack(_tar(twice)), again
        members = [(info, b"") for info in links]
        yield f"links.{kind}", pack(_tar(members)), [(info.name, NO_FILE) for info in links]


_PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def _jpeg(seed: int) -> bytes:
    return saved("JPEG", picture(seed))


def _info(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def _tar(files: list[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files:
            info = name if isinstance(name, tarfile.TarInfo) else _info(name, size=len(data))
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _summed(header: bytearray) -> bytes:
    """Return a tar header with the checksum that belongs to it."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _zip(
    files: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        # Names that occur twice are what some of them are for.
        warnings.simplefilter("ignore", UserWarning)
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()

"""Images in tar and zip archives: found, read, and refused where they must be."""

import bz2
import gzip
import hashlib
import io
import lzma
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.sources.archives import codes, example, frame, listed, write_tar, write_zip
from transforms import sources
from transforms.errors import UsageError
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, SourceError, store, tars

KINDS: dict[str, Callable[[Path, list[tuple[str, bytes]]], Path]] = {
    "a.tar": write_tar,
    "a.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "a.TGZ": lambda path, files: write_tar(path, files, "w:gz"),
    "a.tar.bz2": lambda path, files: write_tar(path, files, "w:bz2"),
    "a.tar.xz": lambda path, files: write_tar(path, files, "w:xz"),
    "a.zip": write_zip,
    "stored.zip": lambda path, files: write_zip(path, files, zipfile.ZIP_STORED),
}
FILES = [
    ("a.jpg", b"1" * 700),
    ("notes.txt", b"2"),
    ("d/B.PNG", b""),
    ("d/e/" + "long" * 60 + ".webp", b"4" * 512),
    ("ü/日本\n'\".gif", b"5" * 1023),
    (".hidden.jpg", b"6"),
    ("__MACOSX/._a.jpg", b"7"),
    ("./dot.jpg", b"8"),
]
IMAGES = {name.removeprefix("./"): data for name, data in FILES if name not in (
    "notes.txt", ".hidden.jpg", "__MACOSX/._a.jpg")}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_members_that_are_images_are_found_and_read(tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name, FILES)
    refs, rejects = listed(path)
    assert not rejects
    assert {ref.key: sources.read(ref) for ref in refs} == IMAGES
    assert {ref.uri for ref in refs} == {f"{path}#{name}" for name in IMAGES}
    assert [ref.size for ref in refs] == [len(IMAGES[ref.key]) for ref in refs]
    for ref in reversed(refs):  # In any order, at a price.
        assert sources.read(ref) == IMAGES[ref.key]


@pytest.mark.parametrize("name", KINDS)
def test_members_in_formats_that_are_not_read_are_refused(tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name, [("d/a.heic", b"x"), ("b.SVG", b""), (".c.heic", b"")])
    unsupported = RejectCode.IMAGE_FORMAT_UNSUPPORTED
    assert codes(path) == [("d/a.heic", unsupported), ("b.SVG", unsupported)]
    with pytest.raises(UsageError, match="HEIC is not read: convert it to JPEG or PNG"):
        sources.check(str(path), "--images")


@pytest.mark.parametrize("name", KINDS)
def test_in_a_folder_keys_begin_with_the_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    KINDS[name](tmp_path / name, [("d/y.jpg", b"y")])
    assert {ref.key for ref in listed(tmp_path)[0]} == {"x.jpg", f"{name}/d/y.jpg"}
    assert {ref.key for ref in listed(f"{tmp_path}/*.[tz]*")[0]} == {f"{name}/d/y.jpg"}
    sources.check(f"{tmp_path}/{name}", "--images")


def test_a_compressed_archive_is_fingerprinted_as_it_is_listed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", [("a.jpg", b"a" * 1000), ("b.jpg", b"b")], "w:gz")
    refs, _ = listed(path)
    assert [ref.sha256 for ref in refs] == [
        hashlib.sha256(data).hexdigest() for data in (b"a" * 1000, b"b")
    ]
    assert [ref.stream for ref in refs] == [(str(path), 0)] * 2


def test_a_compressed_archive_is_read_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "a.tgz", [(f"{i}.jpg", b"%d" % i) for i in range(50)], "w:gz")
    refs, _ = listed(path)
    opened = []
    real = store.files.open_read
    monkeypatch.setattr(store.files, "open_read", lambda p: opened.append(p) or real(p))
    for ref in sorted(refs, key=lambda ref: ref.position):
        assert sources.read(ref) == ref.key.removesuffix(".jpg").encode()
    assert opened == [str(path)]


def test_bodies_of_an_uncompressed_tar_are_not_read_to_list_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{i}.jpg", b"x" * 10**6) for i in range(5)])
    read = []
    real = store.Store.read
    monkeypatch.setattr(store.Store, "read", lambda self, n=-1: _kept(read, real(self, n)))
    assert len(listed(path)[0]) == 5
    assert sum(read) < 20_000


def _kept(sizes: list[int], data: bytes) -> bytes:
    sizes.append(len(data))
    return data


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
@pytest.mark.parametrize(
    ("member", "code"),
    [
        ("/etc/a.jpg", "member_unsafe"),
        ("../a.jpg", "member_unsafe"),
        ("d/../../a.jpg", "member_unsafe"),
        ("..\\a.jpg", "member_unsafe"),
        ("C:/a.jpg", "member_unsafe"),
        ("d.jpg/", "member_not_a_file"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(
    tmp_path: Path, name: str, member: str, code: str
) -> None:
    path = tmp_path / name
    if member.endswith("/") and "tar" in name:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            info = tarfile.TarInfo(member)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
            archive.addfile(tarfile.TarInfo("good.jpg"))
    else:
        KINDS[name](path, [(member, b""), ("good.jpg", b"")])
    assert [code for _, code in codes(path)] == [RejectCode(code)]
    assert [ref.key for ref in listed(path)[0]] == ["good.jpg"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_the_last_of_several_members_of_one_name_counts(tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name, [("a.jpg", b"1"), ("a.jpg", b"2"), ("./a.jpg", b"3")])
    refs, rejects = listed(path)
    assert [sources.read(ref) for ref in refs] == [b"3"]
    assert [reject.code for reject in rejects] == [RejectCode.MEMBER_DUPLICATE] * 2


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, b"6"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert codes(tmp_path / "a.tar") == [("a.jpg", RejectCode.MEMBER_NOT_A_FILE)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        entry = zipfile.ZipInfo("a.jpg")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, "/etc/passwd")
    assert codes(tmp_path / "a.zip") == [("a.jpg", RejectCode.MEMBER_NOT_A_FILE)]


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    for format_ in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / "a.tar"
        write_tar(path, [(name, b"")], format=format_, encoding="utf-8", errors="surrogateescape")
        assert codes(path) == [(name, RejectCode.MEMBER_NAME_INVALID)]
    path = write_zip(tmp_path / "a.zip", [("cafe.jpg", b"")])
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    assert codes(path) == [(name, RejectCode.MEMBER_NAME_INVALID)]


def test_names_longer_than_a_path_are_refused(tmp_path: Path) -> None:
    fits = "a/" * 2045 + "12.jpg"
    files = [(fits, b"1"), (f"a{fits}", b"2")]
    for path in (write_tar(tmp_path / "a.tar", files), write_zip(tmp_path / "a.zip", files)):
        refs, rejects = listed(path)
        assert [ref.key for ref in refs] == [fits]
        assert [reject.code for reject in rejects] == [RejectCode.MEMBER_NAME_INVALID]
    path = tmp_path / "a.tfrecord"
    path.write_bytes(frame([example(image=b"x", key=b"9" * 5000)]))
    assert [ref.key for ref in listed(path)[0]] == ["00000000"]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda data: data[: 512 * 3] + b"?" * 512 + data[512 * 4 :], 1),  # a damaged header
        (lambda data: data[: 512 * 5], 2),  # no end marker
        (lambda data: data[: 512 * 5 - 100], 2),  # cut within a body
        (lambda data: data[: 512 * 3 + 100], 1),  # cut within a header
        (lambda data: data + data, 3),  # archives one behind another
        (lambda data: b"no archive at all" * 100, 0),
        (lambda data: b"", 0),
    ],
)
@pytest.mark.parametrize("codec", ["", ".gz", ".bz2", ".xz"])
def test_a_damaged_tar_is_reported_and_what_is_good_is_used(
    tmp_path: Path, damage: Callable[[bytes], bytes], kept: int, codec: str
) -> None:
    good = write_tar(
        tmp_path / "good", [("a.jpg", b"a" * 600), ("b.jpg", b"b" * 600), ("c.jpg", b"c")]
    )
    path = tmp_path / f"a.tar{codec}"
    packers = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(packers[codec](damage(good.read_bytes())))
    refs, rejects = listed(path)
    readable = [ref.key for ref in refs if _is_readable(ref)]
    assert [reject.code for reject in rejects] == [RejectCode.ARCHIVE_CORRUPT]
    assert readable == ["a.jpg", "b.jpg", "c.jpg"][: len(readable)]
    assert kept - 1 <= len(readable) <= kept


def _is_readable(ref: ImageRef) -> bool:
    try:
        return len(sources.read(ref)) == ref.size
    except SourceError as error:
        assert error.code is RejectCode.ARCHIVE_CORRUPT
        return False


@pytest.mark.parametrize("codec", ["gz", "bz2", "xz"])
def test_a_truncated_or_damaged_compressed_archive(tmp_path: Path, codec: str) -> None:
    path = write_tar(
        tmp_path / f"a.tar.{codec}", [("a.jpg", b"a" * 99), ("b.jpg", b"b")], f"w:{codec}"
    )
    data = path.read_bytes()
    for broken in (data[:-5], data[: len(data) // 2], data[:3], data[:-6] + b"??????"):
        path.write_bytes(broken)
        assert RejectCode.ARCHIVE_CORRUPT in [code for _, code in codes(path)]


def test_a_header_that_leads_backwards_ends(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.jpg")
    block = bytearray(info.tobuf())
    block[124:136] = b"\xff" * 10 + struct.pack(">h", -1024)  # A size in base 256.
    total = sum(block) - sum(block[148:156]) + 8 * 32
    block[148:156] = b"%06o\0 " % total
    (tmp_path / "a.tar").write_bytes(bytes(block) + bytes(10240))
    assert [code for _, code in codes(tmp_path / "a.tar")] == [RejectCode.ARCHIVE_CORRUPT]


def test_a_header_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    name = "x" * (tars.MAX_HEADER + 1) + ".jpg"
    path = write_tar(tmp_path / "a.tar.gz", [(name, b"")], "w:gz", format=tarfile.GNU_FORMAT)
    assert [code for _, code in codes(path)] == [RejectCode.ARCHIVE_CORRUPT]


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BOMB_BYTES", 2**20)
    path = write_tar(tmp_path / "a.tar.gz", [("zeros.bin", bytes(2**24)), ("a.jpg", b"a")], "w:gz")
    assert codes(path) == [("a.tar.gz", RejectCode.ARCHIVE_BOMB)]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_images_above_the_limit_are_refused_unread(tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name, [("a.jpg", bytes(1001)), ("b.jpg", bytes(1000))])
    (file,) = sources.find(str(path))
    items = list(sources.expand(file, max_bytes=1000))
    assert [item.code for item in items if isinstance(item, Reject)] == [
        RejectCode.IMAGE_TOO_MANY_BYTES
    ]
    ref = next(item for item in items if isinstance(item, ImageRef))
    with pytest.raises(SourceError) as caught:
        sources.read(ref, max_bytes=999)
    assert caught.value.code is RejectCode.IMAGE_TOO_MANY_BYTES


def test_the_image_of_a_webdataset_sample_stands_for_it(tmp_path: Path) -> None:
    files = [
        ("s/0001.jpg", b"1"),
        ("s/0001.json", b"{}"),
        ("s/0001.seg.png", b"mask"),
        ("s/0002.jpg", b"2"),
        ("s/0002.cls", b"7"),
        ("s/0003.seg.png", b"3"),
        ("s/0003.txt", b"no plain image beside it"),
        ("photo.edited.jpg", b"4"),
        ("photo.jpg", b"5"),
    ]
    refs, rejects = listed(write_tar(tmp_path / "a.tar", files))
    assert [ref.key for ref in refs] == [
        *("s/0001.jpg", "s/0002.jpg", "s/0003.seg.png", "photo.edited.jpg", "photo.jpg")
    ]
    assert [(r.key, r.code) for r in rejects] == [("s/0001.seg.png", RejectCode.MEMBER_SECONDARY)]


def test_a_store_that_fails_is_not_a_broken_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, write in KINDS.items():
        path = write(tmp_path / name, FILES)
        with monkeypatch.context() as patch:
            patch.setattr(store.files, "open_read", lambda p: _Failing(Path(p).read_bytes()))
            rejects = listed(path)[1]
        assert [reject.code for reject in rejects] == [RejectCode.IMAGE_UNREADABLE], name
        assert rejects[0].message == "the store is busy"
        assert rejects[0].code.retryable
        path.unlink()


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 100:
            raise OSError("the store is busy")
        return super().read(size)


def test_an_archive_that_changes_is_opened_anew(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"1")])
    (before,), _ = listed(path)
    assert sources.read(before) == b"1"
    replacement = write_tar(tmp_path / "b.tar", [("a.jpg", b"2")])
    replacement.rename(path)
    (after,), _ = listed(path)
    assert after.modified != before.modified
    assert sources.read(after) == b"2"


@settings(max_examples=60)
@given(
    st.binary(max_size=3000),
    st.sampled_from([*KINDS, "a.parquet", "a.tfrecord", "a.tfrecord.gz", "a.jpg"]),
)
def test_arbitrary_bytes_never_raise(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        for spec in (path, folder):
            for ref in listed(spec)[0]:
                _read_or_refuse(ref)


@settings(max_examples=80)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damaged_archives_never_raise(name: str, draw: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = KINDS[name](Path(folder, name), FILES)
        data = bytearray(path.read_bytes())
        for _ in range(draw.draw(st.integers(1, 8))):
            place = draw.draw(st.integers(0, len(data) - 1))
            data[place] = draw.draw(st.integers(0, 255))
        path.write_bytes(data[: draw.draw(st.integers(1, len(data)))])
        for ref in listed(path)[0]:
            _read_or_refuse(ref)


def _read_or_refuse(ref: ImageRef) -> None:
    try:
        data = sources.read(ref)
    except SourceError as error:
        assert error.message
    else:
        assert len(data) == ref.size


NAMES = st.lists(
    st.text(st.characters(exclude_characters="/\\\x00:", exclude_categories=["Cs"]), min_size=1)
    .filter(lambda part: not part.startswith("."))
    .map(lambda part: part[:40]),
    min_size=1,
    max_size=3,
).map(lambda parts: "/".join(parts) + ".jpg")


@settings(max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(NAMES, st.binary(max_size=1500), max_size=6))
def test_archives_round_trip(name: str, content: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = KINDS[name](Path(folder, name), list(content.items()))
        refs, rejects = listed(path)
        assert not rejects
        assert {ref.key: sources.read(ref) for ref in refs} == content

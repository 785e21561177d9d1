"""What is particular to zips: names, methods, and directories that do not fit the members."""

import struct
import zipfile
from pathlib import Path

import pytest

from tests.transforms.sources.archives import codes, listed, write_zip
from transforms import sources
from transforms.rejects import RejectCode
from transforms.sources import SourceError


def test_zip_names_in_utf8_without_its_flag_are_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("xxx.jpg", b"x")])
    path.write_bytes(path.read_bytes().replace(b"xxx", "日".encode()))
    assert [ref.key for ref in listed(path)[0]] == ["日.jpg"]


def test_folders_in_a_zip_of_windows_may_end_in_backslashes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, system in (("a\\1.jpg", 0), ("b\\2.jpg", 3), ("..\\3.jpg", 0)):
            entry = zipfile.ZipInfo(name)
            entry.create_system = system
            archive.writestr(entry, b"x")
    refs, rejects = listed(tmp_path / "a.zip")
    assert [ref.key for ref in refs] == ["a/1.jpg", "b\\2.jpg"]
    assert [sources.read(ref) for ref in refs] == [b"x", b"x"]
    assert [reject.code for reject in rejects] == [RejectCode.MEMBER_UNSAFE]


def test_an_encrypted_zip_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.jpg", b"a")])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert codes(path) == [("a.jpg", RejectCode.MEMBER_ENCRYPTED)]


def test_a_zip_member_of_another_method_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.jpg", b"a")], zipfile.ZIP_LZMA)
    assert codes(path) == [("a.jpg", RejectCode.MEMBER_UNSUPPORTED)]


def test_zip_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.jpg", bytes(5000)), ("b.jpg", b"b")])
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # Its local header is the first's.
    path.write_bytes(data)
    assert [code for _, code in codes(path)] == [RejectCode.MEMBER_UNSAFE] * 2


def test_of_a_zip_without_its_beginning_the_rest_is_read(tmp_path: Path) -> None:
    files = [(f"{name}.jpg", name.encode() * 1000) for name in "abc"]
    path = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    second = zipfile.ZipFile(path).getinfo("b.jpg").header_offset
    path.write_bytes(path.read_bytes()[second:])
    assert codes(path) == [("a.jpg", RejectCode.ARCHIVE_CORRUPT)]
    assert [(ref.key, sources.read(ref)) for ref in listed(path)[0]] == files[1:]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("lie", [b"declared", b"content", b"header"])
def test_a_zip_member_that_is_not_what_the_directory_says(
    tmp_path: Path, method: int, lie: bytes
) -> None:
    content = bytes(range(256)) * 8
    path = write_zip(tmp_path / "a.zip", [("a.jpg", content)], method)
    data = bytearray(path.read_bytes())
    if lie == b"declared":
        place = data.index(b"PK\1\2") + 24
        data[place : place + 4] = struct.pack("<I", 1000)
    elif lie == b"content":
        data[60] ^= 0xFF
    else:
        data[0] = 0
    path.write_bytes(data)
    (ref,), _ = listed(path)
    with pytest.raises(SourceError) as caught:
        sources.read(ref)
    assert caught.value.code is RejectCode.MEMBER_CORRUPT

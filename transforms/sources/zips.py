"""Indexing zip archives by their central directory, and reading a member by its range."""

import contextlib
import io
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from transforms.rejects import Reject, RejectCode
from transforms.sources import members
from transforms.sources.members import File, Member
from transforms.sources.reference import MAX_BYTES, ImageRef, SourceError, ZipMember
from transforms.sources.store import CHUNK, REQUEST, Store, parsing

MAX_DIRECTORY = 2**30
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_WINDOWS = (0, 10)  # FAT and NTFS.
_LOCAL_HEADER = struct.Struct("<4s22xHH")
# Bytes between a local header and what is stored: names mostly take less.
_NAMES = 1024


def expand(archive: File, max_bytes: int = MAX_BYTES) -> Iterator[ImageRef | Reject]:
    """Yield the images of a zip archive, and what of it is refused, from its directory alone.

    Raises:
        OSError: the store does not hand it over.
    """
    try:
        with parsing(), Store(archive.uri) as store:
            infos = zipfile.ZipFile(cast(BinaryIO, _Directory(store))).infolist()
            overlapping = _overlapping(infos)
            found = [
                _member(info, archive.uri, max_bytes, info.header_offset in overlapping)
                for info in infos
                if members.is_wanted(_name(info))
            ]
    except SourceError as error:
        yield archive.reject(error)
        return
    yield from members.references(archive, found)


def chunks(store: io.RawIOBase, place: ZipMember, size: int) -> Iterator[bytes]:
    """Yield the bytes of a member, checked against its length and checksum.

    Raises:
        SourceError: they do not inflate, or are others.
        OSError: the store failed.
    """
    with parsing(RejectCode.MEMBER_CORRUPT), contextlib.ExitStack() as stack:
        store.seek(place.offset)
        # `zipfile` reads little at a time, and each time would be a request.
        window = min(_LOCAL_HEADER.size + _NAMES + place.stored, REQUEST)
        stream = io.BufferedReader(store, window)
        stack.callback(stream.detach)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        if signature != b"PK\3\4":
            raise zipfile.BadZipFile("there is no member where the directory says")
        info = zipfile.ZipInfo("member")
        info.compress_type, info.CRC = place.method, place.crc
        info.compress_size, info.file_size = place.stored, size
        start = place.offset + _LOCAL_HEADER.size + name_length + extra_length
        stream.seek(start)
        total = 0
        with zipfile.ZipExtFile(cast(BinaryIO, stream), "r", info) as member:
            while data := member.read(CHUNK):
                total += len(data)
                yield data
        if total != size:
            raise EOFError(f"{total} bytes instead of {size}")


def _member(info: zipfile.ZipInfo, path: str, max_bytes: int, overlaps: bool) -> Member:
    refusal = None
    if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        refusal = (RejectCode.MEMBER_NOT_A_FILE, "a directory, link or device")
    elif info.flag_bits & _ENCRYPTED:
        refusal = (RejectCode.MEMBER_ENCRYPTED, "the member needs a password")
    elif info.compress_type not in _METHODS:
        refusal = (RejectCode.MEMBER_UNSUPPORTED, f"zip method {info.compress_type}")
    elif info.file_size > max_bytes:
        message = f"{info.file_size} bytes, more than the limit of {max_bytes}"
        refusal = (RejectCode.IMAGE_TOO_MANY_BYTES, message)
    elif info.header_offset < 0:
        # `zipfile` counts offsets from the end of what is there.
        refusal = (RejectCode.ARCHIVE_CORRUPT, "the archive lacks its beginning, and this with it")
    elif overlaps:
        refusal = (RejectCode.MEMBER_UNSAFE, "its bytes overlap those of another member")
    place = ZipMember(path, info.header_offset, info.compress_size, info.compress_type, info.CRC)
    return Member(_name(info), info.file_size, place, "", refusal)


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; unless it is flagged as UTF-8, `zipfile` took it for cp437."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        name = name.encode("cp437").decode("utf-8", "surrogateescape")
    # As `unzip` does: PowerShell 5 for one writes backslashes, which the format does not know.
    windows = info.create_system in _WINDOWS and "/" not in name
    return name.replace("\\", "/") if windows else name


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Return the offsets of members whose bytes are those of others too, as zip bombs do."""
    found, end, previous = set(), 0, 0
    there = (info for info in infos if info.header_offset >= 0)
    for info in sorted(there, key=lambda info: info.header_offset):
        if info.header_offset < end:
            found |= {previous, info.header_offset}
        after = info.header_offset + _LOCAL_HEADER.size + info.compress_size
        if after > end:
            end, previous = after, info.header_offset
    return found


class _Directory(io.RawIOBase):
    """A stream for `zipfile`, which believes what an archive says of its directory's length."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def read(self, size: int = -1, /) -> bytes:
        if size > MAX_DIRECTORY:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, f"a directory of {size} bytes")
        return self._store.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._store.seek(offset, whence)

    def tell(self) -> int:
        return self._store.tell()

    def seekable(self) -> bool:
        return True

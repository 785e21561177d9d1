"""Indexing tar archives: the headers alone where bodies can be skipped, in one pass otherwise."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from transforms.rejects import Reject, RejectCode
from transforms.sources import members, names
from transforms.sources.members import File, Member
from transforms.sources.reference import MAX_BYTES, PART_SIZE, ImageRef, SourceError, Span
from transforms.sources.store import CHUNK, Inflated, Store, parsing

# Names and metadata of one member; more is an attack or damage.
MAX_HEADER = 2**20
# Archives are filled up to a multiple of some size, 10 KiB for tar itself.
_PADDING = 2**20


def expand(archive: File, max_bytes: int = MAX_BYTES) -> Iterator[ImageRef | Reject]:
    """Yield the images of a tar archive, and what of it is refused.

    An uncompressed archive is read by its headers. A compressed one is inflated once, and its
    images fingerprinted on the way.

    Raises:
        OSError: the store does not hand it over.
    """
    codec = _codec(archive)
    found: list[Member] = []
    companions: list[str] = []
    broken = None
    try:
        with parsing(), _open(archive.uri, codec) as stream:
            for info in _walk(stream):
                if members.is_wanted(info.name):
                    part = len(found) // PART_SIZE if codec else 0
                    place = Span(archive.uri, info.offset_data, codec, part)
                    found.append(_member(info, place, stream, max_bytes))
                elif info.isreg():
                    companions.append(info.name)
    except SourceError as error:
        # What was found up to there is good.
        broken = archive.reject(error)
    yield from members.references(archive, found, companions)
    if broken is not None:
        yield broken


def has_image(archive: File) -> bool:
    """Whether a tar archive begins well and has an image that may be read, read no further.

    Raises:
        OSError: the store does not hand it over.
    """
    try:
        with parsing(), _open(archive.uri, _codec(archive)) as stream:
            return any(
                info.isreg()
                and members.is_wanted(info.name)
                and not names.format_refusal(info.name)
                for info in _walk(stream)
            )
    except SourceError:
        return False


def _codec(archive: File) -> str:
    return archive.kind.removeprefix("tar").removeprefix(".")


def _open(path: str, codec: str) -> Store | Inflated:
    return Inflated(path, codec) if codec else Store(path)


def _member(info: tarfile.TarInfo, place: Span, stream: io.RawIOBase, max_bytes: int) -> Member:
    refusal, sha256 = None, ""
    if info.size < 0:
        raise SourceError(RejectCode.ARCHIVE_CORRUPT, "a member's size is negative")
    if not info.isreg():
        refusal = (RejectCode.MEMBER_NOT_A_FILE, "a directory, link or device")
    elif info.issparse():
        refusal = (RejectCode.MEMBER_UNSUPPORTED, "a sparse member")
    elif info.size > max_bytes:
        message = f"{info.size} bytes, more than the limit of {max_bytes}"
        refusal = (RejectCode.IMAGE_TOO_MANY_BYTES, message)
    elif place.codec:
        sha256 = _digest(stream, info)
    return Member(info.name, info.size, place, sha256, refusal)


def _digest(stream: io.RawIOBase, info: tarfile.TarInfo) -> str:
    digest, left = hashlib.sha256(), info.size
    stream.seek(info.offset_data)
    while left:
        data = stream.read(min(left, CHUNK))
        if not data:
            raise EOFError("the archive ends within a member")
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


def _walk(stream: io.RawIOBase) -> Iterator[tarfile.TarInfo]:
    """Yield the headers of an archive; raises unless it is whole.

    `tarfile.TarFile.next` takes a damaged header for the end, and steps back by a byte, which
    a compressed file cannot.
    """
    headers = _Headers(stream)
    tar = tarfile.TarFile(
        fileobj=cast(BinaryIO, headers), encoding="utf-8", errors="surrogateescape"
    )
    info = tar.next()
    if info is None:
        return
    while True:
        yield info
        if tar.offset <= info.offset:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, "a header leads backwards")
        if stream.seek(tar.offset) < tar.offset:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, "it ends within a member")
        try:
            info = tarfile.TarInfo.fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in the type stubs
            break
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]  # not in the type stubs
            message = "it has no end marker: it may be cut short"
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, message) from None
    _check_padding(stream)


def _check_padding(stream: io.RawIOBase) -> None:
    """Read what follows the end marker, and with it the checksum of a compressed file."""
    seen = 0
    while seen < _PADDING and (data := stream.read(CHUNK)):
        seen += len(data)
        if data.strip(b"\0"):
            message = "there is more behind its end marker"
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, message)


class _Headers:
    """A stream for `tarfile`, which believes what a header says of its own length."""

    def __init__(self, stream: io.RawIOBase) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, f"a header of {size} bytes")
        return self._stream.read(size) or b""

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()

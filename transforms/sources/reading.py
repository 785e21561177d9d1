"""Reading the bytes of an image, wherever they are."""

import contextlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

from transforms.rejects import RejectCode
from transforms.sources import parquets, zips
from transforms.sources.reference import MAX_BYTES, Cell, ImageRef, SourceError, Span, ZipMember
from transforms.sources.store import CHUNK, REQUEST, Inflated, Store, parsing

# Archives that a thread keeps open; opening one costs a round trip to a store.
OPEN_ARCHIVES = 8

T = TypeVar("T", bound="io.RawIOBase | _Cells")


def read(ref: ImageRef, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of an image.

    Images of one `ref.stream` that a thread reads by rising `ref.position` cost one pass over
    it; in any other order each may cost a pass of its own.

    Raises:
        SourceError: they are too many, or its archive is broken.
        OSError: the system or the store does not hand them over.
    """
    return b"".join(chunks(ref, max_bytes))


def chunks(ref: ImageRef, max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Yield the bytes of an image in pieces; raises like `read`."""
    if ref.size > max_bytes:
        message = f"{ref.size} bytes, more than the limit of {max_bytes}"
        raise SourceError(RejectCode.IMAGE_TOO_MANY_BYTES, message)
    total = 0
    for chunk in _chunks(ref):
        total += len(chunk)
        if total > max_bytes:
            message = f"more than the limit of {max_bytes} bytes"
            raise SourceError(RejectCode.IMAGE_TOO_MANY_BYTES, message)
        yield chunk


def _chunks(ref: ImageRef) -> Iterator[bytes]:
    place = ref.place
    if place is None:
        with parsing(RejectCode.IMAGE_UNREADABLE), Store(ref.uri) as store:
            while chunk := store.read(CHUNK):
                yield chunk
    elif isinstance(place, Cell):
        with _kept(ref, lambda: _Cells(place), lambda cells: cells.next_row <= place.row) as cells:
            yield cells.read(place.row)
    elif isinstance(place, ZipMember):
        with _kept(ref, lambda: Store(place.archive, random=True)) as archive:
            yield from zips.chunks(archive, place, ref.size)
    else:
        yield from _span(ref, place)


def _span(ref: ImageRef, place: Span) -> Iterator[bytes]:
    def open_archive() -> Store | Inflated:
        if place.codec:
            return Inflated(place.archive, place.codec)
        return Store(place.archive, random=True)

    def is_ahead(archive: Store | Inflated) -> bool:
        return not place.codec or archive.tell() <= place.offset

    with _kept(ref, open_archive, is_ahead) as archive:
        archive.seek(place.offset)
        left = ref.size
        while left:
            chunk = archive.read(min(left, REQUEST))
            if not chunk:
                raise SourceError(RejectCode.ARCHIVE_CORRUPT, "the archive ends within it")
            left -= len(chunk)
            yield chunk


class _Cells:
    """The values of a column of a Parquet row group, read forwards."""

    def __init__(self, place: Cell) -> None:
        self._store = Store(place.archive)
        self._values = parquets.cells(parquets.open_file(self._store), place.column, place.group)
        self.next_row = 0

    def read(self, row: int) -> bytes:
        """Return the value of a row that is not behind."""
        value: bytes | None = None
        while self.next_row <= row:
            value = next(self._values, None)
            self.next_row += 1
        return value or b""

    def close(self) -> None:
        """Close the file."""
        self._store.close()


class _Open(threading.local):
    """The archives that a thread has open, the least recently used first."""

    def __init__(self) -> None:
        self.archives: OrderedDict[tuple[object, ...], io.RawIOBase | _Cells] = OrderedDict()


_OPEN = _Open()


@contextlib.contextmanager
def _kept(
    ref: ImageRef, open_archive: Callable[[], T], is_fit: Callable[[T], bool] = lambda _: True
) -> Iterator[T]:
    """Lend an open archive to the block, and keep it for the thread's next image of it.

    Args:
        ref: what is read; another version of an archive is another archive.
        open_archive: opens it.
        is_fit: whether one that is open can still reach the image.
    """
    assert ref.place is not None
    # The kind of archive is in the name, so that what is found by it is a T of `open_archive`.
    name = (ref.stream, type(ref.place), ref.place.archive, ref.modified)
    # While it is lent, nobody else finds it; after an error it is not kept.
    archive = _OPEN.archives.pop(name, None)
    with parsing():
        if archive is not None and not is_fit(archive):  # type: ignore[arg-type]  # is a T
            archive.close()
            archive = None
        lent: T = open_archive() if archive is None else archive  # type: ignore[assignment]  # is a T
        try:
            yield lent
        except BaseException:
            lent.close()
            raise
    if ref.stream is not None:
        # What is read from its start holds what it has read ahead; one is enough.
        for other in [other for other in _OPEN.archives if other[0] is not None]:
            _OPEN.archives.pop(other).close()
    _OPEN.archives[name] = lent
    while len(_OPEN.archives) > OPEN_ARCHIVES:
        _OPEN.archives.popitem(last=False)[1].close()

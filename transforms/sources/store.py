"""Reading archives so that a store that fails is told from an archive that is broken."""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from transforms import files
from transforms.rejects import RejectCode
from transforms.sources.reference import SourceError

CHUNK = 256 * 1024
# Bytes of an archive that a store is asked for at a time.
REQUEST = 8 * 2**20
BOMB_BYTES = 2**30
BOMB_RATIO = 100
_INFLATERS: dict[str, Callable[[Any], Any]] = {
    "gz": lambda stream: gzip.GzipFile(fileobj=stream),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


class StoreError(Exception):
    """An error of the disk or the store, not of what is in the file.

    Not an OSError itself: decompressors and parsers raise OSErrors for broken data.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause if isinstance(cause, OSError) else OSError(str(cause))


class Store(io.RawIOBase):
    """A file on a disk or in a bucket, open for reading at any place.

    Args:
        path: of the file.
        random: whether it is read here and there rather than from one end to the other.
    """

    def __init__(self, path: str, *, random: bool = False) -> None:
        super().__init__()
        with _translated():
            self._stream = files.open_random(path) if random else files.open_read(path)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end of the file."""
        with _translated():
            return self._stream.read(size)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # any buffer
        """Fill a buffer as far as the file goes; returns the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place; returns it.

        Raises:
            OSError: there is no such place, which is the parser's error and not the store's.
        """
        try:
            with _translated():
                return self._stream.seek(offset, whence)
        except StoreError as error:
            if isinstance(error.__cause__, ValueError) or error.cause.errno == errno.EINVAL:
                raise error.cause from error
            raise

    def tell(self) -> int:
        """Return the place."""
        with _translated():
            return self._stream.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._stream.close()
        super().close()


class Inflated(io.RawIOBase):
    """What a compressed file inflates to, read forwards with flat memory.

    Raises from any method:
        SourceError: it inflates to far more than real archives of photos do.
    """

    def __init__(self, path: str, codec: str) -> None:
        super().__init__()
        self._store = Store(path)
        self._stream: BinaryIO = _INFLATERS[codec](self._store)
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        pieces = []
        while size > 0 and (piece := self._stream.read(min(size, CHUNK))):
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
            refuse_bomb(self._position, self._store.tell())
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move forwards to a place counted from the start; returns where that ended.

        Raises:
            io.UnsupportedOperation: the place is behind, or not counted from the start.
        """
        if whence != io.SEEK_SET or offset < self._position:
            raise io.UnsupportedOperation("a compressed file is read forwards")
        while self._position < offset and self.read(min(CHUNK, offset - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._stream.close()
            self._store.close()
        super().close()


def refuse_bomb(inflated: int, stored: int) -> None:
    """Raise SourceError if so many bytes are far more than what real photos inflate to."""
    if inflated > max(BOMB_BYTES, BOMB_RATIO * stored):
        message = f"it inflates to more than {BOMB_RATIO} times its size"
        raise SourceError(RejectCode.ARCHIVE_BOMB, message)


@contextlib.contextmanager
def parsing(code: RejectCode = RejectCode.ARCHIVE_CORRUPT) -> Iterator[None]:
    """Turn whatever a parser raises on broken data into SourceError.

    Raises:
        SourceError: with `code`, or as the block raised it.
        OSError: the store failed.
    """
    try:
        yield
    except StoreError as error:
        raise error.cause from error
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # Parsers raise nearly every type on malformed input.
        text = " ".join(str(error).split())
        raise SourceError(code, text or type(error).__name__) from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # The clients of stores have exceptions of their own.
        raise StoreError(error) from error

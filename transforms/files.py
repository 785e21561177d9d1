"""Files on a local disk or in a bucket, behind one small set of functions.

Local paths go through the operating system, others (`gs://…`, `s3://…`, `hdfs://…`) through
Beam's file systems, with the options that a job has set for them. A file written here is either
whole or absent. Any function that asks a store raises UsageError where its client is not installed.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, BinaryIO, cast

from transforms.errors import UsageError

TEMPORARY_PREFIX = ".beamcap-tmp-"
SPOOL_BYTES = 32 * 1024 * 1024
_SHOWN_OF_ERROR = 300
RANDOM_BYTES = 64 * 1024
# Stores whose client not everybody has: its module, and what installs it.
_CLIENTS = {"s3": ("boto3", "-e '.[s3]'"), "hdfs": ("hdfs", "'apache-beam[hadoop]'")}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True, order=True)
class FileInfo:
    """A file in a listing; `modified` is in seconds since 1970, 0 where the store has none."""

    path: str
    size: int
    modified: float


def is_remote(path: str) -> bool:
    """Whether a path is a URL of some store rather than a local path."""
    return "://" in path


def expanded(path: str) -> str:
    """Return a local path with the home folder that `~` at its beginning stands for, if any.

    Shells do so themselves, but not in `--output=~/x`.
    """
    if is_remote(path) or not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        # Nobody has that home: it is the name of a file.
        return path


def absolute(path: str) -> str:
    """Return a path that means the same in every folder and process; `~` is somebody's home."""
    return path if is_remote(path) else str(Path(expanded(path)).absolute())


def scheme(path: str) -> str:
    """Return what the paths of a store begin with, such as `gs`; nothing for a local path."""
    return path.split("://", 1)[0] if is_remote(path) else ""


def has_store(path: str) -> bool:
    """Whether a path is a local one, or of a kind of store that Beam's file systems know."""
    if not is_remote(path):
        return True
    from apache_beam.io.filesystem import FileSystem
    from apache_beam.io.filesystems import FileSystems

    known = {each.scheme() for each in FileSystem.get_all_subclasses()}
    return FileSystems.get_scheme(path) in known


def encoded(name: str) -> bytes:
    """Return a name as bytes, those that are no text as they were on the disk."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """Return the name that `encoded` was given."""
    return name.decode("utf-8", "surrogateescape")


def join(folder: str, *parts: str) -> str:
    """Join a folder and the parts of a path below it, with forward slashes."""
    return "/".join([folder.rstrip("/"), *parts])


def open_read(path: str) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    if not is_remote(path):
        mode = Path(path).stat().st_mode
        if not S_ISREG(mode) and not S_ISDIR(mode):
            # A pipe would keep its reader waiting for ever.
            raise OSError(errno.EINVAL, "not a regular file", path)
        return Path(path).open("rb")
    with _store_errors(path):
        return cast(BinaryIO, _beam(path).open(path, compression_type=_uncompressed()))


def open_random(path: str) -> BinaryIO:
    """Open a file that is read here and there, in pieces of its own choice; like `open_read`.

    Otherwise the clients of stores fetch 16 MiB around whatever is asked for.
    """
    store = scheme(path)
    filesystem: Any = _beam(path).get_filesystem(path) if store in ("gs", "s3") else None
    # Beam's file systems have no way to pass the size on; what they open files with has.
    if store == "gs":
        client = filesystem._gcsIO()
    elif store == "s3":
        from apache_beam.io.aws.s3io import S3IO

        client = S3IO(options=filesystem._options)
    else:
        return open_read(path)
    with _store_errors(path):
        return cast(BinaryIO, client.open(path, read_buffer_size=RANDOM_BYTES))


def read_bytes(path: str) -> bytes:
    """Return a file's content; raises OSError like `open_read`."""
    with _store_errors(path), open_read(path) as stream:
        return stream.read()


def read_if_there(path: str) -> bytes | None:
    """Return a file's content, None where there is no such file.

    Raises:
        OSError: it cannot be read, or the store does not say whether it is there.
    """
    try:
        return read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        # Not every store says of what it cannot open that it is not there.
        if is_remote(path) and not exists(path):
            return None
        raise


def exists(path: str) -> bool:
    """Whether there is a file (or, on a local disk, a folder) of that name."""
    if not is_remote(path):
        return Path(path).exists()
    with _store_errors(path):
        return bool(_beam(path).exists(path))


def stat(path: str) -> FileInfo:
    """Return what a listing says of one file.

    Raises:
        OSError: there is no such file, or it cannot be asked for.
    """
    if not is_remote(path):
        try:
            status = Path(path).stat()
        except ValueError as error:  # A name that no file can have.
            raise OSError(errno.EINVAL, str(error), path) from error
        return FileInfo(path, status.st_size, status.st_mtime)
    try:
        with _store_errors(path):
            # A listing would take the name of an object for a glob.
            found = _beam(path).get_filesystem(path).metadata(path)
    except OSError as error:
        if exists(path):
            raise
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    return FileInfo(path, found.size_in_bytes, found.last_updated_in_seconds or 0)


def delete(path: str) -> None:
    """Delete a file; one that is already gone is no error."""
    if is_remote(path):
        if exists(path):
            with _store_errors(path):
                _beam(path).delete([path])
    else:
        Path(path).unlink(missing_ok=True)


def list_files(
    folder: str,
    enter: Callable[[str], bool] = lambda path: True,
    refused: Callable[[str, OSError], None] | None = None,
) -> Iterator[FileInfo]:
    """Yield every file below a folder, at any depth, hidden ones included.

    On a local disk a folder's entries come in the order of their names, symbolic links to
    files count as files, and linked folders are entered unless they lead back to a parent. A
    folder that vanishes meanwhile has no files.

    Args:
        folder: local or in a bucket.
        enter: whether to list a folder below it, by its path; stores have no folders to leave out.
        refused: told of a folder below it that cannot be listed, and why; None to raise.

    Raises:
        OSError: the folder or the store cannot be listed.
    """
    if is_remote(folder):
        # What is special in a glob cannot be quoted: other folders are found too, and left out.
        glob, special = _SPECIAL.subn("?", folder)
        start = join(folder, "") if special else ""
        with _store_errors(folder):
            found = _beam(folder).match([join(glob, "**")])[0].metadata_list
        for match in found:
            if match.path.startswith(start) and not match.path.endswith("/"):
                yield FileInfo(match.path, match.size_in_bytes, match.last_updated_in_seconds or 0)
    else:
        yield from _walk(folder, enter, refused)


def _walk(
    folder: str,
    enter: Callable[[str], bool],
    refused: Callable[[str, OSError], None] | None,
) -> Iterator[FileInfo]:
    # No function that calls itself: folders may lie deeper than Python's calls.
    real = os.path.realpath(folder)
    above, levels = {real}, [(real, _entries(folder))]
    while levels:
        real, entries = levels[-1]
        entry = next(entries, None)
        if entry is None:
            above.remove(real)
            levels.pop()
        elif not _is_folder(entry):
            yield _info(entry)
        elif enter(entry.path):
            linked = entry.is_symlink()
            below = os.path.realpath(entry.path) if linked else join(real, entry.name)
            if below in above:
                continue
            try:
                levels.append((below, _entries(entry.path)))
                above.add(below)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                if refused is None:
                    raise
                refused(entry.path, error)


def _entries(folder: str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as scan:
        return iter(sorted(scan, key=lambda entry: entry.name))


def _info(entry: "os.DirEntry[str]") -> FileInfo:
    try:
        status = entry.stat()
    except OSError:
        # A dangling link: the reader will say what is wrong with it.
        return FileInfo(entry.path, 0, 0)
    return FileInfo(entry.path, status.st_size, status.st_mtime)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


class HashingWriter:
    """A binary file object that counts and digests what is written through it.

    Attributes:
        path: of the file; the block of `atomic` may choose another in the same folder.
    """

    def __init__(self, stream: IO[bytes], path: str = "") -> None:
        self.path = path
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write bytes; returns how many."""
        self._digest.update(data)
        self.size += len(data)
        return self._stream.write(data)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of all that was written."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Pass on to the file below."""
        self._stream.flush()

    @property
    def closed(self) -> bool:
        """Whether the file below is closed."""
        return self._stream.closed

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Leave the file below open: `atomic` closes it."""


@contextlib.contextmanager
def atomic(path: str) -> Iterator[HashingWriter]:
    """Write a file that appears under its name whole, when the block ends without an error.

    A local file is written beside its place under a temporary name, flushed to the disk and
    renamed. An object is gathered locally and uploaded in one piece.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    if is_remote(path):
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            writer = HashingWriter(spool, path)
            yield writer
            spool.seek(0)
            with (
                _store_errors(path),
                _beam(path).create(writer.path, compression_type=_uncompressed()) as target,
            ):
                shutil.copyfileobj(spool, target, 4 * 1024 * 1024)
        return
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        with temporary.open("wb") as stream:
            writer = HashingWriter(stream, path)
            yield writer
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(writer.path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            # People know the file by its own name.
            raise OSError(error.errno, error.strerror or str(error), path) from error
        raise


def write_bytes(path: str, data: bytes) -> dict[str, int | str]:
    """Write a file at once; returns its size and digest as manifests record them."""
    with atomic(path) as stream:
        stream.write(data)
    return {"bytes": len(data), "sha256": stream.sha256}


def write_json(path: str, value: Any) -> dict[str, int | str]:
    """Write JSON as people like to read it: indented, in UTF-8, keys in their given order.

    Bytes of file names that are no text, which Python has as surrogates, are written as escapes.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return write_bytes(path, text.encode())


@contextlib.contextmanager
def _store_errors(path: str) -> Iterator[None]:
    """Turn what the clients of stores raise into OSError."""
    try:
        yield
    except (OSError, UsageError):
        raise
    except Exception as error:
        if not is_remote(path):
            raise
        if getattr(error, "code", None) == HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        reason = " ".join(str(error).split())[:_SHOWN_OF_ERROR]
        raise OSError(errno.EIO, f"the store answers: {reason}", path) from error


def _beam(path: str) -> Any:
    """Return Beam's file systems, fit to reach the store of a path."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    store = scheme(path)
    client, package = _CLIENTS.get(store, ("", ""))
    if client and find_spec(client) is None:
        raise UsageError(f"{path}: {store}:// takes {client}: run pip install {package}")
    if FileSystems._pipeline_options is None:
        # Commands that are no jobs have none, and the client of S3 does not begin without.
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


def _uncompressed() -> Any:
    # Otherwise Beam unpacks what is named .gz behind the reader's back.
    from apache_beam.io.filesystem import CompressionTypes

    return CompressionTypes.UNCOMPRESSED

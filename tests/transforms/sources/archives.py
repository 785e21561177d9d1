"""Archives made in code, and what is found in them, for the tests of sources."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transforms import sources
from transforms.records import masked_crc
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef

Files = Iterable[tuple[str, bytes]]


def write_tar(path: Path, files: Files, mode: str = "w", **settings: Any) -> Path:
    """Write a tar archive; `mode` as of `tarfile.open`."""
    with tarfile.open(path, mode, **settings) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def frame(records: Iterable[bytes]) -> bytes:
    """Return records framed as TFRecord."""
    stream = io.BytesIO()
    for data in records:
        length = struct.pack("<Q", len(data))
        stream.write(length + masked_crc(length) + data + masked_crc(data))
    return stream.getvalue()


def example(**features: bytes | int) -> bytes:
    """Return a serialised `tf.train.Example`; `__` in a name stands for `/`."""

    def field(number: int, data: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(data)) + data

    entries = b""
    for name, value in features.items():
        values = (
            field(1, field(1, value))
            if isinstance(value, bytes)
            else field(3, field(1, varint(value)))
        )
        entries += field(1, field(1, name.replace("__", "/").encode()) + field(2, values))
    return field(1, entries)


def varint(value: int) -> bytes:
    """Return a number as protocol buffers write it."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def write_tfrecords(path: Path, records: Iterable[bytes]) -> Path:
    """Write a TFRecord file, compressed if its name says so."""
    data = frame(records)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def listed(spec: object) -> tuple[list[ImageRef], list[Reject]]:
    """Return the images and the rejects that a source has."""
    items = [item for file in sources.find(str(spec)) for item in sources.expand(file)]
    return (
        [item for item in items if isinstance(item, ImageRef)],
        [item for item in items if isinstance(item, Reject)],
    )


def codes(spec: object) -> list[tuple[str, RejectCode]]:
    """Return the keys of the rejects that a source has, with their codes."""
    return [(reject.key, reject.code) for reject in listed(spec)[1]]

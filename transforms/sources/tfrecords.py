"""Indexing TFRecord files of `tf.train.Example`: where in the file each image's bytes are."""

import hashlib
import struct
from collections.abc import Iterator

from transforms.records import masked_crc
from transforms.rejects import Reject, RejectCode
from transforms.sources import names
from transforms.sources.members import File
from transforms.sources.reference import MAX_BYTES, PART_SIZE, ImageRef, SourceError, Span
from transforms.sources.store import Inflated, Store, parsing

# Features that hold an image, and those that name it, the most definite first.
IMAGE_FEATURES = (
    *("image/encoded", "image_raw", "image_bytes", "image/data", "image", "encoded"),
    *("jpg", "jpeg", "png", "webp", "img"),
)
NAME_FEATURES = (
    *("image/filename", "filename", "file_name", "image/key", "key", "__key__"),
    *("image/source_id", "image_id", "id"),
)
# What one record may have beside its image.
MAX_EXTRA = 64 * 2**20
_HEADER = 12
_FOOTER = 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Range = tuple[int, int]


def expand(archive: File, max_bytes: int = MAX_BYTES) -> Iterator[ImageRef | Reject]:
    """Yield the images of a TFRecord file, and what of it is refused.

    A file found in a folder whose first record holds no image is no source of images, and
    yields nothing.

    Raises:
        OSError: the store does not hand it over.
    """
    codec = archive.kind.removeprefix("tfrecord").removeprefix(".")
    try:
        with parsing():
            stream = Inflated(archive.uri, codec) if codec else Store(archive.uri)
        with stream:
            labels, number = names.Labels(), 0
            while (item := _next(archive, stream, number, codec, max_bytes, labels)) is not None:
                if number == 0 and _has_no_image(item) and not archive.named:
                    return
                yield item
                number += 1
    except SourceError as error:
        yield archive.reject(error)


def _has_no_image(item: ImageRef | Reject) -> bool:
    return isinstance(item, Reject) and item.code is RejectCode.ARCHIVE_UNSUPPORTED


def _next(
    archive: File,
    stream: Store | Inflated,
    number: int,
    codec: str,
    max_bytes: int,
    labels: names.Labels,
) -> ImageRef | Reject | None:
    """Read a record; returns its image, or why it has none, or None at the end."""
    with parsing():
        header = stream.read(_HEADER)
        if not header:
            return None
        if len(header) < _HEADER or masked_crc(header[:8]) != header[8:]:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, f"record {number}: not a header")
        (size,) = struct.unpack("<Q", header[:8])
        start = stream.tell()
        if size > max_bytes + MAX_EXTRA:
            if stream.seek(start + size + _FOOTER) < start + size + _FOOTER:
                raise SourceError(RejectCode.ARCHIVE_CORRUPT, f"it ends in record {number}")
            message = f"a record of {size} bytes; the limit of an image is {max_bytes}"
            return _reject(archive, number, RejectCode.IMAGE_TOO_MANY_BYTES, message)
        data, footer = stream.read(size), stream.read(_FOOTER)
        if len(data) < size or len(footer) < _FOOTER:
            raise SourceError(RejectCode.ARCHIVE_CORRUPT, f"it ends in record {number}")
    if masked_crc(data) != footer:
        message = "the record does not match its checksum"
        return _reject(archive, number, RejectCode.MEMBER_CORRUPT, message)
    try:
        with parsing(RejectCode.MEMBER_CORRUPT):
            features = example_features(data)
    except SourceError as error:
        return _reject(archive, number, error.code, f"no tf.train.Example: {error.message}")
    place = next((features[name] for name in IMAGE_FEATURES if name in features), None)
    if place is None:
        held = ", ".join(sorted(features)) or "none with bytes"
        message = f"the record has no image; its features are {held}"
        return _reject(archive, number, RejectCode.ARCHIVE_UNSUPPORTED, message)
    first, end = place
    if end - first > max_bytes:
        message = f"{end - first} bytes, more than the limit of {max_bytes}"
        return _reject(archive, number, RejectCode.IMAGE_TOO_MANY_BYTES, message)
    called = next((data[slice(*features[n])] for n in NAME_FEATURES if n in features), None)
    return ImageRef(
        archive.inside(labels.of(called, number)),
        _uri(archive, number),
        end - first,
        archive.modified,
        Span(archive.uri, start + first, codec, number // PART_SIZE if codec else 0),
        hashlib.sha256(data[first:end]).hexdigest(),
    )


def _reject(archive: File, number: int, code: RejectCode, message: str) -> Reject:
    key = archive.inside(names.Labels().of(None, number))
    return Reject(key, _uri(archive, number), "list", code, message)


def _uri(archive: File, number: int) -> str:
    return f"{archive.uri}#{number}"


def example_features(data: bytes) -> dict[str, Range]:
    """Return where the first value of each bytes feature of a `tf.train.Example` is.

    The wire format is walked by hand because no protocol buffer library tells the place of a
    value, and with the place an image is read by its range.

    Raises:
        ValueError, IndexError: the bytes are no such message.
    """
    found: dict[str, Range] = {}
    for features in _fields(data, (0, len(data)), 1):
        for entry in _fields(data, features, 1):
            name = b""
            for key in _fields(data, entry, 1):
                name = data[slice(*key)]
            for feature in _fields(data, entry, 2):
                for values in _fields(data, feature, 1):
                    value = next(_fields(data, values, 1), None)
                    if value is not None:
                        found[name.decode()] = value
    return found


def _fields(data: bytes, within: Range, wanted: int) -> Iterator[Range]:
    """Yield the places of the length-delimited fields of a number in a message."""
    position, end = within
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _BYTES:
            size, position = _varint(data, position)
            if position + size > end:
                raise ValueError("a field is longer than its message")
            if tag >> 3 == wanted:
                yield position, position + size
            position += size
        elif wire == _VARINT:
            _, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
    if position > end:
        raise ValueError("a field is longer than its message")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")

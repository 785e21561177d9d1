"""The record format: one `tf.train.Example` per image, framed as TFRecord.

This is the only module that knows it; docs/formats.md describes it byte for byte. Coding goes
through Arrow and tfx-bsl, which is some thirty times as fast as Python protocol buffers.
"""

import dataclasses
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

import google_crc32c
import numpy as np
import pyarrow as pa

from transforms.files import decoded, encoded

BYTES = pa.large_list(pa.large_binary())
INTS = pa.large_list(pa.int64())
SCHEMA = pa.schema(
    [
        ("captions", BYTES),
        ("features", BYTES),
        ("generated", INTS),
        ("height", INTS),
        ("image", BYTES),
        ("key", BYTES),
        ("sha256", BYTES),
        ("token_ids", INTS),
        ("token_lengths", INTS),
        ("uri", BYTES),
        ("view", BYTES),
        ("width", INTS),
    ]
)


class Writer(Protocol):
    """A file object as far as `write` needs it."""

    def write(self, data: bytes, /) -> int:
        """Write bytes; return how many."""
        ...


class RecordError(Exception):
    """A record file that is cut short, corrupt, or not of this format."""


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image with its captions.

    Attributes:
        key: the image's name, unique in its data set.
        uri: where the image was read.
        sha256: hexadecimal digest of the image file's bytes.
        width: pixels across, after EXIF orientation, before resizing.
        height: pixels down, likewise.
        captions: the captions as they were written.
        token_ids: for each caption its ids, from START to END.
        generated: for each caption whether a captioner wrote it; empty where people wrote all.
        features: float16 or float32, `[rows, columns, channels]` or `[channels]`; None where the
            data set stores images.
        image: the checked and resized picture as JPEG; None where it stores features.
        view: name of the view that this is of the image (`transforms.views`); empty for the image
            as it is.
    """

    key: str
    uri: str
    sha256: str
    width: int
    height: int
    captions: tuple[str, ...]
    token_ids: tuple[tuple[int, ...], ...]
    generated: tuple[bool, ...] = ()
    features: np.ndarray | None = None
    image: bytes | None = None
    view: str = ""


def encode(records: Sequence[Record]) -> list[bytes]:
    """Serialise records as `tf.train.Example`, the same bytes for the same records.

    Args:
        records: any number of records, either all with features or all with images, and either
            all views or none.

    Returns:
        One serialised Example for each record.
    """
    from tfx_bsl.coders import example_coder

    def text(values: Iterable[str]) -> list[bytes]:
        # File names need not be text: their bytes survive the way to the record and back.
        return [encoded(value) for value in values]

    columns: dict[str, list[Any]] = {
        "captions": [text(r.captions) for r in records],
        "features": [None if r.features is None else [_to_bytes(r.features)] for r in records],
        "generated": [list(map(int, r.generated)) or None for r in records],
        "height": [[r.height] for r in records],
        "image": [None if r.image is None else [r.image] for r in records],
        "key": [text([r.key]) for r in records],
        "sha256": [text([r.sha256]) for r in records],
        "token_ids": [[i for ids in r.token_ids for i in ids] for r in records],
        "token_lengths": [[len(ids) for ids in r.token_ids] for r in records],
        "uri": [text([r.uri]) for r in records],
        "view": [[r.view.encode()] if r.view else None for r in records],
        "width": [[r.width] for r in records],
    }
    # A null would be written as a feature without a value, so an unused column is left out.
    # Records with and without generated captions therefore do not go into one file.
    present = pa.schema(
        [f for f in SCHEMA if any(value is not None for value in columns[f.name])] or SCHEMA
    )
    batch = pa.RecordBatch.from_pydict({n: columns[n] for n in present.names}, schema=present)
    # A protocol buffer map has no order, and the C++ library's changes from run to run.
    return [_sort_features(e) for e in example_coder.RecordBatchToExamplesEncoder().encode(batch)]


def decode(
    examples: Sequence[bytes],
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
) -> list[Record]:
    """Parse what `encode` made.

    Args:
        examples: serialised Examples.
        shape: of the features, as the data set's manifest gives it; None where it stores images.
        dtype: `float16` or `float32`, likewise.

    Raises:
        RecordError: an Example that lacks a feature of the format.
    """
    from tfx_bsl.coders import example_coder

    return [
        _to_record(example_coder.ExampleToNumpyDict(example), shape, dtype) for example in examples
    ]


def write(stream: Writer, examples: Iterable[bytes]) -> int:
    """Write serialised Examples as TFRecord; returns how many."""
    count = 0
    for example in examples:
        length = struct.pack("<Q", len(example))
        stream.write(length + masked_crc(length))
        stream.write(example)
        stream.write(masked_crc(example))
        count += 1
    return count


def read(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the payloads of a TFRecord file, each checked against its sums.

    Args:
        stream: the file, open for reading.
        name: the file's name, for messages.

    Raises:
        RecordError: the file is cut short or corrupt.
    """
    index = 0
    while header := stream.read(12):
        length = header[:8]
        if len(header) < 12 or header[8:] != masked_crc(length):
            raise RecordError(f"{name}: record {index}: the header is cut short or corrupt")
        (size,) = struct.unpack("<Q", length)
        payload, footer = stream.read(size), stream.read(4)
        if len(payload) < size or footer != masked_crc(payload):
            raise RecordError(f"{name}: record {index}: the record is cut short or corrupt")
        yield payload
        index += 1


def _to_bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def masked_crc(data: bytes) -> bytes:
    """CRC-32C rotated and offset, as TensorFlow's record_writer.cc does it."""
    crc = google_crc32c.value(data)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def _to_record(
    example: dict[str, np.ndarray], shape: Sequence[int] | None, dtype: str | None
) -> Record:
    def values(name: str) -> list[Any]:
        value = example.get(name)
        return [] if value is None else value.tolist()

    def one(name: str) -> Any:
        value = values(name)
        if len(value) != 1:
            raise RecordError(f"a record has {len(value)} values of {name!r} instead of 1")
        return value[0]

    ends = np.cumsum([0, *values("token_lengths")])
    ids = values("token_ids")
    features = None
    if shape is not None and dtype is not None:
        features = np.frombuffer(one("features"), np.dtype(dtype).newbyteorder("<"))
        features = features.reshape(shape).astype(dtype, copy=False)
    return Record(
        key=decoded(one("key")),
        uri=decoded(one("uri")),
        sha256=one("sha256").decode(),
        width=one("width"),
        height=one("height"),
        captions=tuple(caption.decode() for caption in values("captions")),
        token_ids=tuple(tuple(ids[start:end]) for start, end in itertools.pairwise(ends)),
        generated=tuple(map(bool, values("generated"))),
        features=features,
        image=None if example.get("image") is None else one("image"),
        view="" if example.get("view") is None else one("view").decode(),
    )


def _sort_features(example: bytes) -> bytes:
    """Put the entries of an Example's feature map in the order of their names."""
    # Example: field 1 (Features), whose field 1 repeats the map's entries.
    size, position = _varint(example, 1)
    entries = []
    while position < len(example):
        length, start = _varint(example, position + 1)
        name_length, name_start = _varint(example, start + 1)
        name = example[name_start : name_start + name_length]
        entries.append((name, example[position : start + length]))
        position = start + length
    body = b"".join(entry for _, entry in sorted(entries))
    return example[: len(example) - size] + body


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value, position

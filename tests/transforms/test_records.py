"""The record format: bytes, round trips, and damage."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from transforms import records


def make(index: int = 0, **changes: object) -> records.Record:
    values = {
        "key": f"a/{index}.jpg",
        "uri": f"/data/a/{index}.jpg",
        "sha256": hashlib.sha256(str(index).encode()).hexdigest(),
        "width": 640,
        "height": 480,
        "captions": ("A dog.", "Ein Hund läuft."),
        "token_ids": ((1, 5, 2), (1, 6, 7, 2)),
        "features": np.arange(12, dtype=np.float16).reshape(2, 2, 3) + index,
    } | changes
    return records.Record(**values)


def test_round_trip() -> None:
    originals = [make(i) for i in range(5)]
    for original, copy in zip(
        originals, records.decode(records.encode(originals), (2, 2, 3), "float16"), strict=True
    ):
        assert copy.features is not None
        assert copy.features.dtype == np.float16
        np.testing.assert_array_equal(copy.features, original.features)
        for name in ("key", "uri", "sha256", "width", "height", "captions", "token_ids", "image"):
            assert getattr(copy, name) == getattr(original, name)


def test_images_round_trip() -> None:
    (copy,) = records.decode(records.encode([make(features=None, image=b"\xff\xd8jpeg")]))
    assert copy.image == b"\xff\xd8jpeg"
    assert copy.features is None


@given(
    captions=st.lists(st.text(), max_size=4),
    ids=st.lists(st.lists(st.integers(0, 2**40), max_size=4).map(tuple), max_size=4),
)
def test_any_captions_round_trip(captions: list[str], ids: list[tuple[int, ...]]) -> None:
    captions = [caption.encode(errors="ignore").decode() for caption in captions]
    record = make(captions=tuple(captions), token_ids=tuple(ids))
    (copy,) = records.decode(records.encode([record]), (2, 2, 3), "float16")
    assert copy.captions == tuple(captions)
    assert copy.token_ids == tuple(ids)


def test_bytes_are_the_documented_ones() -> None:
    (example,) = records.encode(
        [make(captions=("hi",), token_ids=((1, 300, 2),), features=np.array([1.0], np.float32))]
    )
    digest = hashlib.sha256(b"0").hexdigest().encode()
    golden = tf.train.Example(
        features=tf.train.Features(
            feature={
                "captions": _bytes(b"hi"),
                "features": _bytes(b"\x00\x00\x80\x3f"),
                "height": _ints(480),
                "key": _bytes(b"a/0.jpg"),
                "sha256": _bytes(digest),
                "token_ids": _ints(1, 300, 2),
                "token_lengths": _ints(3),
                "uri": _bytes(b"/data/a/0.jpg"),
                "width": _ints(640),
            }
        )
    )
    assert tf.train.Example.FromString(example) == golden
    names = [name for name in sorted(golden.features.feature) if name.encode() in example]
    positions = [example.index(b"\x0a" + bytes([len(n)]) + n.encode()) for n in names]
    assert positions == sorted(positions)


def _bytes(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def test_bytes_agree_between_processes() -> None:
    code = (
        "from tests.transforms.test_records import make; from transforms import records;"
        "import hashlib;"
        "print(hashlib.sha256(b''.join(records.encode([make(i) for i in range(50)]))).hexdigest())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    here = hashlib.sha256(b"".join(records.encode([make(i) for i in range(50)]))).hexdigest()
    assert outputs == {here.encode() + b"\n"}


def test_tensorflow_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    examples = records.encode([make(i) for i in range(3)])
    with path.open("wb") as stream:
        assert records.write(stream, examples) == 3
    assert [e.numpy() for e in tf.data.TFRecordDataset(str(path))] == examples
    with path.open("rb") as stream:
        assert list(records.read(stream, "x")) == examples


@given(cut=st.integers(1, 100), flip=st.integers(0, 10**6))
def test_damage_is_found(cut: int, flip: int) -> None:
    stream = io.BytesIO()
    records.write(stream, records.encode([make(i) for i in range(2)]))
    data = stream.getvalue()
    with pytest.raises(records.RecordError, match=r"x\.tfrecord: record"):
        list(records.read(io.BytesIO(data[:-cut]), "x.tfrecord"))
    damaged = bytearray(data)
    damaged[flip % len(data)] ^= 0x40
    with pytest.raises(records.RecordError):
        list(records.read(io.BytesIO(bytes(damaged)), "x.tfrecord"))

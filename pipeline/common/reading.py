"""Reading and decoding the images of a unit, ahead of the model."""

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pipeline.common import fingerprints
from transforms import images
from transforms import sources as image_sources
from transforms.prefetch import ordered_map
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, SourceError

T = TypeVar("T")
# Bytes of images that can only be read one after another which may wait to be decoded.
QUEUED_BYTES = 256 * 2**20
# Bytes or why there are none, of an image that has been read; None for one that has not.
Loaded = bytes | Reject | None


def batches(
    sources: Sequence[tuple[T, ImageRef, str]],
    decode: Callable[[bytes], images.Picture],
    batch_size: int,
    readers: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[list[tuple[T, images.Picture | Reject]]]:
    """Yield the pictures of images in batches, in an order that depends on the images alone.

    Images that can only be read one after another, as those of a compressed archive, come last
    and in the order of their archive, so that it is read once.

    Args:
        sources: what each picture is for, where it is read, and the sha256 that it must have.
        decode: makes a picture of bytes, or raises `images.ImageError`.
        batch_size: pictures a batch; the last may be smaller.
        readers: threads; at most two batches and a picture a thread are in memory. Images wait
            undecoded only where they must be read one after another: `QUEUED_BYTES` of them, and
            one more.
        check: called now and then while the next batch is not ready; what it raises ends this.
    """
    queued = _Queued()

    def picture(loaded: tuple[T, ImageRef, str, Loaded]) -> tuple[T, images.Picture | Reject]:
        owner, ref, sha256, data = loaded
        try:
            return owner, read_picture(ref, sha256, decode, data)
        finally:
            queued.done(data)

    ahead = 2 * batch_size + readers
    ordered = _in_reading_order(sources, queued)
    pictures = ordered_map(picture, ordered, readers, ahead, check, queued.room)
    while batch := list(islice(pictures, batch_size)):
        yield batch


class _Queued:
    """Counts the bytes that were read and are not decoded yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def load(self, ref: ImageRef) -> bytes | Reject:
        """Read an image."""
        data = _load(ref)
        self._add(data, 1)
        return data

    def done(self, data: Loaded) -> None:
        """Count no more what `load` returned."""
        self._add(data, -1)

    def _add(self, data: Loaded, times: int) -> None:
        if isinstance(data, bytes):
            with self._lock:
                self._bytes += times * len(data)

    def room(self) -> bool:
        """Whether another image may be read."""
        return self._bytes < QUEUED_BYTES


def _in_reading_order(
    sources: Sequence[tuple[T, ImageRef, str]], queued: _Queued
) -> Iterator[tuple[T, ImageRef, str, Loaded]]:
    """Yield what can be read by itself for any thread to read, then what cannot, as read."""
    streamed = [source for source in sources if source[1].stream is not None]
    yield from ((*source, None) for source in sources if source[1].stream is None)
    streamed.sort(key=lambda source: (source[1].stream or ("", 0), source[1].position))
    for owner, ref, sha256 in streamed:
        # One thread after another's image would begin the archive anew.
        yield owner, ref, sha256, queued.load(ref)


def _load(ref: ImageRef) -> bytes | Reject:
    try:
        return image_sources.read(ref)
    except (OSError, SourceError) as error:
        return fingerprints.unreadable(ref, "read", error)


def read_picture(
    ref: ImageRef,
    sha256: str,
    decode: Callable[[bytes], images.Picture],
    data: Loaded = None,
) -> images.Picture | Reject:
    """Read and decode one image, or say why not; `data` is what reading gave, if that is done."""
    if data is None:
        data = _load(ref)
    if isinstance(data, Reject):
        return data
    if fingerprints.digest(data) != sha256:
        message = "the file changed while the job ran"
        return Reject(ref.key, ref.uri, "read", RejectCode.IMAGE_CHANGED, message)
    try:
        return decode(data)
    except images.ImageError as error:
        return Reject(ref.key, ref.uri, "decode", error.code, error.message, error.seconds)

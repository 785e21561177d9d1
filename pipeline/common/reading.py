"""Reading and decoding the images of a unit, ahead of the model."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pipeline.common import fingerprints
from transforms import files, images
from transforms.isolation import Decode
from transforms.prefetch import ordered_map
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef

T = TypeVar("T")


def batches(
    sources: Sequence[tuple[T, ImageRef, str]],
    size: tuple[int, int],
    limits: images.Limits,
    batch_size: int,
    readers: int,
    decode: Decode = images.decode,
) -> Iterator[list[tuple[T, images.Picture | Reject]]]:
    """Yield the pictures of images in their order, in batches.

    Args:
        sources: what each picture is for, where it is read, and the sha256 that it must have.
        size: (height, width) in pixels to resize to.
        limits: what to accept.
        batch_size: pictures a batch; the last may be smaller.
        readers: threads; at most two batches and a picture a thread are in memory.
        decode: `images.decode`, or the same in another process.
    """

    def read(source: tuple[T, ImageRef, str]) -> tuple[T, images.Picture | Reject]:
        owner, ref, sha256 = source
        return owner, read_picture(ref, sha256, size, limits, decode)

    pictures = ordered_map(read, sources, readers, 2 * batch_size + readers)
    while batch := list(islice(pictures, batch_size)):
        yield batch


def read_picture(
    ref: ImageRef,
    sha256: str,
    size: tuple[int, int],
    limits: images.Limits,
    decode: Decode = images.decode,
) -> images.Picture | Reject:
    """Read and decode one image, or say why not."""
    try:
        data = files.read_bytes(ref.uri)
    except OSError as error:
        return fingerprints.unreadable(ref, "read", error)
    if fingerprints.digest(data) != sha256:
        message = "the file changed while the job ran"
        return Reject(ref.key, ref.uri, "read", RejectCode.IMAGE_CHANGED, message)
    try:
        return decode(data, size, limits)
    except images.ImageError as error:
        return Reject(ref.key, ref.uri, "decode", error.code, error.message)

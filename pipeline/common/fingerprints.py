"""Finding out what images are by content, so that copies are recognised."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence

from transforms import sources
from transforms.files import encoded
from transforms.prefetch import ordered_map
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef, SourceError

TOGETHER = 256  # Images that are read at a time: a store answers several readers as soon as one.
SHARE = 8  # Of these, those that a reader takes at a time.


def digest(data: bytes) -> str:
    """Return the hexadecimal sha256 of an image file's bytes."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(ref: ImageRef) -> str | Reject:
    """Return the hexadecimal sha256 of an image, or why it cannot be read.

    What listing had to read already is not read again.
    """
    if ref.sha256:
        return ref.sha256
    sha256 = hashlib.sha256()
    try:
        for chunk in sources.chunks(ref):
            sha256.update(chunk)
    except (OSError, SourceError) as error:
        return unreadable(ref, "list", error)
    return sha256.hexdigest()


def fingerprint_all(refs: Sequence[ImageRef], readers: int) -> Iterator[str | Reject]:
    """Yield what `fingerprint` gives for each image, in order.

    What can be read by itself, files and members of archives, is read by several threads, each some
    at a time: handing over a single one takes longer than reading it from a disk.
    """
    alone = [ref for ref in refs if not ref.sha256 and ref.stream is None]
    shares = [alone[start : start + SHARE] for start in range(0, len(alone), SHARE)]
    results = ordered_map(
        lambda share: [fingerprint(ref) for ref in share],
        shares,
        min(readers, len(shares)),
        len(shares),
    )
    read = itertools.chain.from_iterable(results)
    for ref in refs:
        yield fingerprint(ref) if ref.sha256 or ref.stream is not None else next(read)


def identity(ref: ImageRef, sha256: str) -> str:
    """Return the hexadecimal digest that decides in which unit an image is.

    That is its content's, so that a unit does not depend on names; but what is read in one pass
    stays together.
    """
    if ref.stream is None:
        return sha256
    archive, part = ref.stream
    return digest(encoded(f"{archive}#{part}"))


def unreadable(ref: ImageRef, stage: str, error: OSError | SourceError) -> Reject:
    """Return the reject for an image whose bytes are not handed over."""
    if isinstance(error, SourceError):
        return Reject(ref.key, ref.uri, stage, error.code, error.message)
    code = RejectCode.IMAGE_UNREADABLE
    if isinstance(error, FileNotFoundError):
        code = RejectCode.IMAGE_MISSING
    return Reject(ref.key, ref.uri, stage, code, error.strerror or str(error))

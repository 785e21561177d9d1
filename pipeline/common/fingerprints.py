"""Finding out what images are by content, so that copies are recognised."""

import hashlib

from transforms import files
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef

CHUNK = 1024 * 1024


def digest(data: bytes) -> str:
    """Return the hexadecimal sha256 of an image file's bytes."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(ref: ImageRef) -> str | Reject:
    """Return the hexadecimal sha256 of an image file, or why it cannot be read."""
    sha256 = hashlib.sha256()
    try:
        with files.open_read(ref.uri) as stream:
            while chunk := stream.read(CHUNK):
                sha256.update(chunk)
    except OSError as error:
        return unreadable(ref, "list", error)
    return sha256.hexdigest()


def unreadable(ref: ImageRef, stage: str, error: OSError) -> Reject:
    """Return the reject for a file that the system or the store does not hand over."""
    code = RejectCode.IMAGE_UNREADABLE
    if isinstance(error, FileNotFoundError):
        code = RejectCode.IMAGE_MISSING
    return Reject(ref.key, ref.uri, stage, code, error.strerror or str(error))

"""From the URI of an image, as tables keep it, back to its bytes."""

import functools
import re

from transforms import files
from transforms.rejects import RejectCode
from transforms.sources import names
from transforms.sources.listing import expand
from transforms.sources.members import File
from transforms.sources.reading import read
from transforms.sources.reference import MAX_BYTES, ImageRef, SourceError


def read_uri(uri: str, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of the image that a URI stands for, `archive#member` included.

    The first image of an archive costs listing it. This is for looking at some images, such as
    those on a page; jobs read references.

    Raises:
        SourceError: they are too many, its archive is broken, or has no such member.
        OSError: the system or the store does not hand them over.
    """
    for split in re.finditer("#", uri):
        kind = names.kind_of(uri[: split.start()])
        if kind not in (None, names.IMAGE, names.LIST):
            ref = _members(files.stat(uri[: split.start()]), str(kind)).get(uri)
            if ref is None:
                message = "the archive has no such image"
                raise SourceError(RejectCode.ARCHIVE_CORRUPT, message)
            return read(ref, max_bytes)
    return read(ImageRef(uri.rsplit("/", 1)[-1], uri, 0, 0), max_bytes)


@functools.lru_cache(maxsize=4)
def _members(info: files.FileInfo, kind: str) -> dict[str, ImageRef]:
    items = expand(File("", info.path, info.size, info.modified, kind))
    return {item.uri: item for item in items if isinstance(item, ImageRef)}

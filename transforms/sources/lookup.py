"""From the URIs of images, as tables keep them, back to their bytes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from transforms.sources import names
from transforms.sources.listing import expand
from transforms.sources.members import File
from transforms.sources.reading import read
from transforms.sources.reference import ImageRef, SourceError


def archive(uri: str) -> str | None:
    """Return the path of the archive that an image is in; None for a file of its own."""
    for split in re.finditer("#", uri):
        path = uri[: split.start()]
        if names.kind_of(path) not in (None, names.IMAGE, names.LIST):
            return path
    return None


def read_uris(uris: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield images with the URIs that stand for them, `archive#member` included.

    Those that are gone, or cannot be read, are left out. Each archive is listed once, and a
    compressed one is read once more; so images come in another order. This is for looking at some
    images, such as those on a page; jobs read references.
    """
    inside = defaultdict(set)
    for uri in uris:
        inside[archive(uri)].add(uri)
    for path, wanted in sorted(inside.items(), key=lambda item: item[0] or ""):
        for ref in _members(path, wanted) if path else map(_file, sorted(wanted)):
            try:
                yield ref.uri, read(ref)
            except (OSError, SourceError):
                continue


def _file(uri: str) -> ImageRef:
    return ImageRef(uri.rsplit("/", 1)[-1], uri, 0, 0)


def _members(path: str, wanted: set[str]) -> list[ImageRef]:
    """Return those of an archive's images, in the order in which it has them."""
    items = expand(File("", path, -1, 0, str(names.kind_of(path))))
    found = [item for item in items if isinstance(item, ImageRef) and item.uri in wanted]
    return sorted(found, key=lambda ref: (ref.stream or ("", 0), ref.position))

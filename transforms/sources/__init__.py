"""Where images come from: finding them, referring to them, and reading one."""

from transforms.sources.listing import check, expand, find, list_images, prefixes
from transforms.sources.lookup import archive, read_uris
from transforms.sources.members import File
from transforms.sources.names import IMAGE_SUFFIXES, stem
from transforms.sources.reading import chunks, read
from transforms.sources.reference import MAX_BYTES, ImageRef, SourceError, same_key

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "File",
    "ImageRef",
    "SourceError",
    "archive",
    "check",
    "chunks",
    "expand",
    "find",
    "list_images",
    "prefixes",
    "read",
    "read_uris",
    "same_key",
    "stem",
]

"""Where images come from: finding them, referring to them, and reading one."""

from transforms.sources.listing import check, expand, find, list_images, prefixes
from transforms.sources.lookup import read_uri
from transforms.sources.members import File
from transforms.sources.names import IMAGE_SUFFIXES, stem
from transforms.sources.reading import chunks, read
from transforms.sources.reference import MAX_BYTES, ImageRef, SourceError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "File",
    "ImageRef",
    "SourceError",
    "check",
    "chunks",
    "expand",
    "find",
    "list_images",
    "prefixes",
    "read",
    "read_uri",
    "stem",
]

"""Listing folders and globs of images."""

import dataclasses
import fnmatch
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from transforms import files
from transforms.errors import UsageError

IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "gif", "tif", "tiff"),
        *("bmp", "avif", "jp2", "ppm"),
    )
)
_WILDCARD = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True, order=True)
class ImageRef:
    """A reference to an image: everything about it but its bytes.

    Attributes:
        key: the image's name, relative to the folder that was listed, with forward slashes.
        uri: where it is read.
        size: bytes, as the listing says.
        modified: seconds since 1970, 0 where the store has none.
    """

    key: str
    uri: str
    size: int
    modified: float


def list_images(spec: str) -> Iterator[ImageRef]:
    """Yield the images of a folder (at any depth) or a glob, in the order of the listing.

    In a folder, files with an image's suffix count, in upper or lower case; hidden files and
    folders do not. A glob chooses by itself: `*` and `?` stay within a folder, `**` does not,
    and case does not matter.

    Args:
        spec: a folder, a glob, or one image file; local or in a bucket.
    """
    root, pattern = _split(spec)
    if pattern is None and not files.is_remote(spec) and PurePosixPath(spec).suffix:
        # One file, named as such, is whatever the caller says it is.
        from pathlib import Path

        path = Path(spec)
        if path.is_file():
            status = path.stat()
            yield ImageRef(path.name, spec, status.st_size, status.st_mtime)
            return
    matches = None if pattern is None else re.compile(_glob_regex(pattern), re.IGNORECASE)
    for info in files.list_files(root):
        key = info.path[len(root.rstrip("/")) + 1 :]
        if matches is not None:
            wanted = matches.fullmatch(key) is not None
        else:
            wanted = PurePosixPath(key).suffix.lower() in IMAGE_SUFFIXES and not any(
                part.startswith(".") for part in key.split("/")
            )
        if wanted:
            yield ImageRef(key, info.path, info.size, info.modified)


def check(spec: str, flag: str) -> None:
    """Check before work that there is at least one image.

    Raises:
        UsageError: the folder is missing, or has no image; `flag` is named in the message.
    """
    root, _ = _split(spec)
    if not files.is_remote(root) and not files.exists(root):
        raise UsageError(f"{flag}={spec}: there is no folder {root}; check the path")
    try:
        found = next(list_images(spec), None)
    except OSError as error:
        raise UsageError(f"{flag}={spec}: the folder cannot be listed: {error}") from error
    if found is None:
        raise UsageError(
            f"{flag}={spec}: there is no image in it; give a folder or a quoted glob of images"
            f" ({', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))})"
        )


def stem(name: str) -> str:
    """Return a file name without its folders and without an image's suffix."""
    base = name.rsplit("/", 1)[-1]
    suffix = PurePosixPath(base).suffix
    return base[: -len(suffix)] if suffix.lower() in IMAGE_SUFFIXES else base


def _split(spec: str) -> tuple[str, str | None]:
    """Split a glob into the folder above its first wildcard and the pattern below."""
    if not _WILDCARD.search(spec) or (not files.is_remote(spec) and files.exists(spec)):
        return spec, None
    parts = spec.split("/")
    first = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
    return "/".join(parts[:first]) or ("/" if spec.startswith("/") else "."), "/".join(
        parts[first:]
    )


def _glob_regex(pattern: str) -> str:
    """Translate a glob into a regular expression for paths with forward slashes."""
    regex, position = "", 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            regex, position = regex + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            regex, position = regex + ".*", position + 2
        elif pattern[position] == "*":
            regex, position = regex + "[^/]*", position + 1
        elif pattern[position] == "?":
            regex, position = regex + "[^/]", position + 1
        elif pattern[position] == "[" and "]" in pattern[position + 2 :]:
            end = pattern.index("]", position + 2) + 1
            regex, position = regex + fnmatch.translate(pattern[position:end])[4:-3], end
        else:
            regex, position = regex + re.escape(pattern[position]), position + 1
    return regex

"""Finding files: folders, globs, lists and files that are named."""

import dataclasses
import fnmatch
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms import files
from transforms.errors import UsageError
from transforms.rejects import Reject, RejectCode
from transforms.sources import lists, names, parquets, tars, tfrecords, zips
from transforms.sources.members import File
from transforms.sources.reference import MAX_BYTES, ImageRef, SourceError

_WILDCARD = re.compile(r"[*?\[]")


def list_images(spec: str, prefix: str = "") -> Iterator[ImageRef]:
    """Yield the images of a source, in the order of the listing, without what is refused.

    Args:
        spec: as for `find`.
        prefix: likewise.

    Raises:
        UsageError: a list cannot be understood.
        OSError: a folder cannot be listed.
    """
    for file in find(spec, prefix):
        yield from (item for item in expand(file) if isinstance(item, ImageRef))


def prefixes(specs: Sequence[str]) -> list[str]:
    """Return what the keys of each source begin with, so that those of several differ.

    The keys of one source are relative to it; those of several are relative to the deepest
    folder that holds them all.
    """
    if len(specs) < 2:
        return ["" for _ in specs]
    roots = [_root(spec).replace("://", "/").strip("/").split("/") for spec in specs]
    alike = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*roots, strict=False))
    shared = sum(1 for _ in alike)
    return ["/".join(root[shared:]) for root in roots]


def find(spec: str, prefix: str = "") -> Iterator[File]:
    """Yield the images and the archives of a source; archives are not opened.

    In a folder, at any depth, files with the suffix of an image or an archive count, in upper
    or lower case; hidden files and folders do not. Of pictures whose suffix is that of a format
    that is not read, `expand` makes rejects. A glob chooses by itself: `*` and `?` stay within a
    folder, `**` does not, case does not matter, and what a file is, its content tells. Lists of
    URIs are followed where they are named, and only there. Folders below the source that cannot
    be listed come last.

    Args:
        spec: a folder, a glob, or one file: an image, an archive or a list; local or in a bucket.
        prefix: what keys begin with, as `prefixes` returns it.

    Raises:
        UsageError: a list cannot be understood.
        OSError: a folder or a list cannot be read.
    """
    root, pattern = _split(spec)
    if pattern is None and _is_file(spec):
        for file in _named(spec):
            yield dataclasses.replace(file, key=_below(prefix, file.key))
        return
    matches = None if pattern is None else re.compile(_glob_regex(pattern), re.IGNORECASE)
    start = len(root.rstrip("/")) + 1
    refused: list[File] = []

    def refuse(path: str, error: OSError) -> None:
        key, why = _below(prefix, path[start:]), error.strerror or str(error)
        refusal = (RejectCode.IMAGE_UNREADABLE, why)
        refused.append(File(key, path, -1, 0.0, names.REFUSED, refusal=refusal))

    for info in files.list_files(root, lambda path: _leads_on(path[start:], pattern), refuse):
        key, refusal = info.path[start:], None
        kind = names.kind_of(key)
        if matches is not None:
            wanted = matches.fullmatch(key) is not None
            kind = names.IMAGE if kind in (None, names.LIST) else kind
        else:
            if kind is None and (refusal := names.format_refusal(key)):
                kind = names.REFUSED
            wanted = kind not in (None, names.LIST) and not names.is_hidden(key)
        if wanted and kind is not None:
            yield File(
                _below(prefix, key), info.path, info.size, info.modified, kind, refusal=refusal
            )
    yield from refused


def expand(file: File, max_bytes: int = MAX_BYTES) -> Iterator[ImageRef | Reject]:
    """Yield the images that a file is or holds, and what of it is refused; never raises for it.

    A folder that cannot be listed is refused as a whole.

    Args:
        file: as `find` yields it.
        max_bytes: the largest image that is taken.
    """
    if file.refusal is not None:
        yield file.reject(SourceError(*file.refusal))
        return
    try:
        if file.size < 0:
            info = files.stat(file.uri)
            file = dataclasses.replace(file, size=info.size, modified=info.modified)
        if file.kind == names.IMAGE:
            yield ImageRef(file.key, file.uri, file.size, file.modified)
        elif file.kind.startswith("tar"):
            yield from tars.expand(file, max_bytes)
        elif file.kind == "zip":
            yield from zips.expand(file, max_bytes)
        elif file.kind == "parquet":
            yield from parquets.expand(file, max_bytes)
        else:
            yield from tfrecords.expand(file, max_bytes)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        code = RejectCode.IMAGE_MISSING if missing else RejectCode.IMAGE_UNREADABLE
        yield file.reject(SourceError(code, error.strerror or str(error)))


def check(spec: str, flag: str) -> None:
    """Check before work that there is at least one image.

    Raises:
        UsageError: the source is missing, has no image, or is where nothing fetches it; `flag` is
            named in the message.
    """
    if message := names.not_fetched(spec):
        raise UsageError(f"{flag}={spec}: {message}")
    root, _ = _split(spec)
    if not files.is_remote(root) and not files.exists(root):
        what = "folder" if names.kind_of(root) is None else "file"
        raise UsageError(f"{flag}={spec}: there is no {what} {root}; check the path")
    reason = ""
    try:
        for file in find(spec):
            if file.kind == names.IMAGE:
                return
            if file.kind.startswith("tar") and tars.has_image(file):
                return
            for item in expand(file):
                if isinstance(item, ImageRef):
                    return
                reason = reason or f" ({item.code.value}: {item.message})"
    except OSError as error:
        raise UsageError(f"{flag}={spec}: it cannot be listed: {error}") from error
    except SourceError as error:
        raise UsageError(f"{flag}={spec}: it cannot be read: {error.message}") from error
    suffixes = ", ".join(sorted(suffix[1:] for suffix in names.IMAGE_SUFFIXES))
    raise UsageError(
        f"{flag}={spec}: there is no image in it{reason}; give a folder or a quoted glob of"
        f" images ({suffixes}) or of archives, an archive, or a list of URIs"
    )


def _root(spec: str) -> str:
    """Return what the keys of a source are relative to: a folder, an archive or a list."""
    root, pattern = _split(spec)
    if pattern is None and _is_file(spec) and names.kind_of(spec) in (names.IMAGE, None):
        return spec.rsplit("/", 1)[0] if "/" in spec else "."
    return root


def _below(prefix: str, key: str) -> str:
    return f"{prefix}/{key}".strip("/") if prefix else key


def _is_file(spec: str) -> bool:
    if files.is_remote(spec):
        # A bucket has no folders to ask for: a name that looks like a file is one.
        known = names.kind_of(spec) or names.format_refusal(spec)
        return not spec.endswith("/") and known is not None
    return Path(spec).is_file()


def _named(spec: str) -> Iterator[File]:
    """Yield the file of that name, or what a list of that name names."""
    kind = names.kind_of(spec) or names.IMAGE
    if kind == names.LIST or (kind == "parquet" and lists.is_list(spec)):
        yield from lists.expand(spec)
    else:
        # Members of an archive that is named keep their names.
        key = spec.rsplit("/", 1)[-1] if kind == names.IMAGE else ""
        yield File(key, spec, -1, 0.0, kind, named=True)


def _split(spec: str) -> tuple[str, str | None]:
    """Split a glob into the folder above its first wildcard and the pattern below."""
    if not _WILDCARD.search(spec) or (not files.is_remote(spec) and files.exists(spec)):
        return spec, None
    parts = spec.split("/")
    first = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
    return "/".join(parts[:first]) or ("/" if spec.startswith("/") else "."), "/".join(
        parts[first:]
    )


def _leads_on(folder: str, pattern: str | None) -> bool:
    """Whether what is wanted may lie below a folder, by its path below the source."""
    if pattern is None:
        return not names.is_hidden(folder)
    above = pattern.split("/")[: folder.count("/") + 1]
    if any("**" in part for part in above):
        return True
    deeper = len(above) < pattern.count("/") + 1
    return deeper and re.fullmatch(_glob_regex("/".join(above)), folder, re.IGNORECASE) is not None


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

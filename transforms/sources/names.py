"""What names say: which files are images, archives or lists, and which names are safe."""

import hashlib
import re
from pathlib import PurePosixPath

from transforms import files
from transforms.rejects import RejectCode, unsupported

IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif", "tif", "tiff"),
        *("bmp", "avif", "jp2", "j2k", "jpf", "jpx", "ppm", "pgm", "pbm", "pnm"),
    )
)
# Suffixes of pictures in formats that are not read.
UNSUPPORTED_SUFFIXES = {
    f".{suffix}": name
    for name, suffixes in {
        "HEIC": "heic heics heif heifs hif",
        "JPEG XL": "jxl",
        "JPEG XR": "jxr wdp hdp",
        "Photoshop": "psd psb",
        "GIMP": "xcf",
        "SVG": "svg svgz",
        "PostScript": "eps",
        "icon": "ico",
        "TGA": "tga",
        "DDS": "dds",
        "OpenEXR": "exr",
        "camera raw": "dng cr2 cr3 crw nef nrw arw sr2 srw orf raf rw2 pef x3f",
    }.items()
    for suffix in suffixes.split()
}
IMAGE = "image"
# The kind of what is refused unopened: a folder, a web address, a format that is not read.
REFUSED = "refused"
LIST = "list"
# Characters of a member's name: no disk has longer paths.
MAX_NAME = 4096
# Kinds of archives, with what their names end in.
_KINDS = (
    ("tar", r"\.tar"),
    ("tar.gz", r"\.tar\.gz|\.tgz"),
    ("tar.bz2", r"\.tar\.bz2|\.tbz2?"),
    ("tar.xz", r"\.tar\.xz|\.txz"),
    ("zip", r"\.zip"),
    ("parquet", r"\.parquet|\.pq"),
    ("tfrecord", r"\.tf_?records?(-\d+-of-\d+)?|\.tfrec"),
    ("tfrecord.gz", r"(\.tf_?records?(-\d+-of-\d+)?|\.tfrec)\.gz"),
    (LIST, r"\.txt|\.list|\.lst|\.csv|\.tsv"),
)
_KIND = tuple(
    (kind, re.compile(f".*(?:{ends})", re.IGNORECASE | re.DOTALL)) for kind, ends in _KINDS
)

_ARCHIVE = re.compile(f"(?:{'|'.join(ends for kind, ends in _KINDS if kind != LIST)})$", re.I)


def kind_of(name: str) -> str | None:
    """Return the kind of archive or list that a file is by its name, `image`, or None."""
    if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
        return IMAGE
    return next((kind for kind, pattern in _KIND if pattern.fullmatch(name)), None)


def format_refusal(name: str) -> tuple[RejectCode, str] | None:
    """Return why a picture is refused by its suffix alone, None for any other file."""
    found = UNSUPPORTED_SUFFIXES.get(PurePosixPath(name).suffix.lower())
    return None if found is None else (RejectCode.IMAGE_FORMAT_UNSUPPORTED, unsupported(found))


def without_archive(name: str) -> str:
    """Return a name without the suffix of an archive."""
    return _ARCHIVE.sub("", name)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder above it, is hidden."""
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def stem(name: str) -> str:
    """Return a file name without its folders and without an image's suffix, read or not.

    So captions that name a picture find what it was converted to.
    """
    base = name.rsplit("/", 1)[-1]
    suffix = PurePosixPath(base).suffix
    known = suffix.lower() in IMAGE_SUFFIXES or suffix.lower() in UNSUPPORTED_SUFFIXES
    return base[: -len(suffix)] if known else base


def not_fetched(uri: str) -> str | None:
    """Return why nothing can fetch what a path or URI names, None where a store may."""
    if uri.lower().startswith(("http://", "https://")):
        what = "web addresses are not fetched"
    elif not files.has_store(uri):
        what = f"no store's addresses begin with {files.scheme(uri)}://"
    else:
        return None
    return f"{what}: bring the image into a folder or a bucket"


def refusal(name: str) -> tuple[RejectCode, str] | None:
    """Return why a member's name is refused, None for one that is fit to be a key."""
    if not is_text(name):
        return RejectCode.MEMBER_NAME_INVALID, "the member's name is not UTF-8"
    if len(name) > MAX_NAME:
        message = f"the member's name has {len(name)} characters, more than {MAX_NAME}"
        return RejectCode.MEMBER_NAME_INVALID, message
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return RejectCode.MEMBER_UNSAFE, "the member's name is absolute"
    if ".." in parts:
        return RejectCode.MEMBER_UNSAFE, "the member's name leads out of the archive"
    return None


def is_text(name: str) -> bool:
    """Whether a name that was decoded with `surrogateescape` is UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class Labels:
    """Names for rows and records: what they are called where that is fit to be a key of its own."""

    def __init__(self) -> None:
        self._taken: set[bytes] = set()

    def of(self, name: str | bytes | None, number: int) -> str:
        """Return the name, or the number where the name is unsafe, no text, or taken."""
        if isinstance(name, bytes):
            name = name.decode("utf-8", "surrogateescape")
        name = (name or "").removeprefix("./")
        if not name or refusal(name) or name.endswith("/"):
            return f"{number:08d}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        if digest in self._taken:
            return f"{number:08d}"
        self._taken.add(digest)
        return name

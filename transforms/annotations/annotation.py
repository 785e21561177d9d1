"""What every caption format yields, and what their readers share."""

import codecs
import dataclasses
import itertools
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from transforms.rejects import Reject, RejectCode

Opener = Callable[[str], BinaryIO]
"""Opens a path for reading bytes, locally or in a bucket."""

SPLITS = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's: COCO validation images that his dev and test leave over
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "dev": "dev",
    "test": "test",
    "testing": "test",
}
"""The split that each name used for one stands for."""


@dataclasses.dataclass(frozen=True)
class Annotation:
    """Captions of one image; an image may have several annotations.

    Attributes:
        name: the image as the file names it, with `/` between folders and without `./`.
        captions: at least one, none of them blank, as written.
        split: `train`, `dev`, `test`, or None where the file does not say.
        source: `file:line` or `file#id`, for messages.
    """

    name: str
    captions: tuple[str, ...]
    split: str | None
    source: str


class RowError(ValueError):
    """One row of a caption file is unusable; the message says why."""


class FormatError(ValueError):
    """A caption file is, as a whole, not of the format; the message says why."""


def annotation(name: Any, captions: Any, split: Any, source: str) -> Annotation | Reject:
    """Check one row's values; a reject says what is wrong with them.

    Args:
        name: the image's name; a number is taken as its digits.
        captions: a caption, or several, each a string or a mapping with the caption in it.
        split: a name of a split, or something empty.
        source: where the row stands.
    """
    try:
        name = clean_name(name)
    except RowError as error:
        return reject("", source, str(error))
    try:
        split = clean_split(split)
        texts = tuple(text for text in _texts(captions) if text.strip())
    except RowError as error:
        return reject(name, source, str(error))
    if not texts:
        return reject(name, source, "the caption is empty", RejectCode.CAPTION_EMPTY)
    return Annotation(name, texts, split, source)


def reject(
    name: str, source: str, message: str, code: RejectCode = RejectCode.CAPTION_MALFORMED
) -> Reject:
    """Return the reject of a row; one that names no image goes by its place in the file."""
    return Reject(name or source, source, "join", code, message)


def clean_name(name: Any) -> str:
    r"""Return an image's name with one spelling: `a\b.jpg` and `./a//b.jpg` are `a/b.jpg`.

    Raises:
        RowError: there is no name.
    """
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise RowError("the image's name is missing")
    if _LONE_SURROGATE.search(name):
        raise RowError("the image's name is not text")
    scheme, separator, rest = name.strip().replace("\\", "/").rpartition("://")
    path = posixpath.normpath(rest)
    if path.startswith("//"):
        path = path[1:]
    if path in (".", "..", "/"):
        raise RowError(f"{name!r} does not name an image")
    return f"{scheme}{separator}{path}"


def clean_split(split: Any) -> str | None:
    """Return `train`, `dev`, `test`, or None for nothing.

    Raises:
        RowError: another word, which might be a set that must not be trained on.
    """
    if split is None or split == "":
        return None
    name = split.strip().lower() if isinstance(split, str) else split
    if name == "":
        return None
    if not isinstance(name, str) or name not in SPLITS:
        raise RowError(f"split {split!r} is none of {', '.join(SPLITS)}")
    return SPLITS[name]


def folder_split(folders: Iterable[str]) -> str | None:
    """Return the split that a folder is named after, the innermost first."""
    for folder in reversed(list(folders)):
        if folder.lower() in SPLITS:
            return SPLITS[folder.lower()]
    return None


def _texts(captions: Any) -> Iterator[str]:
    if captions is None:
        return
    for caption in captions if isinstance(captions, list | tuple) else [captions]:
        if isinstance(caption, dict):  # Karpathy's sentences, COCO's annotations
            caption = next(
                (caption[key] for key in ("raw", "caption", "text") if key in caption), 0
            )
        if caption is None:
            continue
        if not isinstance(caption, str) or _LONE_SURROGATE.search(caption):
            raise RowError("a caption is not text")
        yield caption


# JSON can write half of a UTF-16 pair, which no UTF-8 can hold.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_UTF8 = "not UTF-8 text: save the file as UTF-8"


def decode_head(head: bytes) -> str:
    """Decode the beginning of a text file, which may end inside a character."""
    encoding = "utf-16" if head.startswith(_UTF16) else "utf-8-sig"
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)


def lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Yield each line's number, from 1, and its text; None for one that is not UTF-8.

    Lines keep their ends. Line feeds and carriage returns, alone or together, end one.
    A file that opens with a UTF-16 byte-order mark is read as a whole.
    """
    first = file.readline()
    if first.startswith(_UTF16):
        text = (first + file.read()).decode("utf-16", errors="replace")
        yield from enumerate(_LINE.findall(text), 1)
        return
    fed = itertools.chain([first.removeprefix(codecs.BOM_UTF8)], iter(file.readline, b""))
    # Bytes, unlike text, are split at line feeds and carriage returns only.
    split = itertools.chain.from_iterable(line.splitlines(keepends=True) for line in fed)
    for number, raw in enumerate(split, 1):
        try:
            yield number, raw.decode()
        except UnicodeDecodeError:
            yield number, None


def parse_json(text: str | bytes) -> Any:
    """Parse JSON text.

    Raises:
        RowError: it is not JSON.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise RowError(f"{NOT_UTF8} (byte {error.start})") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RowError(f"not JSON: {error.msg} ({place})") from error
    except (RecursionError, ValueError) as error:
        raise RowError(f"not JSON: {error}") from error

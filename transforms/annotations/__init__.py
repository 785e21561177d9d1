"""Caption files: nine formats, recognised by content, read row by row.

Nothing here opens a path by itself: an opener, such as `transforms.files.open_read`, does.
"""

import itertools
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO

from transforms.annotations.annotation import (
    NOT_UTF8,
    Annotation,
    FormatError,
    Opener,
    RowError,
    clean_name,
    decode_head,
    folder_split,
    lines,
)
from transforms.annotations.columns import EXPECTED, KNOWN, find_columns
from transforms.annotations.records import FLICKR_LINE, beside, read_flickr, read_jsonl
from transforms.annotations.tables import find_layout, read_parquet, read_table
from transforms.annotations.trees import read_coco, read_karpathy
from transforms.errors import UsageError
from transforms.rejects import Reject
from transforms.sources import names

__all__ = [
    "FORMATS",
    "Annotation",
    "Opener",
    "check",
    "detect",
    "from_folders",
    "read",
    "read_names",
]

FORMATS = ("flickr", "coco", "karpathy", "csv", "tsv", "jsonl", "parquet", "hf", "folders")
_EXPECTED = {
    "flickr": "lines of `name.jpg#0<tab>caption`",
    "coco": 'an object with "images" (id, file_name) and "annotations" (image_id, caption)',
    "karpathy": 'an object with "images", each with filename, split and sentences',
    "csv": f"a header with {EXPECTED}",
    "tsv": f"a header with {EXPECTED}, separated by tabs",
    "jsonl": "a JSON object a line, or an array of them, each with an image (file_name, image, …)"
    " and a caption or captions",
    "parquet": EXPECTED,
    "hf": "metadata.jsonl or metadata.csv with file_name and a caption (text, caption, …)",
}
HEAD_BYTES = 65_536
_HEAD_ANNOTATIONS = 1000
_HEAD_ROWS = 10_000
_SHOWN = 100  # Characters of a header in messages.


def detect(path: str, head: bytes) -> str:
    """Return the format of a caption file.

    Args:
        path: its name; only `metadata.jsonl` and `metadata.csv` mean something, namely `hf`.
        head: its first bytes, `HEAD_BYTES` of them or all.

    Raises:
        UsageError: the content fits no format.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    text = decode_head(head)
    if not text.strip():
        raise UsageError(f"{path}: the caption file is empty")
    if "\0" in text:
        raise UsageError(f"{path}: not text and not Parquet; unpack it if it is compressed")
    found = _detect_json(text) if text.lstrip()[0] in "{[" else _detect_lines(text)
    if found is None:
        first = text.strip().splitlines()[0].strip()
        table = first[0] not in "{[" and re.search(r"[\t,;|]", first)
        raise UsageError(
            f"{path}: not recognised as a caption file; "
            + (f"rename the columns of a table ({first[:_SHOWN]}): {KNOWN}; or " if table else "")
            + f"choose its format, one of {', '.join(FORMATS)}"
        )
    if found in ("csv", "jsonl") and _base(path) == f"metadata.{found}":
        return "hf"
    return found


def _detect_json(text: str) -> str | None:
    first = text.lstrip()
    array = re.match(r"\[\s*", first)
    # Of an array, its first object tells.
    first = first[array.end() :] if array else first
    try:
        value, _ = json.JSONDecoder().raw_decode(first)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and "images" not in value:
        return "jsonl" if find_columns(list(value)) else None
    if array:
        return None
    # The head may end inside the value, so look for the keys.
    if not re.match(r'\{\s*"', first):
        return None
    if re.search(r'"(?:sentences|sentids|imgid)"\s*:', first):
        return "karpathy"
    if re.search(r'"(?:images|annotations|licenses)"\s*:', first):
        return "coco"
    return None


def _detect_lines(text: str) -> str | None:
    rows = [line for line in re.split(r"\r\n?|\n", text)[:20] if line.strip()]
    flickr = sum(FLICKR_LINE.fullmatch(row) is not None for row in rows)
    if 2 * flickr > len(rows):
        return "flickr"
    return next((name for name in ("tsv", "csv") if find_layout(rows[0], name)), None)


def check(opener: Opener, path: str, format: str) -> tuple[str, list[Annotation]]:
    """Check a caption file before work starts.

    Args:
        opener: opens a path for reading bytes.
        path: the caption file.
        format: one of `FORMATS`, or `auto`.

    Returns:
        The format, and up to 1,000 annotations from the head of the file (none for `folders`,
        which has no file). COCO and Karpathy files have then been parsed as a whole.

    Raises:
        UsageError: the file cannot be read, is not of the format, or has no usable caption.
    """
    if format not in (*FORMATS, "auto"):
        raise UsageError(f"unknown caption format {format!r}: choose auto, {', '.join(FORMATS)}")
    if format == "folders":
        return format, []
    if format == "auto":
        try:
            with closing(opener(path)) as file:
                format = detect(path, file.read(HEAD_BYTES))
        except OSError as error:
            raise _unreadable(path, error) from error
    head: list[Annotation] = []
    first_reject: Reject | None = None
    for row in itertools.islice(read(opener, path, format), _HEAD_ROWS):
        if isinstance(row, Annotation):
            head.append(row)
        else:
            first_reject = first_reject or row
        if len(head) == _HEAD_ANNOTATIONS:
            break
    if not head:
        reason = "it has no rows"
        if first_reject:
            place = first_reject.uri.removeprefix(path).lstrip(":#")
            reason = f"{first_reject.message} (row {place})"
        raise _not_of(path, format, reason)
    return format, head


def read(opener: Opener, path: str, format: str) -> Iterator[Annotation | Reject]:
    """Yield the annotations of a caption file in its order, and a reject for each bad row.

    Line formats, tables and Parquet are read as a stream; COCO and Karpathy files as a whole. One
    image's captions may be in several annotations, which need not follow one another.

    Args:
        opener: opens a path for reading bytes.
        path: the caption file.
        format: one of `FORMATS` but `folders`, which has no file (see `from_folders`).

    Raises:
        UsageError: the file cannot be read or is as a whole not of the format.
    """
    readers: dict[str, Callable[[BinaryIO, str], Iterator[Annotation | Reject]]] = {
        "flickr": read_flickr,
        "coco": read_coco,
        "karpathy": read_karpathy,
        "csv": lambda file, path: read_table(file, path, "csv"),
        "tsv": lambda file, path: read_table(file, path, "tsv"),
        "jsonl": read_jsonl,
        "parquet": read_parquet,
        "hf": _read_hf,
    }
    if format not in readers:
        raise UsageError(f"{path}: {format!r} is no format of a caption file: {', '.join(readers)}")
    try:
        with closing(opener(path)) as file:
            yield from readers[format](file, path)
    except FormatError as error:
        raise _not_of(path, format, str(error)) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_names(opener: Opener, path: str, flag: str) -> Iterator[str]:
    """Yield the images' names of a list file, one a line, spelt as in caption files.

    Args:
        opener: opens a path for reading bytes.
        path: the list file.
        flag: that it was named by, for messages.

    Raises:
        UsageError: the file cannot be read, or a line of it is no name.
    """
    try:
        with closing(opener(path)) as file:
            for number, line in lines(file):
                try:
                    if line is None:
                        raise RowError(NOT_UTF8)
                    if line.strip():
                        yield clean_name(line.strip())
                except RowError as error:
                    raise UsageError(f"{flag}={path}: line {number}: {error}") from error
    except OSError as error:
        raise UsageError(
            f"{flag}={path}: the list cannot be read ({_reason(error)}); check the path"
        ) from error


def _read_hf(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    table = path.lower().endswith((".csv", ".tsv"))
    rows = read_table(file, path, path[-3:].lower()) if table else read_jsonl(file, path)
    return (beside(row, path) for row in rows)


def from_folders(key: str) -> Annotation | None:
    """Return the caption that an image's folder is, or None where no folder names a class.

    `golf_course/1.jpg` gives "golf course", `SeaLake/1.jpg` "Sea Lake" and
    `train/001.Black_footed_Albatross/1.jpg` "Black footed Albatross", in the train split. An
    archive is a folder without its suffix. A folder that is called as a split is a class only
    below another such one, as in `test/train/1.jpg`.

    Args:
        key: the image's path relative to the images' root.
    """
    try:
        *folders, _ = clean_name(key).split("/")
    except RowError:
        return None
    *above, own = map(names.without_archive, folders or [""])
    split = folder_split(above)
    if split is None and folder_split([own]):
        return None
    words = re.sub(r"^\d+[._\- ]+(?=\D)", "", own)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    caption = re.sub(r"[_\-\s]+", " ", words).strip()
    return Annotation(key, (caption,), split, key) if caption else None


def _base(path: str) -> str:
    return posixpath.basename(path.replace("\\", "/")).lower()


def _unreadable(path: str, error: OSError) -> UsageError:
    return UsageError(f"{path}: the caption file cannot be read ({_reason(error)}); check the path")


def _reason(error: OSError) -> str:
    return error.strerror or str(error).partition("\n")[0] or type(error).__name__


def _not_of(path: str, format: str, reason: str) -> UsageError:
    return UsageError(
        f"{path}: not a usable {format} caption file: {reason}; expected {_EXPECTED[format]};"
        " correct the file or choose its format"
    )

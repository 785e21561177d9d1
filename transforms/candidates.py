"""Reading captions that are to be judged, from a captions directory or from a file."""

import dataclasses
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transforms import captions_table, files
from transforms.annotations import tables
from transforms.errors import UsageError

KEY_FIELDS = ("key", "image", "file_name", "filename", "file", "image_id", "name")
CAPTION_FIELDS = ("caption", "text")
FORMATS = "a captions directory, COCO results JSON, JSON Lines, CSV, TSV or Parquet"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One image's caption.

    Attributes:
        key: the image's name.
        caption: the text, which may be empty.
        uri: where the image is, if known.
        size: (width, height) of the image in pixels, if known.
        score: the captioner's score, if known.
    """

    key: str
    caption: str
    uri: str | None = None
    size: tuple[int, int] | None = None
    score: float | None = None


def read(path: str) -> list[Candidate]:
    """Read one caption an image from a captions directory or a file recognised by content.

    Raises:
        UsageError: not there, nothing in it, none of the formats, a row without an image or a
            caption, or two captions of one image.
    """
    rows = _table_rows(path) if is_table(path) else _file_rows(path)
    found: dict[str, Candidate] = {}
    for place, row in rows:
        candidate = _candidate(place, row)
        if candidate.key in found:
            raise UsageError(f"{place}: a second caption of {candidate.key}; give one an image")
        found[candidate.key] = candidate
    if not found:
        raise UsageError(f"{path}: there is no caption in it; {captions_table.REMEDY}")
    return list(found.values())


def is_table(path: str) -> bool:
    """Whether a path is a captions directory rather than a file."""
    if files.is_remote(path):
        return files.exists(files.join(path, captions_table.MANIFEST))
    return Path(path).is_dir()


def _table_rows(folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in captions_table.rows(folder):
        yield folder, row


def _file_rows(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        data = files.read_bytes(path)
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read ({error}); give {FORMATS}") from error
    if data.startswith(b"PAR1"):
        yield from _parquet(path, data)
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: this is no text in UTF-8; give {FORMATS}") from error
    start = text.lstrip()[:1]
    if start == "[":
        yield from _json(path, text)
    elif start == "{":
        yield from _json_lines(path, text)
    else:
        yield from _csv(path, text)


def _parquet(path: str, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    wanted = {*KEY_FIELDS, *CAPTION_FIELDS, "uri", "width", "height", "score"}
    try:
        table = pq.ParquetFile(pa.BufferReader(data))
        rows = table.read([n for n in table.schema_arrow.names if n in wanted]).to_pylist()
    except (ArrowException, OSError) as error:
        raise UsageError(f"{path}: this Parquet file cannot be read ({error})") from error
    for number, row in enumerate(rows):
        yield f"{path}, row {number}", row


def _json(path: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: this is not JSON ({error}); give {FORMATS}") from error
    for number, row in enumerate(rows):
        yield f"{path}, entry {number}", row


def _json_lines(path: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Not splitlines: JSON may hold U+2028 and its kind inside a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(
                    f"{path}:{number}: this is not a line of JSON ({error}); give {FORMATS}"
                ) from error


def _csv(path: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = _cells(path, text)
    _, header = next(rows, (path, []))
    names = [name.strip() for name in header]
    if not set(names) & set(KEY_FIELDS) or not set(names) & set(CAPTION_FIELDS):
        raise UsageError(
            f"{path}: no header with an image ({', '.join(KEY_FIELDS)}) and a caption"
            f" ({', '.join(CAPTION_FIELDS)}); give {FORMATS}"
        )
    for place, cells in rows:
        yield place, dict(zip(names, cells, strict=True))


def _cells(path: str, text: str) -> Iterator[tuple[str, list[str]]]:
    mark = "\t" if "\t" in re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0] else ","
    lines = tables.filled_lines(io.BytesIO(text.encode()))
    for number, cells in tables.read_rows(lines, mark):
        if isinstance(cells, str):
            raise UsageError(f"{path}:{number}: {cells}")
        yield f"{path}:{number}", cells


def _candidate(place: str, row: Any) -> Candidate:
    if not isinstance(row, Mapping):
        raise UsageError(f"{place}: this is not an object with an image and a caption")
    key = next((row[name] for name in KEY_FIELDS if row.get(name) not in (None, "")), None)
    caption = next((row[name] for name in CAPTION_FIELDS if row.get(name) is not None), None)
    named = isinstance(key, str | int) and not isinstance(key, bool)
    if not named or not isinstance(caption, str):
        missing = "caption" if named else "image"
        fields = KEY_FIELDS if missing == "image" else CAPTION_FIELDS
        raise UsageError(f"{place}: there is no {missing}; name it {', '.join(fields)}")
    uri, width, height, score = (row.get(name) for name in ("uri", "width", "height", "score"))
    if not isinstance(uri, str | None):
        raise UsageError(f"{place}: uri must be text: where the image is")
    try:
        return Candidate(
            str(key),
            caption,
            uri or None,
            (int(width), int(height)) if width and height else None,
            None if score in (None, "") else float(score),
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise UsageError(f"{place}: width, height and score must be numbers") from error

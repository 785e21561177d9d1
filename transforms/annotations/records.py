"""JSON Lines, Hugging Face's metadata.jsonl, and Flickr's token files: one row a line."""

import posixpath
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from transforms.annotations.annotation import (
    NOT_UTF8,
    Annotation,
    FormatError,
    RowError,
    annotation,
    clean_name,
    folder_split,
    lines,
    parse_json,
    reject,
)
from transforms.annotations.columns import find_columns
from transforms.rejects import Reject

FLICKR_LINE = re.compile(r"(?P<name>\S.*?)#(?:[A-Za-z]\w*#)?\d+(?:\t|[ \u3000]+)(?P<caption>.*)")
"""`name#2<tab>caption`, and with a language between, `name#zhc#2 caption`."""


def read_flickr(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation a line of a Flickr8k, Flickr30k or Flickr8k-CN token file."""
    for number, line in lines(file):
        source = f"{path}:{number}"
        if line is None:
            yield reject("", source, NOT_UTF8)
        elif line.strip():
            match = FLICKR_LINE.fullmatch(line.rstrip("\r\n"))
            if match:
                yield annotation(match["name"], match["caption"], None, source)
            else:
                yield reject("", source, "not `name#number<tab>caption`")


def read_jsonl(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation a line of JSON objects: an image and a caption or a list of them.

    One JSON array of such objects is read as well, as a whole.

    Raises:
        FormatError: an array that is not JSON.
    """
    numbered = lines(file)
    for number, line in numbered:
        source = f"{path}:{number}"
        if number == 1 and line and line.lstrip().startswith("["):
            # A line that is not UTF-8 leaves a hole that no JSON has.
            yield from _array("".join([line, *(text or "\0" for _, text in numbered)]), path)
            return
        if line is None:
            yield reject("", source, NOT_UTF8)
        elif line.strip():
            try:
                yield _record(parse_json(line), source)
            except RowError as error:
                yield reject("", source, str(error))


def _array(text: str, path: str) -> Iterator[Annotation | Reject]:
    try:
        records = parse_json(text)
    except RowError as error:
        raise FormatError(str(error)) from error
    for position, record in enumerate(records):
        source = f"{path}#{position}"
        try:
            yield _record(record, source)
        except RowError as error:
            yield reject("", source, str(error))


def _record(record: Any, source: str) -> Annotation | Reject:
    if not isinstance(record, dict):
        raise RowError("not a JSON object")
    columns = find_columns(list(record))
    if columns is None:
        raise RowError(f"fields {', '.join(record) or 'none'}: no image or no caption among them")
    values = list(record.values())
    captions: list[Any] = []
    for position in columns.captions:
        value = values[position]
        captions.extend(value if isinstance(value, list) else [value])
    split = None if columns.split is None else values[columns.split]
    return annotation(values[columns.image], captions, split, source)


def beside(row: Annotation | Reject, path: str) -> Annotation | Reject:
    """Place a Hugging Face row: names are relative to the metadata file's own folder.

    The split is the row's, or that of the folder that holds the image or the metadata.
    """
    if isinstance(row, Reject):
        return row
    folder = posixpath.dirname(path.replace("\\", "/"))
    name = clean_name(posixpath.join(folder, row.name))
    split = row.split or folder_split(row.name.split("/")[:-1])
    split = split or folder_split(folder.split("/")[-1:])
    return Annotation(name, row.captions, split, row.source)

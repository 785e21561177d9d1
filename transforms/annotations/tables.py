"""Tables: CSV, TSV and Parquet."""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from transforms.annotations.annotation import (
    NOT_UTF8,
    Annotation,
    FormatError,
    RowError,
    annotation,
    lines,
    reject,
)
from transforms.annotations.columns import Columns, find_columns
from transforms.rejects import Reject

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGE_FILE = re.compile(r".+\.(?:jpe?g|png|gif|bmp|webp|tiff?|ppm)", re.IGNORECASE)
# A quoted caption may hold line breaks, but a quote that is never closed must not eat the file.
_MOST_LINES = 20
_WRONG_QUOTE = "a quote is not closed, or text follows a closed one"
_LONG_CELL = f"a cell has more than {csv.field_size_limit():,} characters"


def find_layout(first: str, format: str) -> tuple[str, Columns, bool] | None:
    """Return a table's separator, its columns, and whether its first line is a header.

    Args:
        first: the first line.
        format: `tsv` for tabs, `csv` for one of `,` `;` `|`.

    Returns:
        None where no separator gives a header with an image and a caption, nor a row that opens
        with the name of an image file.
    """
    splits = []
    for mark in "\t" if format == "tsv" else ",;|":
        try:
            cells = _cells(first, mark) or []
        except RowError:
            continue
        if columns := find_columns(cells):
            return mark, columns, True
        splits.append((mark, cells))
    for mark, cells in splits:
        if len(cells) > 1 and _IMAGE_FILE.fullmatch(cells[0].strip()):
            return mark, Columns(0, tuple(range(1, len(cells))), None), False
    return None


def read_table(file: BinaryIO, path: str, format: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation a row of a CSV or TSV file.

    Raises:
        FormatError: the first line names no image and no caption.
    """
    numbered = filled_lines(file)
    number, first = next(numbered, (1, None))
    layout = find_layout(first or "", format)
    if first is None or layout is None:
        raise FormatError("its first line names no image and no caption")
    mark, columns, header = layout
    rows = read_rows(itertools.chain([(number, first)], numbered), mark)
    for number, cells in itertools.islice(rows, int(header), None):
        source = f"{path}:{number}"
        if isinstance(cells, str):
            yield reject("", source, cells)
        else:
            split = None if columns.split is None else cells[columns.split]
            captions = [cells[position] for position in columns.captions]
            yield annotation(cells[columns.image], captions, split, source)


def filled_lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Yield the lines that are not blank, with their numbers; None for one that is not UTF-8."""
    return ((number, line) for number, line in lines(file) if line is None or line.strip())


def read_rows(
    numbered: Iterator[tuple[int, str | None]], mark: str
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each row's first line number, and its cells or what is wrong with it.

    Args:
        numbered: from `filled_lines`.
        mark: the separator.

    Yields:
        As many cells as the first row has, the header included.
    """
    pending: deque[tuple[int, str | None]] = deque()
    width = 0
    while True:
        if not pending:
            pending.extend(itertools.islice(numbered, 1))
        if not pending:
            return
        number = pending[0][0]
        used, cells = _row(pending, numbered, mark, width)
        for _ in range(used):
            pending.popleft()
        if isinstance(cells, list):
            width = width or len(cells)
            if len(cells) != width:
                problem = "quote a caption with the separator in it"
                cells = f"{len(cells)} columns, not {width}: {problem}"
        yield number, cells


def _row(
    pending: deque[tuple[int, str | None]],
    numbered: Iterator[tuple[int, str | None]],
    mark: str,
    width: int,
) -> tuple[int, list[str] | str]:
    """Return how many of the pending lines one row takes, and its cells or what is wrong with it.

    A row whose quotes close on a later line takes the lines up to there; one whose quotes never
    close is one bad line, and the next line opens a row again. Between tabs a quote may be a
    character as any other: it is where a line that it would take is a row of `width` cells.
    """
    first = pending[0][1]
    if first is None:
        return 1, NOT_UTF8
    text, problem = "", _WRONG_QUOTE
    # The last line of a quoted first cell has as many cells as a row.
    plain = mark == "\t" and not first.lstrip().startswith('"')
    for used in range(1, _MOST_LINES + 1):
        if len(pending) < used:
            pending.extend(itertools.islice(numbered, 1))
        line = pending[used - 1][1] if len(pending) >= used else None
        if line is None:
            break
        if used > 1 and plain and len(line.split(mark)) == width:
            break
        text += line
        try:
            cells = _cells(text, mark)
        except RowError as error:
            problem = str(error)
            break
        if cells is not None:
            return used, cells
    if mark == "\t":  # many a tab-separated file has no quoting at all
        return 1, first.rstrip("\r\n").split(mark)
    return 1, problem


def _cells(text: str, mark: str) -> list[str] | None:
    """Return a row's cells, or None where a quote is still open at the end.

    Raises:
        RowError: the text is no row, however it goes on.
    """
    spaced = mark in ",;"
    try:
        rows = list(csv.reader([text], delimiter=mark, strict=True, skipinitialspace=spaced))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        raise RowError(_LONG_CELL if "limit" in str(error) else _WRONG_QUOTE) from error
    return rows[0] if rows else []


def read_parquet(file: BinaryIO, path: str) -> Iterator[Annotation | Reject]:
    """Yield one annotation a row of a Parquet file; captions may be strings or lists of them.

    Raises:
        FormatError: not a Parquet file, or without an image and a caption.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        schema = table.schema_arrow
        columns = find_columns([field.name if _is_text(field.type) else "" for field in schema])
        if columns is None:
            raise FormatError(f"its columns are {', '.join(schema.names) or 'none'}")
        wanted = [columns.image, *columns.captions]
        wanted += [] if columns.split is None else [columns.split]
        number = 0
        for batch in table.iter_batches(1024, columns=[schema.names[i] for i in wanted]):
            for row in batch.to_pylist():
                number += 1
                captions: list[Any] = []
                for position in columns.captions:
                    value = row[schema.names[position]]
                    captions.extend(value if isinstance(value, list) else [value])
                split = None if columns.split is None else row[schema.names[columns.split]]
                name = row[schema.names[columns.image]]
                yield annotation(name, captions, split, f"{path}#{number}")
    except (pa.ArrowException, OSError) as error:
        raise FormatError(str(error).partition("\n")[0]) from error


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as t

    if t.is_list(kind) or t.is_large_list(kind) or t.is_dictionary(kind):
        return _is_text(kind.value_type)
    return t.is_string(kind) or t.is_large_string(kind) or t.is_integer(kind)

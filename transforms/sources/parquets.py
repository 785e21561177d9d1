"""Images in Parquet files: Hugging Face's struct of bytes and path, or a column of bytes."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from transforms.rejects import Reject, RejectCode
from transforms.sources import names
from transforms.sources.members import File
from transforms.sources.reference import MAX_BYTES, Cell, ImageRef, SourceError
from transforms.sources.store import Store, parsing, refuse_bomb

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "image_bytes", "jpg", "jpeg", "png", "webp", "bytes", "content")
NAME_COLUMNS = ("file_name", "filename", "image_path", "path", "key", "__key__", "image_id", "id")
# Rows in memory at a time, encoded.
_ROWS = 16


def expand(archive: File, max_bytes: int = MAX_BYTES) -> Iterator[ImageRef | Reject]:
    """Yield the images of a Parquet file, fingerprinted in one pass, and what of it is refused.

    A file found in a folder that has no column of images yields nothing.

    Raises:
        OSError: the store does not hand it over.
    """
    try:
        with parsing():
            store = Store(archive.uri)
        with store:
            with parsing():
                file = open_file(store)
                column = image_column(file.schema_arrow)
            if column is None:
                if archive.named:
                    held = ", ".join(file.schema_arrow.names)
                    message = f"it has no column of images; its columns are {held}"
                    raise SourceError(RejectCode.ARCHIVE_UNSUPPORTED, message)
                return
            yield from _rows(archive, file, column, max_bytes)
    except SourceError as error:
        yield archive.reject(error)


def open_file(store: Store) -> Any:
    """Return a `pyarrow.parquet.ParquetFile` that reads a column by its pages."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(store, buffer_size=1024 * 1024, pre_buffer=False)


def image_column(schema: "pa.Schema") -> str | None:
    """Return the column with the bytes of images, `name.bytes` within a struct, or None."""
    import pyarrow as pa

    def is_bytes(kind: "pa.DataType") -> bool:
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    columns = []
    for field in schema:
        if is_bytes(field.type):
            columns.append((field.name, field.name))
        elif pa.types.is_struct(field.type):
            index = field.type.get_field_index("bytes")
            if index >= 0 and is_bytes(field.type.field(index).type):
                columns.append((field.name, f"{field.name}.bytes"))
    if len(columns) == 1:
        return columns[0][1]
    found = dict(columns)
    return next((found[name] for name in IMAGE_COLUMNS if name in found), None)


def cells(file: Any, column: str, group: int) -> Iterator[bytes | None]:
    """Yield the values of a column of a row group in their order."""
    for value, _ in _values(file, column, None, group):
        yield value


def _values(
    file: Any, column: str, label: str | None, group: int
) -> Iterator[tuple[bytes | None, str | None]]:
    wanted = [column] if label is None else [column, label]
    for batch in file.iter_batches(_ROWS, row_groups=[group], columns=wanted, use_threads=False):
        for row in batch.to_pylist():
            value, name = _get(row, column), _get(row, label) if label else None
            yield value, None if name is None else str(name)


def _get(row: dict[str, Any], column: str) -> Any:
    if column in row:
        return row[column]
    outer, inner = column.rsplit(".", 1)
    return (row[outer] or {}).get(inner)


def _rows(archive: File, file: Any, column: str, max_bytes: int) -> Iterator[ImageRef | Reject]:
    label = _name_column(file.schema_arrow, column)
    labels, number = names.Labels(), 0
    for group in range(file.num_row_groups):
        _check(file, column, group)
        values = _values(file, column, label, group)
        row = 0
        while True:
            with parsing():
                pair = next(values, None)
            if pair is None:
                break
            value, name = pair
            key = archive.inside(labels.of(name, number))
            uri = f"{archive.uri}#{number}"
            if not value:
                message = "the row has no bytes"
                yield Reject(key, uri, "list", RejectCode.IMAGE_EMPTY, message)
            elif len(value) > max_bytes:
                message = f"{len(value)} bytes, more than the limit of {max_bytes}"
                yield Reject(key, uri, "list", RejectCode.IMAGE_TOO_MANY_BYTES, message)
            else:
                sha256 = hashlib.sha256(value).hexdigest()
                place = Cell(archive.uri, column, group, row)
                yield ImageRef(key, uri, len(value), archive.modified, place, sha256)
            row, number = row + 1, number + 1


def _check(file: Any, column: str, group: int) -> None:
    """Raise SourceError for a row group whose images are a bomb: a value is inflated whole."""
    with parsing():
        facts = file.metadata.row_group(group)
        for number in range(facts.num_columns):
            chunk = facts.column(number)
            if chunk.path_in_schema == column:
                refuse_bomb(chunk.total_uncompressed_size, chunk.total_compressed_size)


def _name_column(schema: "pa.Schema", column: str) -> str | None:
    """Return the column that names the images: the struct's path, or one known by its name."""
    if column not in schema.names:
        outer = column.rsplit(".", 1)[0]
        return f"{outer}.path" if schema.field(outer).type.get_field_index("path") >= 0 else None
    return next((name for name in NAME_COLUMNS if name in schema.names and name != column), None)

"""Parquet tables that jobs write."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import files
from transforms.rejects import Reject

REJECTS = "rejects.parquet"
REJECTS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uri", pa.string()),
        ("stage", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("retryable", pa.bool_()),
    ]
)


def write(path: str, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Write a table; returns the facts that a manifest records of it.

    Raises:
        ValueError: rows have what the schema has no column for.
    """
    rows = [printable(row) for row in rows]
    # Arrow would leave it out without a word.
    if unknown := {name for row in rows for name in row} - {*schema.names}:
        raise ValueError(f"{path}: no column of the schema is for {', '.join(sorted(unknown))}")
    table = pa.Table.from_pylist(rows, schema=schema)
    with files.atomic(path) as stream:
        pq.write_table(table, stream, compression="zstd")
    return {"records": table.num_rows, "bytes": stream.size, "sha256": stream.sha256}


def write_rejects(path: str, rejects: Iterable[Reject]) -> dict[str, Any]:
    """Write rejects, sorted, as a table."""
    # By what is written: a reject that an earlier run wrote has no other names any more.
    rows = (printable(reject.row()) for reject in rejects)
    return write(path, REJECTS_SCHEMA, sorted(rows, key=lambda row: tuple(row.values())))


def printable(value: Any) -> Any:
    """Replace what UTF-8 cannot hold: bytes of file names that are not text become `\\xNN`."""
    if isinstance(value, str):
        return files.encoded(value).decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {name: printable(item) for name, item in value.items()}
    return value

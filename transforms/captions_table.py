"""Reading a captions table that `pipeline.caption` wrote."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from transforms import files, manifests

MANIFEST = "captions.json"
FORMAT = "beamcap.captions"
REMEDY = "make the table with `python -m pipeline.caption`"


def read_manifest(folder: str) -> dict[str, Any]:
    """Return the manifest of a table; raises UsageError where the folder is no finished one."""
    return manifests.read(folder, MANIFEST, FORMAT, REMEDY)


def rows(folder: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table: key, uri, sha256, width, height, caption, score, alternatives.

    Raises:
        UsageError: the folder is no finished table.
    """
    for file in read_manifest(folder)["data"]:
        with files.open_read(files.join(folder, file)) as stream:
            yield from read_rows(stream)


def read_rows(stream: BinaryIO) -> list[dict[str, Any]]:
    """Return the rows of one file of a table."""
    import pyarrow.parquet as pq

    return pq.read_table(stream).to_pylist()

"""Caption files in memory, opened as the jobs open real ones."""

import io
from collections.abc import Callable
from typing import BinaryIO

from transforms.annotations import Annotation, read
from transforms.rejects import Reject

Opener = Callable[[str], BinaryIO]


def holding(content: bytes | str) -> Opener:
    """Return an opener that finds this content under any path."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: io.BytesIO(data)


def rows(content: bytes | str, format: str, path: str = "c") -> list[Annotation | Reject]:
    return list(read(holding(content), path, format))


def good(content: bytes | str, format: str, path: str = "c") -> list[tuple]:
    """Return (name, captions, split) of the annotations, and check that no row was rejected."""
    found = rows(content, format, path)
    assert [row for row in found if isinstance(row, Reject)] == []
    return [
        (row.name, list(row.captions), row.split) for row in found if isinstance(row, Annotation)
    ]


def bad(content: bytes | str, format: str, path: str = "c") -> list[tuple[str, str]]:
    """Return (place, message) of the rejects."""
    return [
        (row.uri, f"{row.code}: {row.message}")
        for row in rows(content, format, path)
        if isinstance(row, Reject)
    ]

"""The page of a captions table: pictures with their captions, to look at."""

import heapq
from collections.abc import Iterable
from typing import Any

from transforms import pages, sources
from transforms.sources import SourceError


def render(rows: Iterable[dict[str, Any]], title: str, count: int, language: str) -> str:
    """Return the HTML of a table's gallery.

    A large table is shown by the images whose digests come first, a sample that is as good as
    drawn at random and stays the same while the table does.

    Args:
        rows: all rows of the table; they are streamed.
        title: of the page.
        count: images to show.
        language: of the captions; empty where it is unknown.
    """
    total = 0

    def counted() -> Iterable[dict[str, Any]]:
        nonlocal total
        for row in rows:
            total += 1
            yield row

    chosen = heapq.nsmallest(count, counted(), key=lambda row: (row["sha256"], row["key"]))
    chosen.sort(key=lambda row: row["key"])
    cards = [pages.from_row(row, _bytes(row["uri"])) for row in chosen]
    return pages.gallery(cards, title, total=total, language=language)


def _bytes(uri: str) -> bytes | None:
    # The picture may be gone since it was captioned: its caption is shown without it.
    try:
        return sources.read_uri(uri)
    except (OSError, SourceError):
        return None

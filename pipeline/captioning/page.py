"""The page of a captions table: pictures with their captions, to look at."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transforms import pages, sources
from transforms.files import encoded

# Archives that may be opened for the page: each is listed, which can mean reading all of it.
ARCHIVES = 8

Row = dict[str, Any]


def choose(rows: Iterable[Row], count: int) -> tuple[list[Row], int]:
    """Return the rows that a page shows, by key, and how many there are in all.

    Those whose images' digests come first: a sample that is as good as drawn at random, and stays
    nearly the same while the table does. Of images in archives, those in some `ARCHIVES` of them.

    Args:
        rows: all rows of the table; they are streamed.
        count: rows to choose.
    """
    total = 0
    drawers: dict[str | None, list[Row]] = {None: []}
    shut: set[str | None] = set()
    for row in rows:
        total += 1
        archive = sources.archive(row["uri"])
        if archive in shut:
            continue
        drawer = drawers.setdefault(archive, [])
        drawer.append(row)
        if len(drawer) == 2 * count:
            _shorten(drawer, count)
        if len(drawers) > ARCHIVES + 1:
            last = max(filter(None, drawers), key=_rank)
            shut.add(last)
            del drawers[last]
    chosen = [row for drawer in drawers.values() for row in drawer]
    _shorten(chosen, count)
    return sorted(chosen, key=lambda row: row["key"]), total


def thumbnails(rows: Sequence[Row], known: Mapping[str, str]) -> dict[str, str]:
    """Return small pictures as `pages.thumbnail` makes them, by their images' sha256.

    Args:
        rows: of a table.
        known: such as an earlier page had; their images are not read again.
    """
    found = {row["sha256"]: known[row["sha256"]] for row in rows if row["sha256"] in known}
    missing = {row["uri"]: row for row in rows if row["sha256"] not in found}
    for uri, data in sources.read_uris(missing):
        row = missing[uri]
        if hashlib.sha256(data).hexdigest() == row["sha256"]:
            small = pages.thumbnail(data, original=(row["width"], row["height"]))
            if small is not None:
                found[row["sha256"]] = small
    return dict(sorted(found.items()))


def render(
    rows: Iterable[Row], small: Mapping[str, str], title: str, total: int, language: str
) -> str:
    """Return the HTML of a table's gallery.

    Args:
        rows: what it shows.
        small: see `thumbnails`; an image that has none is shown by its caption alone.
        title: of the page.
        total: rows of the table.
        language: of the captions; empty where it is unknown.
    """
    cards = [pages.from_row(row, small.get(row["sha256"])) for row in rows]
    return pages.gallery(cards, title, total=total, language=language)


def _shorten(rows: list[Row], count: int) -> None:
    rows.sort(key=lambda row: (row["sha256"], row["key"]))
    del rows[count:]


def _rank(archive: str) -> str:
    return hashlib.sha256(encoded(archive)).hexdigest()

"""Committing a captions table: balance the books, then write the manifest last."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.captioning import page
from pipeline.captioning.settings import Settings
from pipeline.common import tables
from pipeline.common.books import Books
from pipeline.common.sweep import sweep
from pipeline.common.units import UnitReport
from transforms import captions_table, files, manifests
from transforms.errors import UsageError
from transforms.rejects import Reject
from transforms.sources import stem

PAGE = "captions.html"
EXPORTS = {"jsonl": "captions.jsonl", "coco": "captions.coco.json"}


def commit(
    _: None,
    settings: Settings,
    reports: Iterable[UnitReport],
    unread: Iterable[Reject],
    listed: int,
) -> None:
    """Write what belongs to the whole table, the manifest last, and sweep what does not.

    Raises:
        UsageError: no image could be captioned.
        JobError: the books do not balance.
    """
    reports = sorted(reports, key=lambda report: report.file)
    unread = list(unread)
    rejects = unread + [reject for report in reports for reject in report.rejects]
    output = settings.output
    written = {
        "rejects.parquet": tables.write_rejects(files.join(output, "rejects.parquet"), rejects)
    }
    books = Books(
        images={
            "listed": listed,
            "done": sum(report.images for report in reports),
            "rejected": len(unread) + sum(report.rejected for report in reports),
            "duplicates": 0,
        },
        captions={},
    )
    books.check()
    if not books.images["done"]:
        codes = ", ".join(sorted({reject.code.value for reject in rejects}))
        raise UsageError(
            f"no image is left: all of the {listed} images were rejected ({codes});"
            f" {output}/rejects.parquet has a line on each"
        )
    data = {report.file: report.facts for report in reports if report.file}
    for export in settings.exports:
        written[EXPORTS[export]] = _export(export, output, list(data))
    if settings.page_images:
        html = page.render(_rows(output, list(data)), "Captions", settings.page_images)
        written[PAGE] = files.write_bytes(files.join(output, PAGE), html.encode())
    files.write_json(
        files.join(output, captions_table.MANIFEST),
        {
            "format": captions_table.FORMAT,
            "version": 1,
            "configuration": settings.configuration(),
            "data": sorted(data),
            "files": dict(sorted({**data, **written}.items())),
            "books": books.as_json(),
            "software": manifests.software(),
        },
    )
    sweep(output, "data", set(data))


def image_id(key: str) -> int | str:
    """Return the `image_id` of COCO's results: the number in COCO's file names, else the stem."""
    name = stem(key)
    match = re.fullmatch(r"(?:COCO_\w+_)?0*(\d+)", name)
    return int(match[1]) if match else name


def _export(export: str, output: str, data: list[str]) -> dict[str, Any]:
    rows = _rows(output, data)
    with files.atomic(files.join(output, EXPORTS[export])) as stream:
        if export == "jsonl":
            for row in rows:
                stream.write(_json(row) + b"\n")
        else:
            separator = b"[\n"
            for row in rows:
                stream.write(separator)
                stream.write(_json({"image_id": image_id(row["key"]), "caption": row["caption"]}))
                separator = b",\n"
            stream.write(b"\n]\n")
    return {"bytes": stream.size, "sha256": stream.sha256}


def _rows(output: str, data: list[str]) -> Iterator[dict[str, Any]]:
    for file in data:
        with files.open_read(files.join(output, file)) as stream:
            yield from captions_table.read_rows(stream)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

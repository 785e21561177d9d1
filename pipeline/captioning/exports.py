"""What is written beside a captions table for people and other tools, under names that stay."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipeline.captioning import page
from pipeline.captioning.settings import Settings
from transforms import captions_table, files
from transforms.sources import stem

PAGE = "captions.html"
NAMES = {"jsonl": "captions.jsonl", "coco": "captions.coco.json"}


def wanted(settings: Settings) -> list[str]:
    """Return the names of the files that a run is to write beside the table."""
    return [NAMES[export] for export in settings.exports] + [PAGE] * (settings.page_images > 0)


def write(settings: Settings, data: list[str]) -> dict[str, dict[str, Any]]:
    """Write what is wanted, and remove what an earlier run wrote and none renews.

    Args:
        settings: of the job.
        data: the table's files, in their order.

    Returns:
        The facts of each file by its name.
    """
    output, names = settings.output, wanted(settings)
    written: dict[str, dict[str, Any]] = {}
    for name in (*NAMES.values(), PAGE):
        path = files.join(output, name)
        if name not in names:
            files.delete(path)
        elif name == PAGE:
            table = rows(output, data)
            html = page.render(table, "Captions", settings.page_images, settings.language)
            written[name] = files.write_bytes(path, html.encode())
        else:
            written[name] = _stream(path, _FORMATS[name](rows(output, data)))
    return written


def rows(output: str, data: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of files of a table."""
    for file in data:
        with files.open_read(files.join(output, file)) as stream:
            yield from captions_table.read_rows(stream)


def image_id(key: str) -> int | str:
    """Return the `image_id` of COCO's results: the number in COCO's file names, else the stem."""
    name = stem(key)
    match = re.fullmatch(r"(?:COCO_\w+_)?0*(\d+)", name)
    return int(match[1]) if match else name


def _lines(table: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for row in table:
        yield _json(row) + b"\n"


def _coco(table: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    separator = b"[\n"
    for row in table:
        yield separator + _json({"image_id": image_id(row["key"]), "caption": row["caption"]})
        separator = b",\n"
    yield b"\n]\n"


_FORMATS: dict[str, Callable[[Iterable[dict[str, Any]]], Iterator[bytes]]] = {
    NAMES["jsonl"]: _lines,
    NAMES["coco"]: _coco,
}


def _stream(path: str, pieces: Iterable[bytes]) -> dict[str, Any]:
    with files.atomic(path) as stream:
        for piece in pieces:
            stream.write(piece)
    return {"bytes": stream.size, "sha256": stream.sha256}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

"""What is written beside a captions table for people and other tools, under names that stay."""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pipeline.captioning import page, parts
from pipeline.captioning.settings import Settings
from transforms import files
from transforms.sources import stem

PAGE = "captions.html"
# What the page shows, kept so that the next one reads no picture twice.
THUMBNAILS = "captions.thumbnails.json"
_CHUNK = 1024 * 1024
# Gives the rows, and may be asked again.
_Table = Callable[[], Iterable[dict[str, Any]]]
NAMES = {"jsonl": "captions.jsonl", "coco": "captions.coco.json"}


def wanted(settings: Settings) -> list[str]:
    """Return the names of the files that a run is to write beside the table."""
    page_files = [PAGE, THUMBNAILS] if settings.page_images else []
    return [NAMES[export] for export in settings.exports] + page_files


def stale(settings: Settings, written: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether what lies beside the table is not what a run is to leave there.

    Args:
        settings: of the job.
        written: what the newest generation says that it wrote; somebody may have gone back to it.
    """
    if written.keys() != set(wanted(settings)):
        return True
    if PAGE in written and written[PAGE].get("images") != settings.page_images:
        return True
    return not all(_is(files.join(settings.output, name), facts) for name, facts in written.items())


def write(settings: Settings, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Write what is wanted, and remove what an earlier run wrote and none renews.

    Args:
        settings: of the job.
        manifest: of the generation.

    Returns:
        The facts of each file by its name.
    """
    output, names = settings.output, wanted(settings)
    for name in {*NAMES.values(), PAGE, THUMBNAILS} - {*names}:
        files.delete(files.join(output, name))
    written = {
        name: _stream(files.join(output, name), lines(functools.partial(rows, output, manifest)))
        for name, lines in _FORMATS.items()
        if name in names
    }
    return written | (_page(settings, manifest) if settings.page_images else {})


def _page(settings: Settings, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Write the page, and the thumbnails that are on it."""
    page_path, path = (files.join(settings.output, name) for name in (PAGE, THUMBNAILS))
    chosen, total = page.choose(rows(settings.output, manifest), settings.page_images)
    small = page.thumbnails(chosen, {} if settings.overwrite else _known(path))
    html = page.render(chosen, small, "Captions", total, settings.language)
    return {
        THUMBNAILS: files.write_json(path, small),
        PAGE: {**files.write_bytes(page_path, html.encode()), "images": settings.page_images},
    }


def _known(path: str) -> dict[str, str]:
    try:
        known = json.loads(files.read_bytes(path))
    except (OSError, ValueError):
        return {}  # None yet, or not whole: the pictures are read again.
    return known if isinstance(known, dict) else {}


def rows(output: str, manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a generation, in their order; raises JobError of a file that is damaged."""
    for name in manifest["data"]:
        yield from parts.read_file(output, name, manifest["files"][name])


def image_id(key: str) -> int | str:
    """Return the `image_id` of COCO's results: the number in COCO's file names, else the stem.

    Images that would share it have their keys instead.
    """
    name = stem(key)
    match = re.fullmatch(r"(?:COCO_\w+_)?0*(\d+)", name)
    return int(match[1]) if match else name


def _lines(table: _Table) -> Iterator[bytes]:
    for row in table():
        yield _json(row) + b"\n"


def _coco(table: _Table) -> Iterator[bytes]:
    shared = _shared(row["key"] for row in table())
    separator = b"[\n"
    for row in table():
        known = image_id(row["key"])
        result = {"image_id": row["key"] if known in shared else known, "caption": row["caption"]}
        yield separator + _json(result)
        separator = b",\n"
    yield b"\n]\n"


def _shared(keys: Iterable[str]) -> set[int | str]:
    """Return what is the `image_id` or the key of more than one image."""
    seen: set[int | str] = set()
    shared: set[int | str] = set()
    for key in keys:
        for name in {key, image_id(key)}:
            (shared if name in seen else seen).add(name)
    return shared


_FORMATS: dict[str, Callable[[_Table], Iterator[bytes]]] = {
    NAMES["jsonl"]: _lines,
    NAMES["coco"]: _coco,
}


def _stream(path: str, pieces: Iterable[bytes]) -> dict[str, Any]:
    with files.atomic(path) as stream:
        for piece in pieces:
            stream.write(piece)
    return {"bytes": stream.size, "sha256": stream.sha256}


def _is(path: str, facts: Mapping[str, Any]) -> bool:
    """Whether a file is there and has the content that a manifest tells of."""
    try:
        if files.stat(path).size != facts["bytes"]:
            return False
        if files.is_remote(path):
            return True  # To know more, it would be fetched whole every night.
        digest = hashlib.sha256()
        with files.open_read(path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == facts["sha256"]
    except (FileNotFoundError, IsADirectoryError):
        return False


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

"""The parts of a captions table: a data file of rows, and the index of what it was made from.

The index has a line for every image of the part, those with a row and those that were rejected
for good: what the listing said of it, and its digest. It lets the next run leave alone, without
reading it, an image that the listing shows unchanged. Both files are never changed; a part of
which only some images stay is written anew.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam import pvalue

from pipeline.captioning import details
from pipeline.captioning.elements import Entry, Kept, Part, PartReport
from pipeline.common import tables, units
from transforms import captions_table, files, manifests
from transforms.errors import JobError
from transforms.rejects import Reject, RejectCode

# What every table has; `details` has what is there on request. Rows of earlier runs lack a new
# column until they are made again: `Settings.model` counts up with one.
CAPTIONS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("caption", pa.string()),
        ("score", pa.float32()),
        (
            "alternatives",
            pa.list_(pa.struct([("caption", pa.string()), ("score", pa.float32())])),
        ),
    ]
)
INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uri", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.float64()),
        ("sha256", pa.string()),
        ("stage", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("seconds", pa.float64()),
    ]
)
FOLDERS = ("data", "index")


def write(
    output: str,
    name: str,
    rows: list[dict[str, Any]],
    index: list[dict[str, Any]],
    facts: dict[str, Any],
) -> Part:
    """Write the files of a part.

    Args:
        output: of the job.
        name: of the part, a digest of all that shapes it.
        rows: of the captions table; there may be none.
        index: a line for each row and for each image that is rejected for good.
        facts: what the manifest says of the part beside its files and counts.
    """
    written = {
        f"index/{name}.parquet": _table(output, f"index/{name}.parquet", INDEX_SCHEMA, index)
    }
    data = f"data/{name}.parquet" if rows else None
    if data:
        written[data] = _table(output, data, details.schema(CAPTIONS_SCHEMA, rows), rows)
    entry = {
        "data": data,
        "index": f"index/{name}.parquet",
        "rows": len(rows),
        "rejected": len(index) - len(rows),
        **facts,
    }
    return Part(entry, written)


def list_parts(source: int | str, output: str) -> Iterator[Any]:
    """Yield the parts that there are already and whose files are all there, by name.

    A part that lost a file does not count: its images are captioned again. How many different
    contents the part of a unit has goes to `contents`.

    Args:
        source: number of a generation, 0 for none; or the name of a finished unit.
        output: of the job.
    """
    if isinstance(source, int):
        yield from _committed(source, output) if source else ()
    elif (report := units.recorded(output, source)) is not None and report.facts:
        yield report.facts["name"], Part(report.facts["entry"], report.facts["files"])
        yield pvalue.TaggedOutput("contents", report.facts["contents"])


def _committed(base: int, output: str) -> Iterator[tuple[str, Part]]:
    manifest = read_generation(output, base)
    parts = manifest["parts"]
    named = [e[kind] for e in parts.values() for kind in ("data", "index") if e[kind]]
    sizes = manifests.sizes(output, named)
    for name, entry in sorted(parts.items()):
        facts = {file: manifest["files"][file] for file in (entry["data"], entry["index"]) if file}
        lost = [f for f in facts if sizes.get(files.join(output, f)) != facts[f]["bytes"]]
        if not lost:
            yield name, Part(entry, facts)
            continue
        logging.warning(
            "%s: the file is gone or cut short; rows of images that are listed are made again,"
            " the others of its %d rows are lost",
            files.join(output, lost[0]),
            entry["rows"],
        )


def read_generation(output: str, generation: int) -> dict[str, Any]:
    """Return the manifest of a generation, which may or may not still be the newest.

    Raises:
        OSError: it is not there any more.
    """
    for name in (captions_table.manifest_name(generation), captions_table.MANIFEST):
        if files.exists(path := files.join(output, name)):
            manifest = json.loads(files.read_bytes(path))
            if manifest["generation"] == generation:
                return manifest
    raise FileNotFoundError(f"{output}: generation {generation} is not there any more")


def read_entries(named: tuple[str, Part], output: str, generation: int) -> Iterator[Entry]:
    """Yield what a part has; `generation` is the number of the one that is being made.

    A part whose index is damaged counts as not committed, like one that lost a file.
    """
    name, part = named[0], named[1].entry
    try:
        index = read(output, named[1], "index")
    except JobError as error:
        logging.warning("%s", error)
        if part["generation"] == generation:
            # Or the journal would say that its unit is finished.
            files.delete(files.join(output, part["index"]))
        return
    for line in index:
        reject = None
        if line["code"]:
            code = RejectCode(line["code"])
            # Before there were seconds, what had timed out was refused for good.
            seconds = line.get("seconds") or 0.0
            reject = Reject(line["key"], line["uri"], line["stage"], code, line["message"], seconds)
        yield Entry(
            key=line["key"],
            uri=line["uri"],
            size=line["size"],
            modified=line["modified"],
            sha256=line["sha256"],
            part=name,
            model=part["model"],
            policy=part["policy"],
            reject=reject,
            fresh=part["generation"] == generation,
        )


def carry(
    kept: tuple[str, Iterable[Kept]], base: Mapping[str, Part], output: str, generation: int
) -> PartReport:
    """Carry what stays of a part into the next generation, rewriting it where that is not all.

    Args:
        kept: the part's name, and the images that stay.
        base: the parts that there are, by name.
        output: of the job.
        generation: the number of the generation that is being made.
    """
    name = kept[0]
    stay = {image.key: image for image in sorted(kept[1])}
    part = base[name]
    fresh = part.entry["generation"] == generation
    index = [line for line in read(output, part, "index") if line["key"] in stay]
    lines = [
        {**line, "size": stay[line["key"]].size, "modified": stay[line["key"]].modified}
        for line in index
    ]
    with_rows = [stay[line["key"]] for line in index if not line["code"]]
    if len(lines) != part.entry["rows"] + part.entry["rejected"] or lines != index:
        name = units.digest("part-1", generation, name, lines)
        part = _rewrite(name, part, lines, len(with_rows), output)
    counted = sum(image.counted for image in with_rows)
    return PartReport(
        name=name,
        part=part,
        committed=0 if fresh else counted,
        others=len(with_rows) - counted,
        resumed=counted if fresh else 0,
    )


def _rewrite(name: str, part: Part, lines: list[dict[str, Any]], rows: int, output: str) -> Part:
    """Write what stays of a part; the data file is kept where all of its rows stay."""
    if rows != part.entry["rows"]:
        keys = {line["key"] for line in lines}
        stay = [row for row in read(output, part, "data") if row["key"] in keys]
        facts = {field: part.entry[field] for field in ("model", "policy", "generation")}
        return write(output, name, stay, lines, facts)
    index, data = f"index/{name}.parquet", part.entry["data"]
    written = {index: _table(output, index, INDEX_SCHEMA, lines)}
    if data:
        written[data] = part.files[data]
    return Part({**part.entry, "index": index, "rejected": len(lines) - rows}, written)


def _table(output: str, name: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return tables.write(files.join(output, name), schema, rows)


def read(output: str, part: Part, kind: str) -> list[dict[str, Any]]:
    """Return the lines of a part's `index`, or its rows, the `data`; it may have none of these.

    Raises:
        JobError: the file is not the one that the manifest names.
        OSError: the store does not answer.
    """
    name = part.entry[kind]
    return read_file(output, name, part.files[name]) if name else []


def read_file(output: str, name: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a file of a table; see `read`.

    Args:
        output: of the job.
        name: of the file.
        facts: what the manifest says of it.
    """
    path = files.join(output, name)
    content = files.read_bytes(path)
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise JobError(
            f"{path}: the file is damaged; without it the same command makes its rows again:"
            " remove it"
        )
    return pq.read_table(pa.BufferReader(content)).to_pylist()

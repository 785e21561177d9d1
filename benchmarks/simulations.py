"""The plan and the commit of `pipeline.caption` over images that are made up."""

import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import child
from pipeline.captioning.settings import Settings
from transforms.search import SearchOptions
from transforms.stored import Form

FOLDER = "/photos"
IMAGES_IN_FOLDER = 10_000


def plan(references: int, unit_size: int) -> dict[str, Any]:
    """Run the plan in one process: listing, comparison, content, units."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.captioning.plan import plan as add_plan
    from transforms import files, sources

    with (
        tempfile.TemporaryDirectory() as folder,
        # Only the disk is made up: the graph and what it calls are the job's.
        mock.patch.object(files, "list_files", functools.partial(_listed, references)),
        mock.patch.object(sources, "chunks", lambda ref: iter([ref.key.encode()])),
        child.timed() as section,
    ):
        counted = Path(folder, "counted.txt")
        with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
            planned = add_plan(pipeline, settings(folder, unit_size), readers=4)
            _ = (
                planned.units
                | beam.Map(lambda unit: (1, len(unit.contents)))
                | beam.CombineGlobally(_summed)
                | beam.Map(lambda sums: counted.write_text(json.dumps(sums)))
            )
        units, images = json.loads(counted.read_text())
    if images != references:
        raise ValueError(f"{references} references became {images}")
    return section.facts(references, units=units)


def _summed(pairs: Any) -> tuple[int, int]:
    units, images = 0, 0
    for one, size in pairs:
        units, images = units + one, images + size
    return units, images


def commit(references: int, unit_size: int) -> dict[str, Any]:
    """Commit a table with that many rows from nothing but reports, then read its manifest."""
    from pipeline.captioning import commit as committing
    from pipeline.captioning.elements import Part
    from pipeline.common import units
    from pipeline.common.locks import Hold
    from pipeline.common.performance import Performance
    from transforms import captions_table

    count = max(1, references // unit_size)
    with tempfile.TemporaryDirectory() as folder:
        shaped = settings(folder, unit_size)
        shares = Performance(readers=1, image_seconds=shaped.image_seconds)
        journal = Path(folder, units.JOURNAL)
        journal.mkdir()
        for number in range(count):
            # The sweep removes the journal.
            (journal / f"{number:032}.json").write_bytes(b"{}")
        with child.timed() as section:
            reports = [_report(number, unit_size) for number in range(count)]
            hold, listed = Hold(folder), count * unit_size
            committing.commit(None, shaped, shares, hold, reports, [], [], [], listed)
        del reports
        manifest = Path(folder, captions_table.MANIFEST)
        size = manifest.stat().st_size
        with child.timed() as again:
            table = json.loads(manifest.read_bytes())
            held = {name: Part(entry, {}) for name, entry in table["parts"].items()}
        if len(held) != count or any(journal.iterdir()):
            raise ValueError("the commit left out a part, or a journal")
    return section.facts(references, units=count, manifest_bytes=size, read_seconds=again.seconds)


def settings(output: str, unit_size: int) -> Settings:
    """Return the settings of a job on the made-up images."""
    return Settings(
        images=(FOLDER,),
        output=output,
        captioners=("/captioner",),
        captioner_digest="0" * 64,
        forms=(Form((224, 224)),),
        search=SearchOptions(),
        banned_words=(),
        required_words=(),
        details=(),
        exports=(),
        page_images=0,
        unit_size=unit_size,
        truncated="reject",
        batch_size=32,
        image_seconds=60.0,
    )


def _listed(count: int, folder: str, *_: object) -> Iterator[Any]:
    """Yield a listing of a folder's images; of any other folder, nothing."""
    from transforms.files import FileInfo

    if folder.rstrip("/") == FOLDER:
        for number in range(count):
            name = f"{number // IMAGES_IN_FOLDER:06}/{number:010}.jpg"
            yield FileInfo(f"{FOLDER}/{name}", 100_000, 1.7e9)


def _report(number: int, images: int) -> Any:
    """Return the report of a unit that captioned all of its images."""
    from pipeline.common.units import UnitReport

    name = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    data, index = f"data/{name}.parquet", f"index/{name}.parquet"
    facts = {"records": images, "bytes": 100_000 + number, "sha256": name * 2}
    entry = {
        "data": data,
        "index": index,
        "rows": images,
        "rejected": 0,
        "model": "0" * 32,
        "policy": "1" * 32,
        "generation": 1,
    }
    return UnitReport(
        group="captions",
        file=data,
        facts={"name": name, "entry": entry, "files": {data: facts, index: dict(facts)}},
        images=images,
        captions=images,
    )

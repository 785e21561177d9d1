"""One unit of captioning: read, decode, caption, write."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue

from pipeline.captioning import compare, details, parts
from pipeline.captioning.elements import Content, Unit
from pipeline.captioning.settings import ATTENTION, Settings
from pipeline.common import forms, memory, models, progress, reading, tables, units
from pipeline.common.performance import Performance
from pipeline.common.units import UnitReport
from transforms import images, isolation
from transforms.captioners import Caption, Captioners
from transforms.prefetch import ordered_map
from transforms.rejects import Reject, RejectCode
from transforms.search import seed_of
from transforms.sources import ImageRef

Batch = list[tuple[Content, images.Picture | Reject]]
Captions = list[list[Caption]]  # Of each picture, best first.


class CaptionUnit(beam.DoFn):
    """Turns a unit into a part of the table and its report; one that is done is only reported.

    What is committed of an image that cannot be read after all goes to `compare.KEPT`.
    """

    def __init__(self, settings: Settings, performance: Performance) -> None:
        self._settings = settings
        self._performance = performance

    def setup(self) -> None:
        """Prepare the worker process."""
        memory.steady()

    def process(self, unit: Unit, total: int) -> Iterator[Any]:
        """Yield the report of one unit; `total` is the number of images of all units."""
        settings = self._settings
        name = unit_name(unit, settings)
        names = sum(len(content.refs) for content in unit.contents)
        reporter = progress.Reporter(settings.output, total)

        def work(careful: bool) -> UnitReport:
            with isolation.decoder(careful, self._performance.image_seconds) as decoder:
                return caption_unit(name, unit, settings, self._performance, reporter, decoder)

        seconds = self._performance.image_seconds
        report, earlier = units.once(settings.output, name, work, seconds)
        if earlier:
            reporter.add(resumed=names)
        reporter.flush()
        beam.metrics.Metrics.counter("beamcap", "images").inc(report.images)
        beam.metrics.Metrics.counter("beamcap", "rejects").inc(len(report.rejects))
        for reject in report.rejects:
            beam.metrics.Metrics.counter("beamcap", f"rejects_{reject.code.value}").inc()
        yield report
        again = {tables.printable(r.key): r.code for r in report.rejects if r.code.retryable}
        for content in unit.contents:
            for entry in content.replaced:
                if entry.key in again:
                    kept = compare.keep(entry)
                    if again[entry.key] is RejectCode.IMAGE_CHANGED:
                        # The listing may show it unchanged, and the next run is to read it.
                        kept = dataclasses.replace(kept, modified=0.0)
                    yield pvalue.TaggedOutput(compare.KEPT, kept)


def caption_unit(
    name: str,
    unit: Unit,
    settings: Settings,
    performance: Performance,
    reporter: progress.Reporter,
    decoder: isolation.Decoder,
) -> UnitReport:
    """Write a unit's part of the table and return its report.

    A content that cannot be read by its first name is read by the next.

    Raises:
        OSError: a file cannot be written; nothing of it is left behind.
    """
    rejects: list[Reject] = []
    rows: list[dict[str, Any]] = []
    index: list[dict[str, Any]] = []
    contents = unit.contents
    while contents:
        further: list[Content] = []
        for batch, captions in captioned(contents, settings, performance, decoder):
            done, refused = len(rows), len(rejects)
            pictures = [(c, p) for c, p in batch if isinstance(p, images.Picture)]
            for content, result in batch:
                if isinstance(result, Reject):
                    failed, others = hit(content, result)
                    further += [dataclasses.replace(content, refs=others)] if others else []
                    for ref in failed:
                        reject = dataclasses.replace(result, key=ref.key, uri=ref.uri)
                        rejects.append(reject)
                        if not reject.code.retryable:
                            index.append(index_line(content.sha256, ref, reject))
                else:
                    index += [index_line(content.sha256, ref) for ref in content.refs]
            for (content, picture), found in zip(pictures, captions, strict=True):
                rows += rows_of(content, picture, found, settings)
            reporter.add(done=len(rows) - done, rejected=len(rejects) - refused)
        contents = tuple(further)
    facts: dict[str, Any] = {}
    name = units.attempt(name, rejects)
    if index:
        made = {
            "model": settings.model(),
            "policy": settings.policy(),
            "generation": settings.base + 1,
        }
        part = parts.write(settings.output, name, rows, index, made)
        different = len({line["sha256"] for line in index})
        facts = {"name": name, "entry": part.entry, "files": part.files, "contents": different}
    return UnitReport(
        group="captions",
        file=f"data/{name}.parquet" if rows else "",
        facts=facts,
        images=len(rows),
        captions=len(rows),
        rejects=tuple(rejects),
        rejected=len(rejects),
    )


def captioned(
    contents: Sequence[Content],
    settings: Settings,
    performance: Performance,
    decoder: isolation.Decoder,
) -> Iterator[tuple[Batch, Captions]]:
    """Yield contents, read by their first names, in batches with the captions of the pictures."""
    sources = [(content, content.refs[0], content.sha256) for content in contents]

    def encode(batch: Batch) -> tuple[Batch, list[np.ndarray]]:
        pictures = [p for _, p in batch if isinstance(p, images.Picture)]
        if not pictures:
            return batch, []
        # Loaded where it is needed: many a nightly run has nothing to caption.
        return batch, load(settings, performance.threads).encode(forms.stacked(pictures))

    def search(encoded: tuple[Batch, list[np.ndarray]]) -> tuple[Batch, Captions]:
        batch, features = encoded
        if not features:
            return batch, []
        return batch, load(settings, performance.threads).search(
            features,
            settings.search,
            seeds=[seed_of(c.sha256) for c, p in batch if isinstance(p, images.Picture)],
            attend=ATTENTION in settings.details,
        )

    batches = reading.batches(
        sources,
        forms.decode(decoder, settings.forms, images.Limits(truncated=settings.truncated)),
        settings.batch_size,
        performance.readers,
        decoder.check,
    )
    # Batches are encoded while captions are searched for those before them.
    encoders = performance.encoders(len(settings.captioners))
    encoded = ordered_map(encode, batches, encoders, encoders + 1)
    searchers = performance.searchers(settings.search)
    return ordered_map(search, encoded, searchers, searchers + 1)


def unit_name(unit: Unit, settings: Settings) -> str:
    """Return the digests of everything that shapes a unit's files, its images' behind."""
    return settings.making() + units.digest(
        [
            (content.sha256, [(ref.key, ref.uri) for ref in content.refs])
            for content in unit.contents
        ],
    )


def hit(content: Content, reject: Reject) -> tuple[tuple[ImageRef, ...], tuple[ImageRef, ...]]:
    """Return a content's names that a reject is of, and those that are worth a try."""
    # Where one could not be read, another may lie where all is well.
    tried = 1 if reject.stage == "read" else len(content.refs)
    return content.refs[:tried], content.refs[tried:]


def index_line(sha256: str, ref: ImageRef, reject: Reject | None = None) -> dict[str, Any]:
    """Return what the next run is to know of an image, and why it has no row if it has none."""
    return {
        "key": ref.key,
        "uri": ref.uri,
        "size": ref.size,
        "modified": ref.modified,
        "sha256": sha256,
        "stage": reject.stage if reject else None,
        "code": reject.code.value if reject else None,
        "message": reject.message if reject else None,
        "seconds": (reject.seconds or None) if reject else None,
    }


def rows_of(
    content: Content, picture: images.Picture, found: list[Caption], settings: Settings
) -> list[dict[str, Any]]:
    """Return the table's rows of a captioned content, one for each of its names."""
    best, *others = found
    return [
        {
            "key": ref.key,
            "uri": ref.uri,
            "sha256": content.sha256,
            "width": picture.width,
            "height": picture.height,
            "caption": best.caption,
            "score": best.score,
            "alternatives": [{"caption": o.caption, "score": o.score} for o in others],
            **details.columns(best, settings),
        }
        for ref in content.refs
    ]


def load(settings: Settings, threads: int) -> Captioners:
    """Return the captioners that the settings name."""
    return load_captioners(
        settings.captioners, settings.batch_size, settings.engine, threads, settings.precision
    )


@models.once
def load_captioners(
    folders: tuple[str, ...], batch_size: int, engine: str, threads: int, precision: str
) -> Captioners:
    """Return the captioners of some folders."""
    return Captioners(folders, batch_size, engine, threads, precision)

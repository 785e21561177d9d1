"""One unit of captioning: read, decode, caption, write."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline.captioning.elements import Content, Unit
from pipeline.captioning.settings import Performance, Settings
from pipeline.common import models, progress, reading, tables, units
from pipeline.common.units import UnitReport
from transforms import files, images, isolation
from transforms.captioner import Captioner, Hypothesis
from transforms.rejects import Reject

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


class CaptionUnit(beam.DoFn):
    """Turns a unit into a Parquet file and its report; a unit that is done is only reported."""

    def __init__(self, settings: Settings, performance: Performance) -> None:
        self._settings = settings
        self._performance = performance

    def process(self, unit: Unit, total: int) -> Iterator[UnitReport]:
        """Yield the report of one unit; `total` is the number of images of the whole job."""
        settings = self._settings
        name = unit_name(unit, settings)
        names = sum(len(content.refs) for content in unit.contents)
        reporter = progress.Reporter(settings.output, total)

        def work(careful: bool) -> UnitReport:
            with isolation.decoder(careful, self._performance.image_seconds) as decode:
                return caption_unit(name, unit, settings, self._performance, reporter, decode)

        report, earlier = units.once(settings.output, name, work)
        if earlier:
            reporter.add(resumed=names)
        reporter.flush()
        beam.metrics.Metrics.counter("beamcap", "images").inc(report.images)
        beam.metrics.Metrics.counter("beamcap", "rejects").inc(len(report.rejects))
        yield report


def caption_unit(
    name: str,
    unit: Unit,
    settings: Settings,
    performance: Performance,
    reporter: progress.Reporter,
    decode: isolation.Decode,
) -> UnitReport:
    """Write a unit's Parquet file and return its report.

    Raises:
        OSError: the file cannot be written; nothing of it is left behind.
    """
    captioner = load_captioner(settings.captioner, performance.batch_size)
    rejects: list[Reject] = []
    rows: list[dict[str, Any]] = []
    sources = [(content, content.refs[0], content.sha256) for content in unit.contents]
    for batch in reading.batches(
        sources,
        captioner.input_size,
        images.Limits(truncated=settings.truncated),
        performance.batch_size,
        performance.readers,
        decode,
    ):
        done, refused = len(rows), len(rejects)
        pictures = [(c, p) for c, p in batch if isinstance(p, images.Picture)]
        for content, result in batch:
            if isinstance(result, Reject):
                rejects += rejects_of(content, result)
        if pictures:
            hypotheses = captioner.caption(
                np.stack([picture.pixels for _, picture in pictures]),
                settings.beam_width,
                settings.length_penalty,
            )
            for (content, picture), found in zip(pictures, hypotheses, strict=True):
                rows += rows_of(content, picture, found)
        reporter.add(done=len(rows) - done, rejected=len(rejects) - refused)
    file = f"data/{name}.parquet"
    facts: dict[str, Any] = {}
    if rows:
        facts = tables.write(files.join(settings.output, file), CAPTIONS_SCHEMA, rows)
    return UnitReport(
        group="captions",
        file=file if rows else "",
        facts=facts,
        images=len(rows),
        captions=len(rows),
        rejects=tuple(rejects),
        rejected=len(rejects),
    )


def unit_name(unit: Unit, settings: Settings) -> str:
    """Return the digest of everything that shapes a unit's file."""
    return units.digest(
        "captions-1",
        settings.captioner_digest,
        settings.beam_width,
        settings.length_penalty,
        settings.truncated,
        [
            (content.sha256, [(ref.key, ref.uri) for ref in content.refs])
            for content in unit.contents
        ],
    )


def rejects_of(content: Content, reject: Reject) -> list[Reject]:
    """Return the reject of a content under each of its names."""
    return [dataclasses.replace(reject, key=ref.key, uri=ref.uri) for ref in content.refs]


def rows_of(
    content: Content, picture: images.Picture, found: list[Hypothesis]
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
            "alternatives": [dataclasses.asdict(other) for other in others],
        }
        for ref in content.refs
    ]


@models.once
def load_captioner(folder: str, batch_size: int) -> Captioner:
    """Return the captioner of a folder."""
    return Captioner(folder, batch_size)

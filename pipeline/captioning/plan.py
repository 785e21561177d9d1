"""Planning the captions of images: list, compare with the table, read, group into units."""

import dataclasses
from collections.abc import Iterable

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning import compare, copies, parts
from pipeline.captioning.compare import Compare, Fingerprint
from pipeline.captioning.elements import Content, Unit
from pipeline.captioning.settings import Settings
from pipeline.common import fingerprints, tables, units
from pipeline.common.listing import list_sources
from pipeline.common.sums import summed


@dataclasses.dataclass(frozen=True)
class Plan:
    """The collections of a planned job.

    Attributes:
        units: `Unit`s of work.
        rejects: `Reject`s of listed images.
        kept: `Kept`, what stays of the table as it is and of what an interrupted run finished.
        copies: (name of a part, `copies.Copy`), what other names get of that as well.
        base: (name, `Part`) of the table as it is, and of the units that an interrupted run
            finished.
        listed: one number, the images found.
        wanted: one number, the images to caption.
    """

    units: beam.PCollection
    rejects: beam.PCollection
    kept: beam.PCollection
    copies: beam.PCollection
    base: beam.PCollection
    listed: pvalue.AsSingleton
    wanted: pvalue.AsSingleton


def plan(pipeline: beam.Pipeline, settings: Settings, readers: int) -> Plan:
    """Add the planning to a pipeline; images are read by so many threads a worker.

    What the journal has is looked up here, once: a worker that looked again later would find units
    of this very run.
    """
    found = list_sources(pipeline, settings.images)
    images = found.images
    base = (
        pipeline
        | "Base"
        >> beam.Create(
            [
                0 if settings.overwrite else settings.base,
                *units.names(settings.output, settings.making()),
            ]
        )
        | "Parts"
        >> beam.FlatMap(parts.list_parts, settings.output).with_outputs("contents", main="parts")
    )
    committed = (
        base.parts
        | "SpreadParts" >> beam.Reshuffle()
        | "Entries" >> beam.FlatMap(parts.read_entries, settings.output, settings.base + 1)
        | "EntryKey" >> beam.Map(lambda entry: (entry.key, entry))
    )
    # What UTF-8 cannot hold of a key is written another way in the table.
    listed = images | "Key" >> beam.Map(lambda ref: (tables.printable(ref.key), ref))
    refused = found.rejects | "RefusedKey" >> beam.Map(
        lambda reject: (tables.printable(reject.key), reject.code)
    )
    compared = (
        {"listed": listed, "refused": refused, "committed": committed}
        | "ByKey" >> beam.CoGroupByKey()
        | "Compare" >> beam.ParDo(Compare(settings)).with_outputs(*compare.TAGS)
    )
    read = (
        # Grouping has spread the keys over all workers: each reads those that it compared.
        compared[compare.UNREAD]
        | "Together" >> beam.BatchElements(fingerprints.TOGETHER, fingerprints.TOGETHER)
        | "Fingerprint" >> beam.ParDo(Fingerprint(settings, readers)).with_outputs(*compare.TAGS)
    )

    def both(tag: str) -> beam.PCollection:
        return (compared[tag], read[tag]) | f"All {tag}" >> beam.Flatten()

    known = (
        committed
        | "Usable" >> beam.Filter(lambda item: copies.usable(item[1], settings))
        | "EntryContent" >> beam.Map(lambda item: (bytes.fromhex(item[1].sha256), item[1]))
    )
    divided = (
        # Not one collection of both: the local runner would hold a copy of it.
        {"known": compared[compare.WORK], "read": read[compare.WORK], "committed": known}
        | "ByContent" >> beam.CoGroupByKey()
        | "Divide"
        >> beam.ParDo(copies.Divide()).with_outputs(copies.COPIES, compare.REJECTS, main="contents")
    )
    contents = divided["contents"]
    # Those of finished units count too, so that others have the names that they had.
    total = (
        (contents | "One" >> beam.Map(lambda _: 1), base.contents)
        | "AllContents" >> beam.Flatten()
        | "CountContents" >> summed()
    )
    grouped = (
        contents
        | "Bucket" >> beam.Map(bucketed, settings.unit_size, total)
        | "ByUnit" >> beam.GroupByKey()
        | "Unit" >> beam.MapTuple(make_unit)
    )
    return Plan(
        units=grouped,
        rejects=(found.rejects, both(compare.REJECTS), divided[compare.REJECTS])
        | "Rejects" >> beam.Flatten(),
        kept=both(compare.KEPT),
        copies=divided[copies.COPIES],
        base=base.parts,
        listed=found.count,
        wanted=contents
        | "Names" >> beam.Map(lambda content: len(content.refs))
        | "CountWanted" >> summed(),
    )


def bucketed(content: Content, unit_size: int, total: int) -> tuple[int, Content]:
    """Return a content with the number of its unit."""
    identity = fingerprints.identity(content.refs[0], content.sha256)
    return units.bucket(identity, total, unit_size), content


def make_unit(_: int, contents: Iterable[Content]) -> Unit:
    """Return the unit of a group of contents, in an order that no runner changes."""
    return Unit(tuple(sorted(contents, key=lambda content: content.sha256)))

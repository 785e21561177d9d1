"""The graph of the captioning job: plan, process, commit."""

import dataclasses
from pathlib import Path

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning import commit, compare, copies, merging, parts
from pipeline.captioning.caption_unit import CaptionUnit
from pipeline.captioning.elements import Unit
from pipeline.captioning.plan import plan
from pipeline.captioning.settings import Settings
from pipeline.common import tables, units
from pipeline.common.locks import Hold
from pipeline.common.performance import Performance
from pipeline.common.sums import counted
from transforms import captions_table, files
from transforms.errors import UsageError


def build(
    pipeline: beam.Pipeline, settings: Settings, performance: Performance, hold: Hold
) -> None:
    """Add the whole job to a pipeline; what the table is now is looked up here."""
    settings = based(settings)
    planned = plan(pipeline, settings, performance.readers)
    captioned = planned.units | "Caption" >> beam.ParDo(
        CaptionUnit(settings, performance), planned.wanted
    ).with_outputs(compare.KEPT, main="reports")
    generation = settings.base + 1
    carried = (
        (planned.kept, captioned[compare.KEPT])
        | "AllKept" >> beam.Flatten()
        | "KeptPart" >> beam.Map(lambda kept: (kept.part, kept))
        | "ByPart" >> beam.GroupByKey()
        | "Carry" >> beam.Map(parts.carry, pvalue.AsDict(planned.base), settings.output, generation)
    )
    copied = (
        planned.copies
        | "CopiesByPart" >> beam.GroupByKey()
        | "Copy" >> beam.Map(copies.write, pvalue.AsDict(planned.base), settings.output, generation)
    )
    remade = (carried, copied) | "Remade" >> beam.Flatten()
    once = pipeline | "Once" >> beam.Create([None])
    merged = (
        once
        | "Small"
        >> beam.FlatMap(
            lambda _, reports, remade: merging.groups(
                commit.table(reports, remade), settings.unit_size, settings.merge_above
            ),
            pvalue.AsList(captioned["reports"]),
            pvalue.AsList(remade),
        )
        | "SpreadSmall" >> beam.Reshuffle()
        | "Merge" >> beam.Map(merging.merge, settings.output, generation)
    )
    _ = once | "Commit" >> beam.Map(
        commit.commit,
        settings,
        performance,
        hold,
        pvalue.AsList(captioned["reports"]),
        pvalue.AsList(remade),
        pvalue.AsList(merged),
        pvalue.AsList(planned.rejects),
        planned.listed,
    )


def based(settings: Settings) -> Settings:
    """Return the settings with the number of the generation that is there.

    Raises:
        UsageError: the output is no captions table or has lost its manifest, and is not to become
            one anew.
        OSError: the store does not answer.
    """
    try:
        manifest = captions_table.newest(settings.output)
        if manifest is None:
            _refuse_lost(settings.output)
        base = manifest["generation"] if manifest else 0
    except UsageError:
        if not settings.overwrite:
            raise
        base = max(captions_table.kept(settings.output), default=0)
    return dataclasses.replace(settings, base=base)


def _refuse_lost(output: str) -> None:
    """Raise UsageError for a table without a manifest that had one."""
    newest = max(captions_table.kept(output), default=0)
    # The first run writes its own just before the manifest, and may be killed in between: then its
    # journal is still there.
    if newest > 1 or (newest and not units.names(output, "")):
        path = files.join(output, captions_table.MANIFEST)
        raise UsageError(
            f"{path}: the table's manifest is gone; copy generations/{newest}.json over it, or"
            " begin the table anew with --overwrite"
        )


def build_dry_run(
    pipeline: beam.Pipeline, settings: Settings, performance: Performance, path: str
) -> None:
    """Add the plan alone, and write a summary of it for people to a local file."""
    settings = based(settings)
    planned = plan(pipeline, settings, performance.readers)
    still = planned.kept | "Counted" >> beam.Filter(lambda kept: kept.counted)
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Summarise"
        >> beam.Map(
            summarise,
            path,
            settings,
            pvalue.AsList(planned.units),
            planned.listed,
            still | "CountKept" >> counted(),
            planned.copies | "CountCopies" >> counted(),
        )
    )


def summarise(
    _: None,
    path: str,
    settings: Settings,
    planned: list[Unit],
    listed: int,
    kept: int,
    copied: int,
) -> None:
    """Write what a run would do."""
    lines = [f"{field}: {value}" for field, value in settings.configuration().items()]
    names = sum(len(content.refs) for unit in planned for content in unit.contents)
    contents = sum(len(unit.contents) for unit in planned)
    lines.append(f"output: {settings.output}")
    if settings.base:
        lines.append(f"table: generation {settings.base}")
    lines.append(f"images: {listed:,}, of which {kept:,} stay as an earlier run left them")
    if copied:
        lines.append(f"new names of bytes that the table knows: {copied:,}")
    lines.append(f"to caption: {names:,}, of which {contents:,} have different content")
    # Of those that stay as they were some were refused by an earlier run; these are the others.
    if refused := listed - kept - copied - names:
        lines.append(f"refused: {refused:,}")
    lines.append(f"units: {len(planned)}")
    Path(path).write_text(tables.printable("\n".join(lines) + "\n"))

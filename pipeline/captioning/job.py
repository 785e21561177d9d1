"""The graph of the captioning job: plan, process, commit."""

from pathlib import Path

import apache_beam as beam
from apache_beam import pvalue

from pipeline.captioning import commit
from pipeline.captioning.caption_unit import CaptionUnit
from pipeline.captioning.elements import Unit
from pipeline.captioning.plan import plan
from pipeline.captioning.settings import Performance, Settings


def build(pipeline: beam.Pipeline, settings: Settings, performance: Performance) -> None:
    """Add the whole job to a pipeline."""
    planned = plan(pipeline, settings)
    reports = planned.units | "Caption" >> beam.ParDo(
        CaptionUnit(settings, performance), pvalue.AsSingleton(planned.listed)
    )
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Commit"
        >> beam.Map(
            commit.commit,
            settings,
            pvalue.AsList(reports),
            pvalue.AsList(planned.rejects),
            pvalue.AsSingleton(planned.listed),
        )
    )


def build_dry_run(pipeline: beam.Pipeline, settings: Settings, path: str) -> None:
    """Add the plan alone, and write a summary of it for people to a local file."""
    planned = plan(pipeline, settings)
    _ = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Summarise"
        >> beam.Map(
            summarise,
            path,
            settings,
            pvalue.AsList(planned.units),
            pvalue.AsSingleton(planned.listed),
        )
    )


def summarise(_: None, path: str, settings: Settings, planned: list[Unit], listed: int) -> None:
    """Write what a run would do."""
    lines = [f"{field}: {value}" for field, value in settings.configuration().items()]
    contents = sum(len(unit.contents) for unit in planned)
    lines.append(f"output: {settings.output}")
    lines.append(f"images: {listed:,}, of which {contents:,} have different readable content")
    lines.append(f"units: {len(planned)}")
    Path(path).write_text("\n".join(lines) + "\n")
